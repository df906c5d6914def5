"""Template ids: lines that differ only in numbers, ids, addresses, paths and quoted values share one.

An id is a hash of the masked line and, behind a dot, its shape: two characters for each word, ``**`` for one that is
masked as a whole. Words that say what happened begin with a capital there, others with a small letter. So the fold can
tell that two templates differ in a name only, and give them a parent, without seeing a word: many words share two
characters.
"""

from __future__ import annotations

import hashlib
import re
import string
import zlib
from functools import lru_cache
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


SHAPE_WORDS_MAX: Final = 24
"""Words that a shape has two characters for; all that follow them share two more."""
_HAPPENED: Final = frozenset(
    b"up down on off open opens close closes start stop pause resume begin end read write lost sent send no not ok yes"
    b" true false success fail fails failure error timeout kill dead alive enter leave exit connect disconnect bind"
    b" unbind add remove get set put create delete login logout in out to from by for with at of and or is was".split()
)
"""Words that say what happened, or hold a sentence together: where two lines differ in one, they are two events.
So is every word of letters that ends in "ed" or "ing", behind two letters at least."""
_AROUND: Final = bytes(
    byte for byte in range(256) if not (chr(byte).isascii() and (chr(byte).isalnum() or byte == 0x5F))
)
"""What is no part of a word."""
_SECOND: Final = string.digits + string.ascii_letters + "-_"
_LETTERS: Final = re.compile(rb"[A-Za-z]{2}")
"""A word with so many letters beside what is masked in it is still a word (``logger.go:*``)."""
_WORDS_CACHED: Final = 4_096


def shape(masked: bytes) -> str:
    """Return the shape of a masked line; masked words that follow each other are one."""
    words = [_two(word) for word in masked.split()]
    held = [word for place, word in enumerate(words) if word != "**" or not place or words[place - 1] != "**"]
    if len(held) > SHAPE_WORDS_MAX:
        held[SHAPE_WORDS_MAX:] = [_letters("".join(held[SHAPE_WORDS_MAX:]).encode(), string.ascii_uppercase)]
    return "".join(held)


@lru_cache(_WORDS_CACHED)
def _two(word: bytes) -> str:
    if b"*" in word and not _LETTERS.search(word):
        return "**"
    return _letters(word, string.ascii_uppercase if _happened(word) else string.ascii_lowercase)


def _happened(word: bytes) -> bool:
    bare = word.strip(_AROUND).lower()
    if bare in _HAPPENED:
        return True
    return bare.isalpha() and ((len(bare) > 3 and bare[-2:] == b"ed") or (len(bare) > 4 and bare[-3:] == b"ing"))


def _letters(word: bytes, first: str) -> str:
    high, low = divmod(zlib.crc32(word), len(_SECOND))
    return first[high % len(first)] + _SECOND[low]


def template_id(text: bytes) -> str:
    """Return what is equal for equal masked lines: 16 hex digits, a dot and the shape."""
    masked = mask(text)
    return f"{hashlib.blake2b(masked, digest_size=8).hexdigest()}.{shape(masked)}"
