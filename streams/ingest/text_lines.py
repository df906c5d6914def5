"""What the beginning of a plain text line says: its time, and by syslog's convention host, program and severity."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from streams.ingest import identity, levels, stamps, traces

Head = tuple[str, str, str, int]
"""(service, host, level, stamp); ``""`` and 0 for what the line does not say."""

HEAD_BYTES_MAX: Final = 400
"""All that a beginning says stands within this many bytes."""

_NAME: Final = rb"(?P<app>[^\s:\[(<|=\"']{1,80})"
_AFTER: Final = rb"(?:\s*(?:\[[^\]\s]*\]|\(\w+\))?(?::|\s*\()|\[\d+\] )"  # rsyslog relays 5424 as "app[7] text"
_PRIORITY: Final = re.compile(rb"<(\d{1,3})>")
_RFC5424: Final = re.compile(rb"1 (?P<stamp>\S+) (?P<host>\S+) (?P<app>\S+) \S+ \S+ ")
_TRADITIONAL: Final = re.compile(
    rb"(?P<stamp>[A-Z][a-z][a-z] {1,2}\d{1,2} \d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d+))? (?P<host>[\w.\-]+) "
    + _NAME
    + _AFTER
)
_WITH_ZONE: Final = re.compile(
    rb"(?P<stamp>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)) (?P<host>[\w.\-]+) "
    + _NAME
    + rb"(?:(?:\[\d*\])?:|\[\d+\] )"
)


def read_head(line: bytes, append_ms: int, *, stamped: bool = False) -> Head:
    """Return what the line's beginning says; ``append_ms`` chooses a missing year.

    ``stamped``: the line's time is known, so no stamp is looked for where it costs most, in free text.
    """
    if line[:1] == b"<":
        priority = _PRIORITY.match(line)
        if priority is not None and int(priority[1]) < 192:
            inner = line[priority.end() : priority.end() + HEAD_BYTES_MAX]
            service, host, _, at_ms = _read(inner, append_ms, stamped=stamped)
            return service, host, levels.of_priority(int(priority[1])), at_ms
    return _read(line[:HEAD_BYTES_MAX], append_ms, stamped=stamped)


def _read(line: bytes, append_ms: int, *, stamped: bool) -> Head:
    found = _TRADITIONAL.match(line) if line[3:4] == b" " else None
    if found:
        at_ms = stamps.of_syslog(found["stamp"], found["fraction"])
        return _named(found, at_ms)
    if line[4:5] == b"-" and line[:4].isdigit():
        at_ms = stamps.of_start(line)
        inner = traces.unwrapped(line)[0] if line[10:11] == b"T" else line
        if inner is not line:
            service, host, level, inner_ms = read_head(inner, append_ms, stamped=stamped)
            return service, host, level, inner_ms or at_ms
        found = _WITH_ZONE.match(line) if line[10:11] == b"T" else None
        if found and _host(found["host"]).lower() not in _WORDS:
            return _named(found, at_ms)
        if at_ms:
            return "", "", "", at_ms
    found = _RFC5424.match(line) if line[:2] == b"1 " else None
    if found:
        at_ms = stamps.of_head(found["stamp"], append_ms)
        return _service(_present(found["app"])), _host(_present(found["host"])), "", at_ms
    return "", "", "", 0 if stamped else stamps.of_head(line[: stamps.HEAD_BYTES], append_ms)


_WORDS: Final = frozenset(levels.OF_WORD)
_CAPITAL: Final = re.compile(rb"[A-Z][a-z]+ ")


def _named(found: re.Match[bytes], at_ms: int) -> Head:
    """Return the program and host of a line; none when they are words of a sentence: "Connection lost: ", no pid."""
    if _CAPITAL.match(found.string, found.start("host")) and b"]" not in found[0][-4:]:
        return "", "", "", at_ms
    return _service(found["app"]), _host(found["host"]), "", at_ms


def _present(word: bytes) -> bytes:
    return b"" if word == b"-" else word


@lru_cache(maxsize=4096)
def _service(app: bytes) -> str:
    return identity.derived(app.decode("utf-8", "replace"))


@lru_cache(maxsize=4096)
def _host(host: bytes) -> str:
    return host.decode("utf-8", "replace")[: identity.NAME_MAX]
