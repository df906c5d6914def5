"""Who asks, and whether that role may: ``needs(role)`` stands at every endpoint.

A program shows its token (``Authorization: Bearer lm_...``), a browser the cookie that signing in gave it. On loopback,
as long as no token was ever made, whoever is on this machine may do everything (local mode): a first try needs no
set-up, a name is asked for where it matters, and what other sites' pages try is refused before it comes here
(``guarding.py``).
"""

from __future__ import annotations

import getpass
import ipaddress
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from fastapi import Request
from msgspec import Struct

from streams.web.limits import Limiter, Rate, client_of
from streams.web.problems import WebError
from streams.web.sessions import COOKIE, Sessions
from streams.web.tokens import ROLES, Token, TokenFile

ANYONE: Final = ""
FAILURES: Final = Rate(per_second=10 / 60, burst=10)
"""Wrong tokens of one client: there is nothing to guess, but a log full of tries helps nobody."""
PROXIED: Final = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"})
"""What a proxy adds, beside ``X-Forwarded-…``: who comes through one is not on this machine, wherever the proxy is."""
PROXYS_VERSION: Final = "1.0"
"""Of HTTP: nginx speaks it to what stands behind it unless it is told otherwise; browsers and clients don't."""
NAME_CHARACTERS_MAX: Final = 64
SIGN_IN: Final = "show a token as Authorization: Bearer lm_..., or sign in at /login (logmend token create makes one)"


class Person(Struct, frozen=True, kw_only=True):
    """Who asks. ``local``: somebody on this machine, without a token; ``name`` is ``""`` then."""

    name: str
    role: str
    local: bool = False

    def may(self, role: str) -> bool:
        """Whether a role's rights are among this person's."""
        return role == ANYONE or (self.role != ANYONE and ROLES.index(self.role) >= ROLES.index(role))


NOBODY: Final = Person(name="", role=ANYONE)


class Gatekeeper:
    """Knows tokens and sessions. ``address`` is what the web is bound to, ``clock`` counts seconds."""

    def __init__(self, tokens: TokenFile, address: str, clock: Callable[[], float]) -> None:
        self.tokens = tokens
        self.sessions = Sessions(clock)
        self._loopback = ipaddress.ip_address(address).is_loopback
        self._failures = Limiter(FAILURES, clock)

    @property
    def local(self) -> bool:
        """Whether this is local mode now."""
        return self._loopback and self.tokens.none_ever

    def who(self, request: Request) -> Person:
        """Return who asks; ``NOBODY`` when nobody is signed in. Raises ``WebError`` for a token that is no good."""
        if given := request.headers.get("authorization"):
            return _person(self.checked(request, given.removeprefix("Bearer ").strip()))
        if session := request.cookies.get(COOKIE):
            token = self.tokens.good(self.sessions.token_of(session))
            if token is not None:
                return _person(token)
        is_here = self.local and not _is_passed_on(request)
        return Person(name="", role=ROLES[-1], local=True) if is_here else NOBODY

    def checked(self, request: Request, given: str) -> Token:
        """Return the token that was given; raises ``WebError`` when it is no good: 401, and 429 after too many such."""
        token = self.tokens.find(given)
        if token is not None:
            return token
        client = client_of(request.client.host if request.client else "")
        if wait_s := self._failures.wait_s(client):
            seconds = str(math.ceil(wait_s))
            raise WebError(429, f"too many wrong tokens: wait {seconds} s", {"Retry-After": seconds})
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise WebError(401, f"this token is unknown or revoked: {SIGN_IN}", challenge)


def _is_passed_on(request: Request) -> bool:
    """Whether a proxy can be told from what it passes on; one that hides can't be."""
    added = any(name in PROXIED or name.startswith("x-forwarded-") for name in request.headers)
    return added or request.scope.get("http_version") == PROXYS_VERSION


def _person(token: Token) -> Person:
    return Person(name=token.name, role=token.role)


@dataclass(frozen=True)
class Needs:
    """What an endpoint asks of who calls it; FastAPI calls it, and gives the endpoint the person."""

    role: str

    async def __call__(self, request: Request) -> Person:
        """Return who asks. Raises ``WebError`` 401 when nobody is signed in, 403 when the role is too low."""
        gate: Gatekeeper = request.app.state.deps.gate
        if self.role == ANYONE:
            return NOBODY
        person = gate.who(request)
        if person is NOBODY:
            raise WebError(401, SIGN_IN, {"WWW-Authenticate": "Bearer"})
        if not person.may(self.role):
            raise WebError(403, f"{person.name} is {person.role}; this needs {self.role}")
        return person


def needs(role: str) -> Needs:
    """Return the dependency of an endpoint for ``role`` and those above it; ``ANYONE`` needs nobody."""
    return Needs(role)


def author_of(person: Person, by: str, *, named: bool = False) -> str:
    """Return who is on record: the token's name; in local mode ``by``, or else who runs this process.

    ``named``: a name must be given in local mode. Raises ``WebError`` when it is not, or when ``by`` is somebody else.
    """
    by = by.strip()
    if not person.local:
        if by not in {"", person.name}:
            raise WebError(422, f"you are {person.name}: leave `by` out, nobody speaks for another")
        return person.name
    if not by and named:
        raise WebError(422, "give your name in `by`: it is recorded with the approval")
    if len(by) > NAME_CHARACTERS_MAX or not by.isprintable():
        raise WebError(422, f"`by` is a name of at most {NAME_CHARACTERS_MAX} characters")
    return by or _whoever()


@cache
def _whoever() -> str:
    """Return who is on record where nobody gives a name."""
    return f"{getpass.getuser()} on this host"
