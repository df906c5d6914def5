"""Whether a text that stands where a secret stands is one: words, placeholders and counters are not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from streams.ingest.secret_shapes import TAG

_WORDS: Final = frozenset(
    """
    a an and any are as at auth authentication authorization basic be bearer been bool bytes can cannot changed check
    contains could created data default denied did digest disabled does empty enabled error expired expires failed
    failure fetch field file for format found from had has have hash he hidden if in incorrect int integer invalid is it
    key length line malformed masked mismatch missing must n/a name negotiate new nil no none not null number object of
    off ok on or only optional other present prompt provided query random redacted refresh rejected request required
    reset set should str string the this to token true false too type unauthorized undefined unexpected unknown unset
    update updated used user using valid validation value was were will with without wrong yes you your
    """.split()  # noqa: SIM905 - a thousand quotes are harder to read
)
_NO_VALUE: Final = re.compile(
    r"[*x•.\-_?#]+|\$\{?\w*\}?|%\(?\w*\)?[sdvqr]?|\{.*|<.*|\$\(.*|[\[(]?(?:filtered|redacted|masked|hidden|removed|sanitized)\b.*"
    r"|aws4-hmac-sha256|secretstr\(?|os\.environ.*|\w+\(",
    re.IGNORECASE | re.DOTALL,
)
_TAG: Final = re.compile(TAG)
_AROUND: Final = re.compile(r"-----[A-Z ]*-----|bearer|basic|token|\\\\[nrt]|[^A-Za-z0-9]+", re.IGNORECASE)
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_HEX: Final = re.compile(r"(?:0x)?[0-9a-f]{32,}", re.IGNORECASE)
_SIGNS: Final = frozenset("!#$%^*~?&+@")
_NOT_CHOSEN: Final = re.compile(
    r"[/~].*|\w+://.*|\d[\d.:,/\-]*\D?|[\w.\-]+@[\w.\-]+|.*[(\[].*|v?\d+(?:\.\d+)+\S*|[a-z]+[-_]?\d{1,2}|\S*://\S*|[#%$]\w*|%\S*",
    re.IGNORECASE,
)
_COUNTED: Final = re.compile(
    r"(?:bytes|size|offset|count(?:er)?|total|seq|used|allowed|limit|free|inode|time|tick|nanos|_ns|_us|position|pos|addr|lsn|txid|xid"
    r"|lba|sector|block|blk|epoch|zxid|cycles|rss|ino|watermark|stamp)s?[\"']?\W{1,3}\Z",
    re.IGNORECASE,
)
_KEYS_OF_DATA: Final = re.compile(
    r"(?:cache|partition|primary|foreign|sort|routing|object|idempotency|dedup|row|shard|group|public|pub|index|registry|host|unique"
    r"|lookup|map|item|s3|kms|message|record|storage|config|state|lock|tag|etag|content|file|blob|hash)\Z",
    re.IGNORECASE,
)
_COUNTS: Final = frozenset({"token", "pass", "credential", "secret"})
"""Names that are also counted: ``tokens=4096``, ``pass: 12``."""
_WORDY: Final = frozenset({"token", "pass", "credential"})
"""Names after which a sentence goes on."""
_CRUMB_MIN: Final = 6
_ATTRIBUTES: Final = frozenset(
    {"path", "domain", "expires", "max-age", "samesite", "version", "comment", "priority", "lang"}
)


def no_value(value: str) -> bool:
    """Say whether a value is a placeholder, a tag of ours, or nothing."""
    return _NO_VALUE.fullmatch(value) is not None or _TAG.fullmatch(value) is not None


def is_word(value: str) -> bool:
    """Say whether a value is a word that sentences have where secrets have their value."""
    return value.lower().rstrip(".!?…:") in _WORDS


def _done(value: str) -> bool:
    """Say whether all that is secret in a value has its tag: a key's frame or a scheme may stand around it."""
    rest = _TAG.sub("", value)
    return rest != value and len(_AROUND.sub("", rest)) < 6


def issued(value: str) -> bool:
    """Say whether a machine made it: no UUID, long, and of letters and digits mixed as words are not."""
    if len(value) < 12 or _UUID.fullmatch(value):
        return False
    if _HEX.fullmatch(value):
        return True
    run = max(re.split(r"[^A-Za-z0-9]+", value), key=len)
    kinds = _kinds(run)
    if kinds >= 3:
        return len(run) >= 8 and not _camel(value)
    return kinds == 2 and len(run) >= 20 and not _camel(value)


def _kinds(value: str) -> int:
    return sum((any(map(str.isdigit, value)), any(map(str.islower, value)), any(map(str.isupper, value))))


def _camel(value: str) -> bool:
    """Say whether it is made of words, as names in programs are, with at most a few digits between them."""
    words = re.findall(r"[A-Z]?[a-z]{3,}", value)
    return sum(map(len, words)) * 5 >= len(value) * 4


def chosen(value: str) -> bool:
    """Say whether a person may have chosen it: six characters, and not all of them letters."""
    value = value.rstrip(".,;:)")
    if len(value) < 6 or is_word(value) or no_value(value) or _NOT_CHOSEN.fullmatch(value):
        return False
    mixed = any(map(str.isalpha, value)) and any(letter.isdigit() or letter in _SIGNS for letter in value)
    return mixed or issued(value)


def luhn(text: str) -> bool:
    """Say whether the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    digits = [int(letter) for letter in text if letter.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _named(found: re.Match[str], value: str) -> bool:
    name = found["name"].lower()
    if no_value(value) or is_word(value) or _done(value):
        return False
    if name in _COUNTS and (count := value.rstrip(":")).isdigit():
        return len(count) >= 10
    if name in _WORDY and value.isalpha():
        return not (value.islower() or value.istitle())
    return not (name.endswith("pwd") and value[0] in "/~")


def _named_weakly(found: re.Match[str], value: str) -> bool:
    if no_value(value) or _TAG.search(value):
        return False
    if found["name"].lower() == "code" and len(value) >= 8 and _kinds(value) > 1 and not _camel(value):
        return True
    if not issued(value):
        return False
    before = found.string[max(0, found.start("name") - 16) : found.start("name")]
    return not (found["name"].lower().endswith("key") and _KEYS_OF_DATA.search(before))


def _login(found: re.Match[str], value: str) -> bool:
    return issued(value) if found.lastgroup == "user" else not no_value(value)


def _user_flag(found: re.Match[str], value: str) -> bool:
    return not (value.isdigit() or value == found["who"] or no_value(value))


def _chosen_or_quoted(found: re.Match[str], value: str) -> bool:
    return chosen(value) or (bool(found["opened"]) and not is_word(value) and not no_value(value))


def _card(found: re.Match[str], value: str) -> bool:
    return luhn(value) and _COUNTED.search(found.string[max(0, found.start() - 24) : found.start()]) is None


def _mixed_key(_: re.Match[str], value: str) -> bool:
    return _kinds(re.split(r"[_-]", value)[-1]) == 3 and not _camel(value)


JUDGES: Final[dict[str, Callable[[re.Match[str], str], bool]]] = {
    "any": lambda _, value: bool(value) and _TAG.fullmatch(value) is None,
    "key_body": lambda _, value: _kinds(value) == 3 and not _camel(value),
    "mixed_key": _mixed_key,
    "issued_part": lambda _, value: any(issued(part) or len(part) > 40 for part in re.split(r"[/.:]", value)),
    "login": _login,
    "no_word": lambda _, value: any(map(str.isdigit, value)) or (_kinds(value) > 1 and not value.istitle()),
    "named": _named,
    "named_weakly": _named_weakly,
    "flag": lambda _, value: not no_value(value) and not is_word(value),
    "user_flag": _user_flag,
    "chosen_or_quoted": _chosen_or_quoted,
    "chosen": lambda _, value: chosen(value),
    "issued": lambda _, value: issued(value),
    "card": _card,
}


def crumb(name: str, value: str) -> bool:
    """Say whether a part of a cookie is harmless: how long or where it holds, or a choice such as ``theme=dark``."""
    return name.lower() in _ATTRIBUTES or len(value) < _CRUMB_MIN or no_value(value)
