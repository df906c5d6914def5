"""Template ids: lines that differ only in numbers, ids, addresses, paths and quoted values share one."""

from __future__ import annotations

import hashlib
import re
from typing import Final

TEXT_BYTES_MAX: Final = 512
"""A template is told by its first line, up to here."""

_STAMP: Final = re.compile(
    rb"(?:<\d{1,3}>(?:1 )?)?\[?(?:\d{4}[-/]\d\d[-/]\d\d|\d\d[-/]\w{3}[-/]\d{4}|(?:\w{3} )?\w{3} {1,2}\d{1,2})?"
    rb"[T :]{0,2}\d\d:\d\d:\d\d(?:[.,]\d+)?\s?(?:Z|UTC|[+-]\d\d:?\d\d)?\]?"
)
_VARIABLE: Final = re.compile(
    rb"\[[a-z]+:[0-9a-f]{12}\]"  # the tag of a secret, which differs between installations
    rb"|\"[^\"\n]{0,200}\"|'[^'\n]{0,200}'|<[^>\s]{1,80}>"
    rb"|(?<![\w])/(?:[\w.\-@+]+/)*[\w.\-@+]*"
    rb"|\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"
    rb"|(?<![\w.\-])[\w.\-]*?\d[\w.\-]*(?::\d+)?"
    rb"|\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{7,}\b"
)


def mask(text: bytes) -> bytes:
    """Return the first line of a text with its stamp left out and its variable parts replaced by ``*``."""
    line = text[:TEXT_BYTES_MAX].split(b"\n", 1)[0]
    stamp = _STAMP.match(line)
    return b" ".join(_VARIABLE.sub(b"*", line[stamp.end() :] if stamp else line).split())


def template_id(text: bytes) -> str:
    """Return 16 hex digits that are equal for equal masked lines."""
    return hashlib.blake2b(mask(text), digest_size=8).hexdigest()
