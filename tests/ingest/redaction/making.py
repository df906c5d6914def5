"""Makes secrets that look like issued ones and are none, at run time, from a seed.

No value stands in a file: what an issuer's scanner would know by its first letters is put together here from parts.
Shapes come from the issuers' own documents; the random part is what must not survive.
"""

import base64
import json
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

PLACE = "§"
RUN = 8
"""Characters in a row of a secret that may not be left of it."""
UPPER = string.ascii_uppercase + string.digits
ALNUM = string.ascii_letters + string.digits
BASE64 = ALNUM + "+/"
URLSAFE = ALNUM + "-_"
HEX = "0123456789abcdef"

Make = Callable[[Random], str]


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of secret: how a value is made, and the lines that it is met in (`§` is where it stands)."""

    name: str
    make: Make
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One line with one secret. `pieces` are the runs of text of which none may be left."""

    shape: str
    line: str
    secret: str

    def runs(self) -> Iterator[str]:
        """Yield each eight characters in a row of the secret, or all of a shorter one."""
        width = min(RUN, len(self.secret))
        return (self.secret[at : at + width] for at in range(len(self.secret) - width + 1))

    def left_in(self, text: str) -> bool:
        """Whether one of its runs occurs in `text`."""
        return any(run in text for run in self.runs())


def cases(shapes: tuple[Shape, ...], seed: int) -> tuple[Case, ...]:
    """Return one case for each line of each shape, every secret another; the same seed gives the same ones."""
    chance = Random(seed)
    made = []
    for shape in shapes:
        for line in shape.lines:
            secret = shape.make(chance)
            made.append(Case(shape.name, line.replace(PLACE, secret), secret))
    return tuple(made)


def letters(alphabet: str, *lengths: int, first: str = "", last: str = "") -> Make:
    """Return a maker of `first`, then letters of `alphabet` (one of the lengths), then `last`."""
    return lambda chance: first + run(chance, alphabet, chance.choice(lengths)) + last


def run(chance: Random, alphabet: str, length: int) -> str:
    """Return so many letters of the alphabet."""
    return "".join(chance.choices(alphabet, k=length))


def one_of(*makes: Make) -> Make:
    """Return a maker that takes one of these each time."""
    return lambda chance: chance.choice(makes)(chance)


def padded(size_bytes: int) -> Make:
    """Return a maker of base64 of so many random bytes, with its padding."""
    return lambda chance: base64.b64encode(chance.randbytes(size_bytes)).decode()


def urlsafe(size_bytes: int) -> Make:
    """Return a maker of base64 for URLs of so many random bytes, without padding."""
    return lambda chance: base64.urlsafe_b64encode(chance.randbytes(size_bytes)).decode().rstrip("=")


def basic(chance: Random) -> str:
    """Return user and password as the Basic scheme sends them."""
    pair = f"{run(chance, string.ascii_lowercase, 6)}:{run(chance, ALNUM, 14)}"
    return base64.b64encode(pair.encode()).decode()


def jwt(chance: Random) -> str:
    """Return three parts with dots; the first two are JSON objects."""
    head = _part({"alg": "HS256", "typ": "JWT"})
    claims = _part({"sub": run(chance, string.digits, 9), "iat": chance.randrange(10**9, 2 * 10**9)})
    return f"{head}.{claims}.{run(chance, URLSAFE, 43)}"


def _part(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def card(chance: Random) -> str:
    """Return sixteen digits whose last one is the check digit of ISO/IEC 7812."""
    return _with_check_digit(chance.choice(("4", "51", "55", "2221", "6011")), 16, chance)


def amex(chance: Random) -> str:
    """Return fifteen digits with their check digit."""
    return _with_check_digit(chance.choice(("34", "37")), 15, chance)


def grouped(separator: str) -> Make:
    """Return a maker of card numbers in groups of four."""

    def make(chance: Random) -> str:
        digits = card(chance)
        return separator.join(digits[at : at + 4] for at in range(0, 16, 4))

    return make


def _with_check_digit(first: str, length: int, chance: Random) -> str:
    body = first + run(chance, string.digits, length - 1 - len(first))
    total = 0
    for at, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if at % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return body + str(-total % 10)


def word_password(chance: Random) -> str:
    """Return what people choose: a word, a year, a sign."""
    word = chance.choice(("Winter", "Sommer", "Dragon", "Bluebird", "Kestrel", "Tarragon", "Monsoon", "Paprika"))
    return f"{word}{chance.randrange(1970, 2030)}{chance.choice('!$#*?')}{run(chance, string.ascii_lowercase, 2)}"


def strong_password(chance: Random) -> str:
    """Return what a generator of passwords gives: letters, digits and signs that need no quotes in most places."""
    middle = run(chance, ALNUM + "!#$%^*-_+~.", chance.choice((10, 14, 20)))
    return chance.choice(string.ascii_letters) + middle + chance.choice(ALNUM)


def plain_password(chance: Random) -> str:
    """Letters and digits."""
    return run(chance, ALNUM, chance.choice((9, 12, 16, 24)))


def pem(kind: str, newline: str) -> Make:
    """Return a maker of a private key's body in lines of 64, with `newline` between them; its frame is in the line."""

    def make(chance: Random) -> str:
        body = base64.b64encode(chance.randbytes(192 if kind == "RSA" else 118)).decode()
        return newline.join(body[at : at + 64] for at in range(0, len(body), 64))

    return make


def begin(kind: str) -> str:
    """Return the first line of a private key's frame."""
    return f"-----BEGIN {kind}PRIVATE " + "KEY-----"


def end(kind: str) -> str:
    """Return the last line of a private key's frame."""
    return f"-----END {kind}PRIVATE " + "KEY-----"
