"""Who is signed in with a browser: random ids in a cookie, of which the web keeps only hashes, in memory."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from msgspec import Struct

COOKIE: Final = "logmend_session"
SESSION_S: Final = 12 * 3600
SESSIONS_MAX: Final = 1_000
"""The oldest ends when there are more."""


class _Session(Struct):
    token_id: str
    until_s: float


class Sessions:
    """Sessions of this process; they end with it. ``clock`` counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def begin(self, token_id: str) -> str:
        """Sign a token's owner in; return what the cookie holds."""
        given = secrets.token_urlsafe(32)
        self._sessions[_hash(given)] = _Session(token_id, self._clock() + SESSION_S)
        if len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return given

    def token_of(self, given: str) -> str:
        """Return the id of the token with which a session began; ``""`` when there is no such session any more."""
        session = self._sessions.get(_hash(given))
        if session is None:
            return ""
        if self._clock() >= session.until_s:
            self.end(given)
            return ""
        return session.token_id

    def end(self, given: str) -> None:
        """Sign out."""
        self._sessions.pop(_hash(given), None)


def _hash(given: str) -> str:
    return hashlib.sha256(given.encode()).hexdigest()
