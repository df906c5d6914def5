"""What people are told, and in which way it goes wrong when they can't be."""

from __future__ import annotations

from typing import Final, Literal, Protocol

from msgspec import Struct

Kind = Literal["escalated", "approval_requested", "resolved", "auto_resolved", "approval_closed"]
FOLLOW_UPS: Final = frozenset({"resolved", "auto_resolved", "approval_closed"})
APPROVALS: Final = frozenset({"approval_requested", "approval_closed"})


class Tried(Struct, frozen=True, kw_only=True):
    """An action that was taken before: the id of its decision, and what came of it in words."""

    id: str
    action: str
    outcome: str


class Vote(Struct, frozen=True, kw_only=True):
    """What one advisor said: an action, or why it has none; ``confidence`` is 0..1."""

    advisor: str
    said: str
    confidence: float


class Notice(Struct, frozen=True, kw_only=True):
    """One thing that people are told. Times are in ms of the broker's clock.

    ``id`` is that of the decision that is told of, ``about`` that of the escalation or approval request, ``number`` its
    place among all decisions. ``consensus`` is what came of asking the advisors. ``action``, ``arguments`` and ``risk``
    (0..1) are of an approval request.
    """

    id: str
    kind: Kind
    about: str
    number: int
    incident: str
    service: str
    host: str
    pattern: str
    category: str
    severity: str
    reason: str
    phase: int
    lines: int
    opened_ms: int
    at_ms: int
    tried: tuple[Tried, ...] = ()
    votes: tuple[Vote, ...] = ()
    consensus: str = ""
    confidence: float | None = None
    recommended: str = ""
    action: str = ""
    arguments: tuple[tuple[str, str], ...] = ()
    risk: float = 0.0


class Message(Struct, frozen=True, kw_only=True):
    """What is sent at once: one notice, or a digest of several. The same ``id`` is the same message, sent again."""

    id: str
    notices: tuple[Notice, ...]

    @property
    def is_digest(self) -> bool:
        """Whether it stands for messages that would have been too many."""
        return self.id.startswith(DIGEST)


DIGEST: Final = "digest-"


class NotToldError(Exception):
    """A message was not delivered, or it is not known whether it was.

    ``final``: the other side wants none of it, so trying for a day would be rude. ``retry_after_s``: it asks for that.
    """

    def __init__(self, why: str, *, final: bool = False, retry_after_s: float = 0.0) -> None:
        super().__init__(why)
        self.final = final
        self.retry_after_s = retry_after_s


class Channel(Protocol):
    """One receiver. ``name`` is its own for ever, ``kind`` is mail, webhook or github.

    ``bundles``: what is too much for a minute comes as a digest; else it comes later.
    """

    @property
    def name(self) -> str:
        """Under which name the journal knows it."""
        ...

    @property
    def kind(self) -> str:
        """Its kind."""
        ...

    @property
    def bundles(self) -> bool:
        """Whether it takes digests."""
        ...

    def takes(self, notice: Notice) -> bool:
        """Say whether it is told of such a thing."""
        ...

    async def send(self, message: Message) -> None:
        """Deliver a message. Raises ``NotToldError``."""
        ...

    async def aclose(self) -> None:
        """Let go of what it holds."""
        ...
