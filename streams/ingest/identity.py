"""Which service a line belongs to, and by which rule that is known.

Names that machines make carry parts that change with every start: pod hashes, process ids, instance numbers. They are
taken off, so that a service keeps its name. A name that a person wrote into a field is kept, but for a pod's hash.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from streams.ingest.redact import holds_secret

NAME_MAX: Final = 120
READ_MAX: Final = 2 * NAME_MAX
"""So much of a name is looked at: an ending that is taken off may stand behind what is kept."""
_KEY_BYTES_MAX: Final = 4 * NAME_MAX + 2
"""The longest name in UTF-8, in quotes."""
PATH_MAX: Final = 512
"""So much of a path's end is looked at; those of containers have up to 450 characters."""
_SAFE: Final = r"[bcdfghjklmnpqrstvwxz2456789]"
"""What Kubernetes makes random endings of: no vowels, so that no words come about."""
_POD_HASH: Final = re.compile(rf"-(?:[0-9a-f]{{8,10}}-[a-z0-9]{{5}}|{_SAFE}{{8,10}}-{_SAFE}{{5}})$")
_POD_ENDING: Final = re.compile(rf"-{_SAFE}{{5}}$")
_MADE_UP: Final = re.compile(
    r"[-_.](?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=[a-f]*\d)[0-9a-f]{12,64}|\d+\.[a-z0-9]{25})$"
)
"""Endings of Nomad's, Amazon's and Swarm's tasks: a UUID, a hash, ``.1.`` and 25 characters."""
_PID: Final = re.compile(r"\[\d+\]$|\(\d+\)$|#\d+$")
_INSTANCE: Final = re.compile(r"(?<=[^\W\d_])(?:(?:[-_]\d{1,6}){1,2}|[./@:]\d{1,6})$")
"""One or two numbers at the end, behind a letter: not those of ``x86-64``, ``python3.11`` and ``ip-10-0-0-1``."""
_UNIT: Final = re.compile(r"\.(?:service|scope|socket|timer|mount|slice|target|path)$")
_OF_HOST: Final = re.compile(r"(?<=\w)@.*$")
_ODD: Final = re.compile(r"[^\w.\-/:@+$ ]+")
_SIMPLE: Final = re.compile(rf"[A-Za-z0-9_.\-/:]{{1,{NAME_MAX}}}")
_MACHINE_MADE: Final = re.compile(
    r"[0-9a-fA-F\-]{8,}|\d+|\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?|[0-9a-fA-F:]*:[0-9a-fA-F:]*|[0-9A-HJKMNP-TV-Z]{26}"
)
_ROTATED: Final = re.compile(
    r"(?:\.(?:log|txt|out|err|json|csv|gz|xz|bz2|zst|\d{1,10})|(?<=u_ex)\d{6}|[-_.]\d{8}(?:[-T_]?\d{2,6})?|[-_.]\d{4}-\d\d-\d\d(?:[-T_.]\d\d.*)?)+$"
)
_KUBELET: Final = re.compile(
    r"/containers/[^/]+_[^/_]+_(?P<one>[^/_]+)-[0-9a-f]{64}\.log|/pods/[^/]+/(?P<two>[^/]+)/\d+\.log"
)
"""Where a node keeps the output of a container: ``pod_namespace_NAME-id.log`` and ``namespace_pod_uid/NAME/0.log``."""
_DRIVE: Final = re.compile(r"^[A-Za-z]:")
_SAYS_WHAT: Final = frozenset(
    {
        "access",
        "error",
        "errors",
        "stdout",
        "stderr",
        "out",
        "err",
        "output",
        "console",
        "current",
        "log",
        "logs",
        "u_ex",
    }
)
"""File and directory names that say what is in a file, and not whose it is."""


class _Kept(dict[str, str]):
    """What a function says of texts, kept. Of a text of a megabyte only the cut one is kept; a hit costs no call."""

    def __init__(self, say: Callable[[str], str], cut: slice, texts_max: int) -> None:
        super().__init__()
        self._say: Final = say
        self._cut: Final = cut
        self._texts_max: Final = texts_max

    def __missing__(self, text: str) -> str:
        short = text[self._cut]
        if len(short) < len(text):
            return self[short]
        if len(self) >= self._texts_max:
            self.clear()
        found = self[text] = self._say(text)
        return found


def _declared(name: str) -> str:
    if _SIMPLE.fullmatch(name) and name[-6:-5] != "-":  # nothing to take off: the end of a pod's hash is "-" and five
        return "" if holds_secret(name) else name
    bare = _without_pid(name)
    tidy = _tidy(bare)
    if not tidy and bare == name:
        return ""
    return _POD_HASH.sub("", tidy) or _tidy(name)


def _derived(name: str) -> str:
    tidy = _tidy(_without_pid(name)).strip("/")
    bare = _OF_HOST.sub("", _UNIT.sub("", tidy))
    bare = _MADE_UP.sub("", _POD_HASH.sub("", bare))
    return _INSTANCE.sub("", bare) or tidy


def _of_file(path: str) -> str:
    if holds_secret(path):
        return ""
    path = path.replace("\\", "/")
    kubelet = _KUBELET.search(path)
    if kubelet:
        return declared(kubelet["one"] or kubelet["two"])
    stems = (_ROTATED.sub("", part).removesuffix("-json") for part in reversed(_DRIVE.sub("", path).split("/")[-3:]))
    stem = next((stem for stem in stems if stem not in _SAYS_WHAT), "")
    return "" if _MACHINE_MADE.fullmatch(stem) else derived(stem)


declared: Final = _Kept(_declared, slice(READ_MAX), 20_000).__getitem__
"""Return a name that somebody wrote into a service field, without a pod's hash or a process id."""
derived: Final = _Kept(_derived, slice(READ_MAX), 20_000).__getitem__
"""Return a name that a machine made (container, syslog tag, file, key), without what changes with a start."""
of_file: Final = _Kept(_of_file, slice(-PATH_MAX, None), 4096).__getitem__
"""Return the stem of a log file's name: ``/var/log/nova/nova-api.log.1`` is ``nova-api``.

A container's where the path is one of Kubernetes; the directory's where the stem says nothing, as that of
``/var/log/nginx/access.log``; ``""`` where nothing does, and of a secret.
"""


def of_pod(name: str) -> str:
    """Return the name of what a pod belongs to: a deployment, a stateful set, a daemon set or a job."""
    name = name[:PATH_MAX]
    without = _POD_HASH.sub("", name)
    return derived(without if without != name else _POD_ENDING.sub("", name))


def of_key(key: bytes) -> str:
    """Return the name that a record's key gives; ``""`` for ids, hashes and bytes that are no text."""
    return _of_key(key) if len(key) <= _KEY_BYTES_MAX else ""


@lru_cache(maxsize=4096)
def _of_key(key: bytes) -> str:
    try:
        name = key.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    name = name.strip('"')
    if not name.isprintable() or len(name) > NAME_MAX or _MACHINE_MADE.fullmatch(name) or _ODD.search(name):
        return ""
    return derived(name)


def _without_pid(name: str) -> str:
    return _PID.sub("", name[:READ_MAX])


def _tidy(name: str) -> str:
    """Return a name without the characters that names don't have; nothing of one that holds a secret."""
    if holds_secret(name):
        return ""
    return _ODD.sub("", name[:READ_MAX]).strip()[:NAME_MAX]
