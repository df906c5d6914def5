"""Lines that producers wrap in JSON objects, whatever they call the fields.

Which keys hold text, time, service, host and level depends on the set of keys alone, so it is worked out once for each
set (a ``Plan``) and remembered: a million lines of one producer cost one plan.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from streams.ingest import access_fields, identity, levels, service_fields, stamps
from streams.ingest.formats.signs import envelope_of
from streams.ingest.identity import declared
from streams.ingest.service_fields import Rows, service_of
from streams.ingest.stamps import of_text

Read = tuple[bytes, str, str, str, str, int]
"""(text, service, service_rule, host, level, stamp); ``""`` and 0 for what the producer did not say."""
ENVELOPE: Final[Read] = (b"", "", "", "", "", 0)
"""What is read of an object that may wrap lines (``formats.envelopes``): this very tuple."""

_TEXT_KEYS: Final = (
    *("message", "msg", "log", "event", "MESSAGE", "Message", "@message", "body", "Body", "short_message", "text"),
)
_TIME_KEYS: Final = (
    *("@timestamp", "timestamp", "ts", "time", "Timestamp", "datetime", "date", "asctime", "eventTime", "t"),
    *("__REALTIME_TIMESTAMP", "start_time", "created", "timereported", "ISODATE", "instant"),
    *("EventTime", "requestReceivedTimestamp"),
)
LEVEL_KEYS: Final = (
    *("level", "severity", "levelname", "log.level", "Level", "loglevel", "log_level", "lvl", "severity_text"),
    *("SeverityText", "Severity", "s", "PRIORITY", "priority", "syslogseverity"),
)
_HOST_KEYS: Final = (
    *("host", "hostname", "host.name", "_HOSTNAME", "HOSTNAME", "HOST", "Hostname", "node_name"),
    "kubernetes.node_name",
)
_DETAIL_KEYS: Final = (
    *("error", "err", "exception", "exc_info", "stack_trace", "stacktrace", "stack", "traceback", "error.message"),
    *("error.stack_trace", "attr", "reason", "detail", "details", "thrown"),
)
_PLANS_MAX: Final = 2048
_PLAN_KEYS_MAX: Final = 64


class Plan(Struct, frozen=True):
    """The keys of one shape of object that are worth a look, in the order in which they are asked."""

    texts: tuple[str, ...]
    times: tuple[str, ...]
    levels: tuple[str, ...]
    hosts: tuple[str, ...]
    services: Rows
    files: tuple[str, ...]
    details: tuple[str, ...]
    quick: bool
    """Text, time and a declared service are all there is to read: ``text`` and ``time`` are their keys."""
    envelope: bool = False
    """The keys are those of an object that wraps lines."""
    request: access_fields.Fields | None = None
    """Where method, path and status of a request may stand."""
    text: str = ""
    time: str = ""
    service: str = ""
    """The key of a declared service, when no other is asked before."""


def plan_of(keys: tuple[str, ...]) -> Plan:
    """Return the plan for a set of keys."""
    present = frozenset(keys)
    services = service_fields.rows_of(present)
    plan = Plan(
        texts=tuple(key for key in _TEXT_KEYS if key in present),
        times=tuple(key for key in _TIME_KEYS if key in present),
        levels=tuple(key for key in (*LEVEL_KEYS, "log", "severity_number", "SeverityNumber") if key in present),
        hosts=tuple(key for key in (*_HOST_KEYS, "kubernetes", "resource") if key in present),
        services=services,
        files=service_fields.files_of(present),
        details=tuple(key for key in _DETAIL_KEYS if key in present),
        quick=False,
        envelope=bool(envelope_of(present)),
        request=access_fields.fields_of(present),
        service=service_fields.declared_key(services),
    )
    if not (plan.texts and plan.times and plan.service) or plan.levels or plan.hosts or plan.details or plan.request:
        return plan
    return replace(plan, quick=True, text=plan.texts[0], time=plan.times[0])


class JsonReader:
    """Reads JSON objects; remembers plans, which changes its speed and never its answers."""

    def __init__(self) -> None:
        self.decode_strictly: Final = msgspec.json.Decoder().decode
        self._plans: Final[dict[tuple[str, ...], Plan]] = {}

    def decode(self, value: bytes) -> Any:
        """Return the JSON value of bytes, with bad UTF-8 replaced; None when they are no JSON."""
        try:
            return self.decode_strictly(value)
        except RecursionError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        if value.isascii():
            return None
        try:
            return self.decode_strictly(value.decode("utf-8", "replace").encode())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def read(self, found: dict[str, Any], raw: bytes | None, *, unfold: bool = True) -> Read:
        """Return the line of a decoded object; ``raw``, or None: its JSON, is its text when no field holds one.

        Returns ``ENVELOPE`` for an object that may wrap lines, unless it is told not to ``unfold``.
        """
        keys = tuple(found)
        plan = self._plans.get(keys) or self._planned(keys)
        if plan.quick:
            text, stamp, name = found[plan.text], found[plan.time], found[plan.service]
            if type(text) is type(stamp) is type(name) is str and name and text and text[0] != "{":
                return text.encode("utf-8", "replace"), declared(name), "json", "", "", of_text(stamp)
        if plan.envelope and unfold:
            return ENVELOPE
        first = found[plan.texts[0]] if plan.texts else ""
        if type(first) is str and first and first[0] != "{":
            text = first
        else:
            text, inner = self._text(found, plan)
            if inner is not None:
                return self._merged(found, inner, text)
        at_ms = _time_of(found, plan.times) if plan.times else 0
        name = found[plan.service] if plan.service else ""
        service, rule = declared(name) if type(name) is str else "", "json"
        if not service:
            service, rule = service_of(found, plan.services, plan.files)
        host = _host_of(found, plan.hosts) if plan.hosts else ""
        level = _level_of(found, plan.levels) if plan.levels else ""
        if text and (text[0] == " " or text[-1] == "\n"):
            text = bare(text)
        data = _whole(found, plan, text, raw)
        if plan.request is not None:
            data = _with_request(found, plan, data, text, level)
        return data, service, rule, host, level, at_ms

    def _planned(self, keys: tuple[str, ...]) -> Plan:
        plan = plan_of(keys)
        if len(keys) <= _PLAN_KEYS_MAX:
            if len(self._plans) >= _PLANS_MAX:
                self._plans.clear()
            self._plans[keys] = plan
        return plan

    def _text(self, found: dict[str, Any], plan: Plan) -> tuple[str, dict[str, Any] | None]:
        """Return the line's text, and the object in it when the text is JSON itself (Docker around an application)."""
        for key in plan.texts:
            value = found[key]
            if type(value) is str and value:
                if value[0] == "{" and (inner := self.decode(value.encode("utf-8", "replace"))).__class__ is dict:
                    return value, inner
                return value, None
            if key == "MESSAGE" and type(value) is list:
                return _journal_bytes(value), None
        return "", None

    def _merged(self, outer: dict[str, Any], inner: dict[str, Any], text: str) -> Read:
        """Return the line of the inner object; what it does not say, the outer one says."""
        within = self.read(inner, text.encode("utf-8", "replace"), unfold=False)
        around = self.read({key: value for key, value in outer.items() if key not in _TEXT_KEYS}, b"", unfold=False)
        service, rule = service_fields.first(within[1:3], around[1:3])
        host, level = within[3] or around[3], within[4] or around[4]
        return within[0], service, rule, host, level, within[5] or around[5]


def bare(text: str) -> str:
    """Return a text without Docker's line break, and without the space that rsyslog keeps after the tag."""
    bare = text.rstrip("\r\n")
    return bare[1:] if bare[:1] == " " and not bare[1:2].isspace() else bare


def _whole(found: dict[str, Any], plan: Plan, text: str, raw: bytes | None) -> bytes:
    """Return a text with what other fields say of an error below it; the whole object where there is no text."""
    if not text:
        return msgspec.json.encode(found) if raw is None else raw
    data = text.encode("utf-8", "replace")
    return b"\n".join((data, *(_detail(found[key]) for key in plan.details))) if plan.details else data


def _with_request(found: dict[str, Any], plan: Plan, data: bytes, text: str, level: str) -> bytes:
    """Return a line with the request that it tells of: below its text, above an object that has none."""
    if plan.request is None or not data:
        return data
    rank = levels.RANK[level]
    told = rank >= levels.RANK["warning"] or any(found[key] for key in plan.details)
    cause = rank >= levels.RANK["error"] and ": " in text
    words = access_fields.words_of(found, plan.request, told=told, cause=cause).encode("utf-8", "replace")
    if not words:
        return data
    return b"\n".join((data, words) if text else (words, data))


def _journal_bytes(numbers: list[Any]) -> str:
    """Return the text of a journald field that is no UTF-8, which journalctl writes as a list of its bytes."""
    try:
        return bytes(numbers).decode("utf-8", "replace")
    except (TypeError, ValueError):
        return ""


def _time_of(found: dict[str, Any], keys: tuple[str, ...]) -> int:
    """Return the first stamp that can be true; ``WRONG`` when there are only others."""
    wrong = 0
    for key in keys:
        value = found[key]
        at_ms = of_text(value) if type(value) is str else stamps.of_value(value)
        if at_ms == stamps.WRONG:
            wrong = stamps.WRONG
        elif at_ms:
            return at_ms
    return wrong


def _host_of(found: dict[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = found[key]
        host = value[: identity.NAME_MAX] if type(value) is str else _nested_host(key, value)
        if host:
            return host
    return ""


def _level_of(found: dict[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        level = _level(key, found[key])
        if level:
            return level
    return ""


def _nested_host(key: str, value: object) -> str:
    if type(value) is not dict:
        return ""
    if key == "resource":
        attributes = value.get("attributes")
        name = attributes.get("host.name") if type(attributes) is dict else value.get("host.name")
    else:
        name = value.get("name") or value.get("hostname") or value.get("host") or value.get("node_name")
        name = name or value.get("pod_node_name")
    return name[: identity.NAME_MAX] if type(name) is str else ""


def _level(key: str, value: object) -> str:
    if key in {"severity_number", "SeverityNumber"}:
        return levels.of_otel(value)
    if key == "log":
        return levels.of_value(value.get("level")) if type(value) is dict else ""
    return levels.of_value(value)


def _detail(value: object) -> bytes:
    if type(value) is str:
        return value.encode("utf-8", "replace")
    return msgspec.json.encode(value) if type(value) in {dict, list} else b""
