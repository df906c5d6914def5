"""Which field of a JSON object names the service of its line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from streams.ingest import identity
from streams.ingest.identity import declared

Rows = tuple[tuple[str, str], ...]
"""(key, rule by which the service is then known), in the order in which they are asked."""

Candidates = tuple[tuple[object, Callable[[str], str], str], ...]
"""(what may be a name, how one is made of it, rule), in the order in which they are asked."""

REFUSED_MAX: Final = 3
"""After so many fields of a line whose names are refused, as those are that hold secrets, no more are asked: to look
for secrets takes up to 150 µs a name."""

RULES: Final = ("otel", "ecs", "kubernetes", "json", "syslog", "header", "file", "key", "topic")
"""Ways to know a service, the first that gives a name counts."""
_RANK: Final = {rule: rank for rank, rule in enumerate(RULES)}
_KEYS: Final[Rows] = (
    *(("resource", "otel"), ("resource.service.name", "otel"), ("service.name", "ecs"), ("service", "ecs")),
    *(("kubernetes", "kubernetes"), ("kubernetes.labels.app", "kubernetes"), ("container", "kubernetes")),
    *(("kubernetes.container_name", "kubernetes"), ("container_name", "kubernetes")),
    *(("service", "json"), ("service_name", "json"), ("app", "json"), ("application", "json"), ("logger", "json")),
    *(("logger_name", "json"), ("loggerName", "json"), ("log.logger", "json"), ("name", "json")),
    *(("SourceName", "json"), ("winlog", "json"), ("appname", "syslog"), ("SYSLOG_IDENTIFIER", "syslog")),
    *(("programname", "syslog"), ("PROGRAM", "syslog"), ("ident", "syslog")),
    *(("_SYSTEMD_UNIT", "syslog"), ("_COMM", "syslog")),
)
_ECS_OBJECT: Final = ("service", "ecs")
"""ECS has an object under ``service``; a name there is that of a plain JSON field."""
_LOGGERS_THAT_SAY_NAME: Final = (frozenset({"pid", "hostname"}), frozenset({"levelname"}))
"""``name`` is the logger's only beside what pino, bunyan or Python's logging write; elsewhere it may be anybody's."""
_DECLARED_RULES: Final = frozenset({"otel", "ecs", "json"})
_DECLARED_KEYS: Final = frozenset({"kubernetes.labels.app", "kubernetes.container_name"})
_APP_LABELS: Final = ("app.kubernetes.io/name", "app_kubernetes_io/name", "app", "k8s-app", "component")
_FILE_KEYS: Final = ("file", "filename", "log.file.path", "path", "source", "log")
_MAY_BE_NO_FILE: Final = frozenset({"path", "source"})
_SOURCE_CODE: Final = re.compile(
    r"\.(?:py|go|java|js|mjs|ts|rb|php|cs|kt|scala|rs|c|cc|cpp|h|ex|erl|html?|css|png|svg)$"
)
_LOG_FILE: Final = re.compile(r"\.(?:log|out|err)\b|[/\\]logs?[/\\]|-json\.log")


def rows_of(present: frozenset[str]) -> Rows:
    """Return the keys of a shape of object that may name its service."""
    named = present if any(keys <= present for keys in _LOGGERS_THAT_SAY_NAME) else present - {"name"}
    return tuple(row for row in _KEYS if row[0] in named)


def files_of(present: frozenset[str]) -> tuple[str, ...]:
    """Return the keys of a shape of object that may hold the path of its log file."""
    return tuple(key for key in _FILE_KEYS if key in present)


def declared_key(rows: Rows) -> str:
    """Return the key whose text is the service as it stands, when no other is asked before; else ``""``."""
    rest = rows[1:] if rows[:1] == (_ECS_OBJECT,) else rows
    return rest[0][0] if rest and rest[0][1] == "json" else ""


def service_of(found: dict[str, Any], rows: Rows, files: tuple[str, ...]) -> tuple[str, str]:
    """Return (service, rule) of the first field that names one; a file's stem when none does."""
    refused = 0
    for row in rows:
        key, rule = row
        value = found[key]
        if type(value) is str and value and row != _ECS_OBJECT:
            name = declared(value) if rule in _DECLARED_RULES or key in _DECLARED_KEYS else identity.derived(value)
            if name:
                return name, rule
            refused += 1
        elif type(value) is dict:
            named, more = _first_name(_nested(key, value))
            if named[0]:
                return named
            refused += more
        if refused >= REFUSED_MAX:
            break
    return _of_files(found, files) if files else ("", "")


def first(one: tuple[str, str], other: tuple[str, str]) -> tuple[str, str]:
    """Return which of two (service, rule) counts; of two by the same rule the first one."""
    if one[0] and other[0]:
        return other if _RANK[other[1]] < _RANK[one[1]] else one
    return one if one[0] else other


def _first_name(candidates: Candidates) -> tuple[tuple[str, str], int]:
    """Return (service, rule) of the first that is a name, and how many were refused before it."""
    refused = 0
    for text, clean, rule in candidates:
        if type(text) is str and text:
            if name := clean(text):
                return (name, rule), refused
            refused += 1
            if refused == REFUSED_MAX:
                break
    return ("", ""), refused


def _nested(key: str, value: dict[str, Any]) -> Candidates:
    match key:
        case "resource":
            attributes = value.get("attributes")
            name = value.get("service.name") or (attributes.get("service.name") if type(attributes) is dict else None)
            return ((name, declared, "otel"),)
        case "service":
            return ((value.get("name"), declared, "ecs"),)
        case "kubernetes":
            return _of_kubernetes(value)
        case "winlog":
            return ((value.get("provider_name"), declared, "json"),)
        case _:
            return ((value.get("name"), identity.derived, "kubernetes"),)


def _of_kubernetes(value: dict[str, Any]) -> Candidates:
    """Return label, container and pod; names of containers are written by people, those of pods made."""
    labels = value.get("labels") or value.get("pod_labels")
    container = value.get("container")
    names = [labels.get(label) for label in _APP_LABELS] if type(labels) is dict else []
    names += [value.get("container_name"), container.get("name") if type(container) is dict else None]
    said = tuple((name, declared, "kubernetes") for name in names if name)
    return (*said, (value.get("pod_name"), identity.of_pod, "kubernetes"))


def _of_files(found: dict[str, Any], keys: tuple[str, ...]) -> tuple[str, str]:
    for key in keys:
        value = found[key]
        if key == "log":
            file = value.get("file") if type(value) is dict else None
            value = file.get("path") if type(file) is dict else None
        if type(value) is str and _is_log(key, value):
            name = identity.of_file(value)
            return (name, "file") if name else ("", "")
    return "", ""


def _is_log(key: str, path: str) -> bool:
    """Say whether a path is that of a log: not of source code, and not that of a request."""
    if "/" not in path and "\\" not in path:
        return False
    return _LOG_FILE.search(path) is not None or (key not in _MAY_BE_NO_FILE and _SOURCE_CODE.search(path) is None)
