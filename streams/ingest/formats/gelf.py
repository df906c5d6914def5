"""GELF, Graylog's JSON: https://go2docs.graylog.org/current/getting_in_log_data/gelf.html.

Its additional fields begin with an underscore; the names below are those that Docker, Fluent Bit and the libraries for
Java and Python give them.
"""

from __future__ import annotations

from typing import Any, Final

from streams.ingest import identity, levels, stamps
from streams.ingest.formats.reading import Item, line
from streams.ingest.json_lines import JsonReader

_DECLARED_KEYS: Final = ("_service", "_service_name", "_app", "_application", "_application_name", "_facility")
_KUBERNETES_KEYS: Final = (
    *("_kubernetes_labels_app_kubernetes_io/name", "_kubernetes_labels_app", "_kubernetes_container_name"),
    *("_container_name", "_kubernetes_pod_name"),
)
_LOGGER_KEYS: Final = ("_logger", "_logger_name", "_loggerName", "_LoggerName", "facility")
_THROWN_KEYS: Final = ("_exception", "_stack_trace", "_stacktrace", "_StackTrace", "_error")


def unfold(found: dict[str, Any], _reader: JsonReader) -> list[Item] | None:
    """Return the one line of a GELF message; None when its short message is no text."""
    short = found["short_message"]
    if type(short) is not str:
        return None
    host = _text(found, "host")[: identity.NAME_MAX]
    level = levels.of_value(found.get("level")) or levels.of_value(found.get("_level"))
    at_ms = stamps.of_value(found.get("timestamp"))
    return [line(_whole(short, found), _service_of(found), host, level, at_ms)]


def _whole(short: str, found: dict[str, Any]) -> bytes:
    """Return the short message with what else is told below it; a full message that repeats it stands alone."""
    full = _text(found, "full_message")
    told = [full] if short and full.startswith(short) else [short, full]
    told += [_text(found, key) for key in _THROWN_KEYS]
    return "\n".join(part for part in told if part).encode("utf-8", "replace")


def _service_of(found: dict[str, Any]) -> tuple[str, str]:
    for keys, rule in ((_DECLARED_KEYS, "json"), (_KUBERNETES_KEYS, "kubernetes"), (_LOGGER_KEYS, "json")):
        name = next((name for key in keys if (name := _text(found, key))), "")
        if name:
            return (identity.declared(name) if rule == "json" else identity.derived(name)), rule
    return "", ""


def _text(found: dict[str, Any], key: str) -> str:
    value = found.get(key)
    return value if type(value) is str else ""
