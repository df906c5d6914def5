"""The fold: facts in their one order become decisions; the same bytes on every host, today and next year.

``Fold`` is what decide, replay and backtest hold. It takes a fact with its offset and append time, and returns what was
decided; it never asks for the time, for chance or for anything outside.
"""

from __future__ import annotations

from typing import Final

import msgspec

from streams.core.acting import ask_again
from streams.core.decide import step
from streams.core.directory import Directory
from streams.core.epochs import EpochChanged, release_of
from streams.core.errors import InputError, InvariantError, OlderEpochError, OtherEpochError, OtherVersionError
from streams.core.escalations import PENDING
from streams.core.events import Decision, Fact
from streams.core.fleet import Fleet
from streams.core.incidents import NEVER_MS, WAITING
from streams.core.past import Past
from streams.core.state import Draft, State, Turn, take_over
from streams.core.strategy import Catalogue

EPOCH: Final = 1
"""Raise it with every change that makes the same facts give other bytes (a golden log fails without)."""

REJECTED_BY: Final = "logmend: a fact was rejected"
"""Who halted action when it was the fold itself: only its own state knows until that is said in a fact."""

SNAPSHOT_VERSION: Final = 4
"""Raise it with every change of ``State`` that the bytes of an older one do not fit."""


class _Snapshot(msgspec.Struct, array_like=True):
    """``state`` stays bytes until it is known that they are of our version."""

    version: int
    epoch: int
    state: msgspec.Raw


class Fold:
    """State plus tables. Not safe after ``apply`` raised: restore and refold, then ``reject`` that fact."""

    def __init__(self, catalogue: Catalogue, state: State | None = None) -> None:
        self._catalogue = catalogue
        self._state = state or State()
        self._epoch = EPOCH
        self._fleet = Fleet(self._state.directory.inventory)

    @classmethod
    def new(cls, catalogue: Catalogue) -> Fold:
        """Return a fold that has seen nothing."""
        return cls(catalogue)

    @classmethod
    def restore(cls, snapshot: bytes, catalogue: Catalogue) -> Fold:
        """Return the fold that ``snapshot`` was taken of.

        Raises ``InputError`` when it is damaged, ``OlderEpochError`` when an older epoch left it, ``OtherVersionError``
        when a newer one or another version did.
        """
        return cls(catalogue, _decode(snapshot))

    def snapshot(self) -> bytes:
        """Return the whole state as bytes."""
        state = msgspec.Raw(msgspec.msgpack.encode(self._state))
        return msgspec.msgpack.encode(_Snapshot(SNAPSHOT_VERSION, EPOCH, state))

    def apply(self, fact: Fact, offset: int, append_ms: int) -> list[Decision]:
        """Take the fact at ``offset``, appended at ``append_ms`` (broker clock), and return what is decided.

        A fact below the next expected offset returns nothing. ``InvariantError`` means that the log has a hole: stop.
        ``OtherEpochError``: from this fact on a newer release decides. Any other exception is a bug of ours: the fact
        must be rejected (see ``reject``).
        """
        directory = self._state.directory
        if offset < directory.facts_offset:
            return []
        if isinstance(fact, EpochChanged):
            check_not_newer(fact.epoch, fact.release)
        turn = self._turn(offset, append_ms)
        step(turn, fact, directory.judge(fact, offset))
        self._fleet = turn.fleet
        return turn.decisions

    def reject(self, fact: Fact | None, offset: int, append_ms: int, reason: str) -> list[Decision]:
        """Record that the fact at ``offset`` could not be worked on, and halt action.

        Its range of offsets still counts, so that the slices after it join. Plans end with the next fact. ``fact`` is
        None when it could not even be decoded.
        """
        directory = self._state.directory
        if offset < directory.facts_offset:
            return []
        turn = self._turn(offset, append_ms)
        if fact is None:
            directory.facts_offset = offset + 1
        else:
            directory.take(fact, offset)
        self._fleet = Fleet(directory.inventory)
        directory.halted_by = REJECTED_BY
        ask_again(turn)
        turn.write(Draft(kind="fact_rejected", reason=reason))
        return turn.decisions

    def follow(self, other: Fold) -> None:
        """Go on from what was done in another fold of the same facts; what this one observed and obeys stays."""
        take_over(self._state, other._state)

    def relive(self, fact: Fact | None, offset: int, append_ms: int, past: Past) -> None:
        """Take a fact of ``past``: the state follows, and what these rules decide on it was never done.

        After the last of them the numbers and the chain go on where the older epoch's end. Raises as ``apply``.
        """
        self._epoch = past.epoch_at(offset)
        reason = past.rejected.get(offset)
        if fact is None or reason is not None:
            self.reject(fact, offset, append_ms, reason or "undecodable")
        else:
            self.apply(fact, offset, append_ms)
        if offset >= past.facts_offset:
            book = self._state.book
            book.next_seq, book.chain_head = past.next_seq, past.head
            book.last_command_seq, self._epoch = past.last_command_seq, EPOCH

    def _turn(self, offset: int, append_ms: int) -> Turn:
        if offset > self._state.directory.facts_offset:
            expected = self._state.directory.facts_offset
            raise InvariantError(f"fact {offset} follows {expected - 1}: facts are missing")
        self._state.clock.advance(append_ms)
        return Turn(self._state, self._catalogue, self._fleet, epoch=self._epoch, offset=offset)

    @property
    def timer_open(self) -> bool:
        """True while something waits for time to pass, so that seconds without a fact need a ``Ticked``."""
        return self._state.incidents.next_due_ms < NEVER_MS or bool(self._state.tasks.open)

    @property
    def incidents_open(self) -> int:
        """How many incidents are open."""
        return len(self._state.incidents.by_id)

    @property
    def approvals_waiting(self) -> int:
        """How many actions wait for somebody to agree."""
        return sum(one.status == WAITING for one in self._state.incidents.by_id.values())

    @property
    def escalations_waiting(self) -> int:
        """How many escalations whose incident is open nobody has taken on."""
        return sum(one.state == PENDING and not one.cleared for one in self._state.escalations.known.values())

    @property
    def canary_at_ms(self) -> int:
        """Time (of event) of the last of the canary's lines that was decided on; 0 before the first."""
        return self._state.canary_at_ms

    @property
    def next_seq(self) -> int:
        """Sequence number of the next decision."""
        return self._state.book.next_seq

    @property
    def chain_head(self) -> str:
        """Hash of the last decision, ``""`` before the first."""
        return self._state.book.chain_head

    @property
    def directory(self) -> Directory:
        """Terms, configuration and kill switch."""
        return self._state.directory


def check_epoch(fleet: int, release: str = "") -> None:
    """Raise ``OtherEpochError`` unless the fleet is in our epoch; ``release`` is the one that changed it."""
    check_not_newer(fleet, release)
    if fleet < EPOCH:
        raise OtherEpochError(f"{_apart(fleet)}: stop what runs of the older release, then run logmend upgrade")


def check_not_newer(fleet: int, release: str = "") -> None:
    """Raise ``OtherEpochError`` when the fleet is in a newer epoch than ours."""
    if fleet > EPOCH:
        newer = f"release {release} or a later one" if release else release_of(fleet)
        raise OtherEpochError(f"{_apart(fleet)}: there is no way back; install {newer}")


def own_epoch() -> int:
    """Return the epoch in which we decide."""
    return EPOCH


def is_own(epoch: int) -> bool:
    """Tell whether we decide in an epoch."""
    return epoch == EPOCH


def _apart(fleet: int) -> str:
    return f"the fleet is in epoch {fleet}, this release decides in epoch {EPOCH} and takes no part"


def directory_of(snapshot: bytes) -> Directory:
    """Return the directory inside a snapshot; raises as ``Fold.restore``."""
    return _decode(snapshot).directory


def _decode(snapshot: bytes) -> State:
    try:
        found = msgspec.msgpack.decode(snapshot, type=_Snapshot)
        if (found.version, found.epoch) == (SNAPSHOT_VERSION, EPOCH):
            return msgspec.msgpack.decode(found.state, type=State)
    except msgspec.MsgspecError as error:
        raise InputError(f"not a snapshot: {error}") from error
    if found.epoch < EPOCH:
        raise OlderEpochError(f"saved state of epoch {found.epoch}; ours is {EPOCH}: decide saves its own in minutes")
    raise OtherVersionError(
        f"saved state of version {found.version}, epoch {found.epoch}; ours is {SNAPSHOT_VERSION}, {EPOCH}: "
        "name another data directory (LOGMEND_DATA_DIR), or move this one away; nothing is deleted"
    )
