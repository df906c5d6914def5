"""A log record of OpenTelemetry as a line, whichever encoding it came in.

The data model: https://opentelemetry.io/docs/specs/otel/logs/data-model/; names of attributes by its semantic
conventions for resources, exceptions and the receivers of the Collector.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from streams.ingest import identity, levels, stamps
from streams.ingest.formats.reading import line
from streams.ingest.json_lines import JsonReader, Read

DEPTH_MAX: Final = 16
"""How deep a body's lists and maps are followed."""
_UNNAMED: Final = "unknown_service"
"""What a SDK calls the service when nobody gave it a name, alone or with ``:process``."""
_KUBERNETES_KEYS: Final = (
    *("k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.cronjob.name"),
    *("k8s.job.name", "k8s.container.name", "container.name", "k8s.pod.name"),
)
_HOST_KEYS: Final = ("host.name", "k8s.node.name", "hostname", "host")
_FILE_KEYS: Final = ("log.file.path", "log.file.name")
_POD_LOGS: Final = "/var/log/pods/"
_DETAIL_KEYS: Final = (
    *("exception.stacktrace", "error", "err", "error.message", "error.stack_trace", "stack_trace", "stacktrace"),
    *("stack", "reason"),
)
_NAMES: Final = frozenset(("service.name", "appname", *_KUBERNETES_KEYS, *_HOST_KEYS, *_FILE_KEYS))
_TROUBLES: Final = frozenset(("exception.type", "exception.message", *_DETAIL_KEYS))
"""What a record's attributes are asked for. Most have none of it, which one look says."""


class Owner(Struct, frozen=True):
    """Whose the lines of one resource are; ``""`` for what it does not say."""

    service: tuple[str, str] = ("", "")
    host: str = ""


NOBODY: Final = Owner()


class Said(Struct):
    """A log record. ``level`` is one of our severities or ``""``; ``at_ms`` is a stamp, 0 when there is none."""

    body: Any
    attributes: dict[str, Any]
    level: str
    at_ms: int


def level_of(number: object, text: object) -> str:
    """Return the severity that a number 1..24 says, else the word beside it, a text or bytes."""
    if number:
        level = levels.of_otel(number)
        if level:
            return level
    return levels.of_value(text.decode("utf-8", "replace") if isinstance(text, bytes) else text) if text else ""


def stamp_of(nanoseconds: int) -> int:
    """Return the stamp of a time in nanoseconds since 1970; 0 when none is stated."""
    at_ms = nanoseconds // 1_000_000
    return at_ms if at_ms >= stamps.EARLIEST_MS or not nanoseconds else stamps.WRONG


def owner_of(attributes: dict[str, Any]) -> Owner:
    """Return whose lines those of a resource (or of one record's attributes) are."""
    if not attributes:
        return NOBODY
    return Owner(service=_service_of(attributes), host=_first(attributes, _HOST_KEYS)[: identity.NAME_MAX])


def read_of(said: Said, owner: Owner, reader: JsonReader) -> Read:
    """Return the line of a log record; what the resource doesn't say, its attributes or its body may say."""
    text, service, rule, host, level, at_ms = _body_of(said.body, reader)
    if not _TROUBLES.isdisjoint(said.attributes):
        text = _with_details(text, said.attributes)
    if not (owner.service[0] and owner.host) and not _NAMES.isdisjoint(said.attributes):
        own = owner_of(said.attributes)
        if own.service[0]:
            service, rule = own.service
        host = own.host or host
    if not text:
        text = msgspec.json.encode(said.attributes) if said.attributes else b""
    named = owner.service if owner.service[0] else (service, rule)
    return line(text, named, owner.host or host, said.level or level, said.at_ms or at_ms)


def _body_of(body: Any, reader: JsonReader) -> Read:
    """Return the line in a body: a text, or an object (also one in a text) that has a message of its own."""
    if type(body) is str:
        text = body.rstrip("\r\n\x00")
        data = text.encode("utf-8", "replace")
        found = reader.decode(data) if text[:1] == "{" else None
        return reader.read(found, data, unfold=False) if type(found) is dict else (data, "", "", "", "", 0)
    if type(body) is dict:
        return reader.read(body, None, unfold=False)
    return b"" if body is None else msgspec.json.encode(body), "", "", "", "", 0


def _with_details(text: bytes, attributes: dict[str, Any]) -> bytes:
    """Return a text with what its attributes tell of an exception below it."""
    details = [
        f"{kind}: {message}" if kind and message else kind or message for kind, message in (_thrown(attributes),)
    ]
    details += [value for key in _DETAIL_KEYS if type(value := attributes.get(key)) is str]
    return b"\n".join(part for part in (text, *(detail.encode("utf-8", "replace") for detail in details)) if part)


def _thrown(attributes: dict[str, Any]) -> tuple[str, str]:
    """Return type and message of an exception, unless its stack trace begins with them."""
    kind, message = _text(attributes, "exception.type"), _text(attributes, "exception.message")
    trace = _text(attributes, "exception.stacktrace")
    return ("", "") if trace and kind in trace and message in trace else (kind, message)


def _service_of(attributes: dict[str, Any]) -> tuple[str, str]:
    name = _text(attributes, "service.name")
    if name and name != _UNNAMED and not name.startswith(_UNNAMED + ":"):
        return identity.declared(name), "otel"
    name = _first(attributes, _KUBERNETES_KEYS)
    if name:
        return identity.derived(name), "kubernetes"
    name = _text(attributes, "appname")
    if name:
        return identity.derived(name), "syslog"
    return _file_service(_first(attributes, _FILE_KEYS))


def _file_service(path: str) -> tuple[str, str]:
    """Return the service of a log file: a pod's is in a directory named for its container."""
    if path.startswith(_POD_LOGS):
        return identity.derived(path.rsplit("/", 2)[-2]), "kubernetes"
    return (identity.of_file(path), "file") if path else ("", "")


def _first(attributes: dict[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = attributes.get(key)
        if type(value) is str and value:
            return value
    return ""


def _text(attributes: dict[str, Any], key: str) -> str:
    value = attributes.get(key)
    return value if type(value) is str else ""
