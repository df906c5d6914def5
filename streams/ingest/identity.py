"""Which service a line belongs to, and by which rule that is known.

Names that machines make carry parts that change with every start: pod hashes, process ids, instance numbers. They are
taken off, so that a service keeps its name. A name that a person wrote into a field is kept, but for a pod's hash.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from streams.ingest.redact import holds_secret

NAME_MAX: Final = 120

_POD_HASH: Final = re.compile(
    r"-[0-9a-f]{8,10}-[a-z0-9]{5}$|-[bcdfghjklmnpqrstvwxz2456789]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$"
)
_PID: Final = re.compile(r"\[\d+\]$|\(\d+\)$|#\d+$")
_INSTANCE: Final = re.compile(r"(?:[-_./@:]\d{1,6})+$")
_TEMPLATED: Final = re.compile(r"@[^@]*\.service$|\.service$")
_ODD: Final = re.compile(r"[^\w.\-/:@+ ]+")
_MACHINE_MADE: Final = re.compile(r"[0-9a-fA-F\-]{8,}|\d+")
_ROTATED: Final = re.compile(r"(?:\.(?:log|txt|out|err|json|gz|\d{1,8})|-\d{8})+$")


@lru_cache(maxsize=20_000)
def declared(name: str) -> str:
    """Return a name that somebody wrote into a service field, without a pod's hash or a process id."""
    return _POD_HASH.sub("", _tidy(_without_pid(name))) or _tidy(name)


@lru_cache(maxsize=20_000)
def derived(name: str) -> str:
    """Return a name that a machine made (container, syslog tag, file, key), without what changes with a start."""
    tidy = _tidy(_without_pid(name)).strip("/")
    bare = _TEMPLATED.sub("", tidy)
    bare = _INSTANCE.sub("", _POD_HASH.sub("", bare))
    return bare or tidy


@lru_cache(maxsize=4096)
def of_file(path: str) -> str:
    """Return the stem of a log file's name: ``/var/log/nova/nova-api.log.1`` is ``nova-api``; ``""`` of a secret."""
    if holds_secret(path):
        return ""
    return derived(_ROTATED.sub("", path.replace("\\", "/").rsplit("/", 1)[-1]))


@lru_cache(maxsize=4096)
def of_key(key: bytes) -> str:
    """Return the name that a record's key gives; ``""`` for ids, hashes and bytes that are no text."""
    try:
        name = key.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    if not name.isprintable() or len(name) > NAME_MAX or _MACHINE_MADE.fullmatch(name):
        return ""
    return derived(name)


def _without_pid(name: str) -> str:
    return _PID.sub("", name[: NAME_MAX * 2])


def _tidy(name: str) -> str:
    """Return a name without the characters that names don't have; nothing of one that holds a secret."""
    if holds_secret(name):
        return ""
    return _ODD.sub("", name[: NAME_MAX * 2]).strip()[:NAME_MAX]
