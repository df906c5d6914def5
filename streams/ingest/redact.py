"""Takes secrets out of text before anything of ours stores, shows or sends it. Equal secrets keep equal tags.

A tag is ``[kind:xxxxxxxxxxxx]``, the beginning of a keyed hash, so it says that two lines hold the same secret without
saying which: nobody without the key can try out likely ones. What secrets look like is in ``secret_shapes``.
"""

from __future__ import annotations

import hashlib
import math
import re
import threading
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from streams.ingest import compiled, judging
from streams.ingest.compiling import Expression
from streams.ingest.secret_shapes import SHAPES, Shape

TEXT_CHARACTERS_MAX: Final = 2048
READ_CHARACTERS_MAX: Final = 3072
"""So much is looked at, so that a secret over the edge is recognised before the cut."""
RECORD_CHARACTERS_MAX: Final = 500_000
"""So much of one record is looked at closely or kept as evidence: what is made to be slow takes 1 µs a character."""
SPENT_CHARACTERS: Final = 128
"""So much is then left of each text, so that 5 000 lines take another second. Names are shorter: they stay whole."""
TAG_DIGITS: Final = 12
"""48 bits: among a million secrets the chance that any two share a tag is 0.2 %; 32 bits would make it certain."""
_OWN: Final = threading.local()
_NAMES_MAX: Final = 20_000
_HARMLESS: Final[set[str]] = set()
"""Names in which ``holds_secret`` saw nothing: they are recorded after that, and need not be looked at again."""
_SPLIT: Final = re.compile(r"(?P<name>[^\s=;,]{1,100})=(?P<secret>[^;,\s]{1,3000})")
_IN_KEY: Final = re.compile(r"\\+[nrt]?|#012|[^A-Za-z0-9+/=]")
_UNFINISHED: Final = "".join(map(chr, range(33, 127))).translate({ord(c): None for c in "\"'`,;&<>(){}[]|"})

Replace = Callable[[re.Match[str]], str]


def cut(data: bytes, size_bytes: int) -> bytes:
    """Return a text cut to a size, without the word over the edge: half a secret is not known for one."""
    return data if len(data) <= size_bytes else data[:size_bytes].rstrip(_UNFINISHED.encode())


def holds_secret(name: str) -> bool:
    """Say whether a name holds a secret, which must then not be recorded as one; for short texts."""
    redactor: Redactor | None = getattr(_OWN, "redactor", None)
    if redactor is None:
        redactor = _OWN.redactor = Redactor()
    if len(name) > TEXT_CHARACTERS_MAX or redactor.may_hold_secret(name):
        return redactor.text(name) != name
    if len(_HARMLESS) >= _NAMES_MAX:
        _HARMLESS.clear()
    _HARMLESS.add(name)
    return False


class Redactor:
    """Replaces secrets by tags. ``key`` makes tags differ between installations; equal keys give equal tags.

    One redactor per thread: it reuses one scratch space. ``left_characters`` is what may still be looked at closely;
    who reads records sets it to ``RECORD_CHARACTERS_MAX`` before each, everybody else has no limit.
    """

    def __init__(self, key: bytes = b"logmend") -> None:
        self._key: Final = hashlib.blake2b(key, digest_size=32, person=b"logmend.redact").digest()
        self._replace: Final = tuple((shape.exact.sub, self._replacing(shape)) for shape in SHAPES)
        self._scan: Final = compiled.database([Expression(shape.kind, shape.hint) for shape in SHAPES]).scan
        self._hits: Final[list[int]] = []
        append = self._hits.append
        self._seen: Final = lambda shape, _start, _end, _flags, _context: append(shape)
        self._names: Final[dict[str, str]] = {}
        self.left_characters = math.inf

    def tag(self, kind: str, secret: str) -> str:
        """Return the stable tag of a secret; what is written with per cents is the same secret."""
        plain = unquote(secret) if "%" in secret else secret
        digest = hashlib.blake2b(plain.encode("utf-8", "replace"), key=self._key, digest_size=TAG_DIGITS // 2)
        return f"[{kind}:{digest.hexdigest()}]"

    def text(self, text: str) -> str:
        """Return the text, cut to ``TEXT_CHARACTERS_MAX`` characters after its secrets were replaced by tags.

        For everything that leaves the place where lines are read: evidence, screens, and what a model is asked.
        """
        if len(text) > READ_CHARACTERS_MAX:
            text = text[:READ_CHARACTERS_MAX].rstrip(_UNFINISHED)
        hits = self._hits
        self._scan(text.encode("utf-8", "replace"), self._seen)
        if hits:
            self.left_characters -= len(text)
            if self.left_characters < 0 and len(text) > SPENT_CHARACTERS:
                text = text[:SPENT_CHARACTERS].rstrip(_UNFINISHED)
            hits.sort()
            for hit in hits:
                substitute, replace = self._replace[hit]
                text = substitute(replace, text)
            hits.clear()
        return text[:TEXT_CHARACTERS_MAX]

    def may_hold_secret(self, text: str) -> bool:
        """Say whether a text has what secrets begin with; ``text`` leaves any other text as it is."""
        self._scan(text.encode("utf-8", "replace"), self._seen)
        found = bool(self._hits)
        self._hits.clear()
        return found

    def line(self, line: bytes, size_bytes: int) -> str:
        """Return a line as it may be kept: cut to ``size_bytes``, redacted, without NUL; it counts for its record."""
        size_bytes = size_bytes if self.left_characters > 0 else SPENT_CHARACTERS
        text = self.text(cut(line, size_bytes).decode("utf-8", "replace").replace("\x00", "\ufffd"))
        self.left_characters -= len(text)
        return text

    def name(self, name: str) -> str:
        """Return the name of a service or host; a tag when it holds a secret, or is an address that may hold one."""
        known = self._names.get(name)
        if known is None:
            if len(self._names) >= _NAMES_MAX:
                self._names.clear()
            clean = "://" not in name and (name in _HARMLESS or self.text(name) == name)
            known = self._names[name] = name if clean else self.tag("name", name)
        return known

    def _replacing(self, shape: Shape) -> Replace:
        """Return what ``re`` calls for each match of a shape."""
        groups = [name for name in shape.exact.groupindex if name in _SECRETS]
        judge, kind = judging.JUDGES[shape.judge] if shape.judge != "jar" else None, shape.kind

        def replace(found: re.Match[str]) -> str:
            start, end = _where(found, groups)
            secret = found.string[start:end]
            if judge is None:
                tagged = _SPLIT.sub(self._crumb, secret)
            elif judge(found, secret):
                tagged = self.tag(kind, _normal(kind, secret))
            else:
                return found[0]
            return found.string[found.start() : start] + tagged + found.string[end : found.end()]

        return replace

    def _crumb(self, found: re.Match[str]) -> str:
        """Return a cookie with a tag for its value."""
        if judging.crumb(found["name"], found["secret"]):
            return found[0]
        return f"{found['name']}={self.tag('cookie', found['secret'])}"


_SECRETS: Final = frozenset({"secret", "quoted", "bare", "lines", "user", "dsn", "thin", "jar"})


def _where(found: re.Match[str], groups: list[str]) -> tuple[int, int]:
    """Return where the secret of a match stands: the group that took part, or all of it."""
    for group in groups:
        if found.start(group) >= 0:
            return found.span(group)
    return found.span()


def _normal(kind: str, secret: str) -> str:
    """Return a secret without what only its writing adds, so that equal ones have equal tags."""
    if kind == "pem":
        return _IN_KEY.sub("", secret)
    if kind == "card":
        return re.sub(r"\D", "", secret)
    return secret
