"""Who may use the web: tokens with a role and a name, of which only hashes are kept.

The file is ``<data_dir>/web/tokens.json``, readable by its owner alone. A token has 256 random bits, so one round of
SHA-256 keeps it: there is nothing to guess from. Revoked ones stay in the file, so that a name is never used twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import ipaddress
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from streams.core.errors import InputError
from streams.runtime.address import write_whole
from streams.settings import Settings

ROLES: Final = ("viewer", "operator", "approver")
"""Each may do what those before it may: a viewer reads, an operator steers, an approver also lets risky actions go."""
MARK: Final = "lm_"
ID_BYTES: Final = 4
SECRET_BYTES: Final = 32
TOKENS_MAX: Final = 1_000
NAME: Final = re.compile(r"[^\W\d_][\w .@+-]{0,63}")
_FORM: Final = re.compile(r"lm_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")


class Token(Struct, frozen=True, kw_only=True):
    """A token as it is kept: everything but itself. ``revoked_ms`` is 0 while it is good."""

    id: str
    name: str
    role: str
    sha256: str
    created_ms: int
    revoked_ms: int = 0


class TokenFile:
    """The tokens of one data directory; what other processes change is seen at the next question."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "web" / "tokens.json"
        self._stamp: tuple[int, ...] = ()
        self._tokens: dict[str, Token] = {}

    def all(self) -> list[Token]:
        """Return all there ever were, the oldest first. Raises ``InputError`` when the file can't be read."""
        self._look()
        return list(self._tokens.values())

    @property
    def none_ever(self) -> bool:
        """Whether no token was ever made here."""
        self._look()
        return not self._tokens

    def find(self, given: str) -> Token | None:
        """Return the good token that was given, None when it is none."""
        form = _FORM.fullmatch(given)
        self._look()
        token = self._tokens.get(form[1]) if form else None
        if token is None or not hmac.compare_digest(token.sha256, _hash(given)):
            return None
        return None if token.revoked_ms else token

    def good(self, token_id: str) -> Token | None:
        """Return the token of an id unless it was revoked."""
        self._look()
        token = self._tokens.get(token_id)
        return None if token is None or token.revoked_ms else token

    def create(self, role: str, name: str, now_ms: int) -> str:
        """Make a token and return it; this is the only time that it is seen.

        Raises ``InputError`` when there is no such role, or the name is taken or can't be one.
        """
        if role not in ROLES:
            raise InputError(f"role {role!r} is none of {', '.join(ROLES)}")
        if NAME.fullmatch(name) is None:
            raise InputError("a name is 1 to 64 letters, digits, spaces and . _ @ + -, and begins with a letter")
        with self._changing():
            if any(token.name == name for token in self._tokens.values()):
                raise InputError(f"there is or was a token of {name}: choose another name, so that the log stays clear")
            if len(self._tokens) >= TOKENS_MAX:
                raise InputError(f"there are {TOKENS_MAX} tokens: remove {self._path} and make new ones")
            token_id = secrets.token_hex(ID_BYTES)
            given = f"{MARK}{token_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
            self._tokens[token_id] = Token(id=token_id, name=name, role=role, sha256=_hash(given), created_ms=now_ms)
        return given

    def revoke(self, name: str, now_ms: int) -> Token:
        """End the good token of a name; it is of no use from now on. ``InputError`` when there is none."""
        with self._changing():
            token = next((one for one in self._tokens.values() if one.name == name and not one.revoked_ms), None)
            if token is None:
                raise InputError(f"there is no token of {name!r}: see logmend token list")
            ended = msgspec.structs.replace(token, revoked_ms=now_ms)
            self._tokens[token.id] = ended
        return ended

    @contextmanager
    def _changing(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._look()
            yield
            write_whole(self._path, msgspec.json.encode(list(self._tokens.values())))
            self._path.chmod(0o600)
        finally:
            os.close(lock)

    def _look(self) -> None:
        try:
            found = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            self._stamp, self._tokens = (), {}
            return
        except OSError as error:
            raise InputError(f"{self._path}: {error.strerror}; it must be this user's to read") from error
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp == self._stamp:
            return
        try:
            tokens = msgspec.json.decode(self._path.read_bytes(), type=list[Token])
        except msgspec.MsgspecError as error:
            raise InputError(f"{self._path} is damaged: {error}; remove it and make new tokens") from error
        self._stamp, self._tokens = stamp, {token.id: token for token in tokens}


def check_tokens(settings: Settings) -> None:
    """Raise ``InputError`` when others than this machine's users could come in and nobody would have to say who."""
    is_for_others = settings.web_names or not ipaddress.ip_address(settings.web_host).is_loopback
    if is_for_others and TokenFile(settings.data_dir).none_ever:
        raise InputError(
            "LOGMEND_WEB_HOST or LOGMEND_WEB_NAMES open the web to other machines, and there is no token: make one "
            "first with logmend token create --role approver --name NAME"
        )


def _hash(given: str) -> str:
    return hashlib.sha256(given.encode()).hexdigest()
