"""Takes secrets out of text before anything of ours stores, shows or sends it. Equal secrets keep equal tags.

A tag is ``[kind:xxxxxxxx]``, the beginning of a keyed hash, so it says that two lines hold the same secret without
saying which. Python's ``re`` is safe here: the expressions are ours, have no nested repeats, and the text is cut.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final

TEXT_CHARACTERS_MAX: Final = 2048

_PEM: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,40}(?:PRIVATE KEY|CERTIFICATE)-----.{0,4000}?(?:-----END [A-Z ]{0,60}-----|\Z)", re.DOTALL
)
_JWT: Final = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?")
_URL: Final = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.\-]{1,20}://[^\s:/@\"']{0,100}:)(?P<secret>[^\s/\"']{1,200})(?=@[\w.\[-])",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(
    r"(?P<before>\b(?:bearer|basic|token|apikey)[ :=]+)(?P<secret>[A-Za-z0-9._~+/\-]{12,}=*)", re.IGNORECASE
)
_NAMED: Final = re.compile(
    r"(?P<before>(?:password|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|auth[_-]?token|access[_-]?token|refresh[_-]?token|session[_-]?token|client[_-]?secret|credential|_token"
    r"|(?<![\w-])token|(?<![\w-])pass)s?[\"']?\s{0,3}(?:=>|[=:])\s{0,3}[\"']?)"
    r"(?P<secret>(?!\[[a-z]+:[0-9a-f]{8}\])[^\s\"',;&)}\]]{3,400})",
    re.IGNORECASE,
)
_KEYS: Final = re.compile(
    r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|hv[sb]\.[\w-]{20,}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|sk-[A-Za-z0-9_-]{20,}|sk_live_[A-Za-z0-9]{16,}|AIza[\w-]{35}|npm_[A-Za-z0-9]{30,})\b"
)
_KEY_HINTS: Final = (
    "akia",
    "asia",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "hvs.",
    "hvb.",
    "xox",
    "sk-",
    "sk_live_",
    "aiza",
    "npm_",
)
_CARD: Final = re.compile(r"[2-6](?<![\w.-].)(?:[ -]?\d){12,18}(?![\w.-])")
"""Cards begin with 2 to 6. A set of characters first lets ``re`` skip quickly to where it may match."""


class Redactor:
    """Replaces secrets by tags. ``key`` makes tags differ between installations; equal keys give equal tags."""

    def __init__(self, key: bytes = b"logmend") -> None:
        self._key: Final = key[:64]
        self._steps: Final[tuple[tuple[tuple[str, ...], re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = (
            (("-----begin",), _PEM, self._whole("pem")),
            (("eyj",), _JWT, self._whole("jwt")),
            (_KEY_HINTS, _KEYS, self._whole("key")),
            (("://",), _URL, self._part("login")),
            (("bearer", "basic", "token", "apikey"), _SCHEME, self._part("auth")),
            (("pass", "pwd", "secret", "key", "token", "credential"), _NAMED, self._part("value")),
            (tuple("23456"), _CARD, self._card),
        )

    def tag(self, kind: str, secret: str) -> str:
        """Return the stable tag of a secret."""
        digest = hashlib.blake2b(secret.encode("utf-8", "replace"), key=self._key, digest_size=4).hexdigest()
        return f"[{kind}:{digest}]"

    def text(self, text: str) -> str:
        """Return the text, cut to ``TEXT_CHARACTERS_MAX`` characters after its secrets were replaced by tags."""
        # Twice the limit is looked at, so that a secret over the edge is recognised before the cut.
        text = text[: TEXT_CHARACTERS_MAX * 2]
        low = text.lower()
        for hints, pattern, replace in self._steps:
            if any(hint in low for hint in hints):
                text = pattern.sub(replace, text)
        return text[:TEXT_CHARACTERS_MAX]

    def _whole(self, kind: str) -> Callable[[re.Match[str]], str]:
        return lambda found: self.tag(kind, found[0])

    def _part(self, kind: str) -> Callable[[re.Match[str]], str]:
        return lambda found: found["before"] + self.tag(kind, found["secret"])

    def _card(self, found: re.Match[str]) -> str:
        digits = [int(character) for character in found[0] if character.isdigit()]
        return self.tag("card", "".join(map(str, digits))) if _luhn(digits) else found[0]


def _luhn(digits: list[int]) -> bool:
    """Say whether the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
