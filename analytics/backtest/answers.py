"""Whom a recorded answer is for: outcomes, findings, approvals and opinions name decisions by their ids.

An id is made of a fact's offset and a number in it, so under a candidate the same id may be another command's, or the
same command have another id. An answer counts for the candidate's command when both were decided on the same fact and
do the same thing to the same service; an answer to what the candidate did not issue is nobody's, as an answer of a
stranger is. A command that only the candidate issued is never answered: it becomes overdue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from streams.core.advice import OpinionGiven
from streams.core.events import ApprovalGiven, Decision, InboxEvent, OutcomeReported
from streams.core.kinds import SENDING_KINDS
from streams.core.reports import FindingReported, SpecialistReported
from streams.core.requests import EscalationAnswered, MuteLifted

NOBODY: Final = ""
ANSWERED_KINDS: Final = SENDING_KINDS | {"approval_requested", "planned", "advice_asked", "escalated", "mute_set"}
"""Decisions that somebody answers by their id."""

NAMED_IN: Final[Mapping[type, str]] = {
    OutcomeReported: "command_id",
    FindingReported: "command_id",
    ApprovalGiven: "decision_id",
    SpecialistReported: "plan",
    OpinionGiven: "question_id",
    EscalationAnswered: "escalation_id",
    MuteLifted: "mute_id",
}
"""The field in which each answer names what it answers."""
REFUSED: Final = (EscalationAnswered, MuteLifted)
"""Answers that the fold refuses on record when it does not know what they name."""


class Answers:
    """Learns from both folds which recorded id is which candidate's; ids that are equal are not held."""

    def __init__(self) -> None:
        self._moved: Final[dict[str, str]] = {}
        self._commands: Final[dict[str, tuple[int, str, str]]] = {}
        """Where they differ: number of the candidate's command, hash of the recorded one and of the candidate's."""

    def learn(self, recorded: Sequence[Decision], candidate: Sequence[Decision]) -> None:
        """Take in what both folds decided on one fact."""
        if not any(one.kind in ANSWERED_KINDS for one in recorded):
            return
        theirs: dict[Hashable, list[Decision]] = defaultdict(list)
        for one in candidate:
            if one.kind in ANSWERED_KINDS:
                theirs[_deed(one)].append(one)
        for one in recorded:
            if one.kind in ANSWERED_KINDS:
                same = theirs[_deed(one)]
                self._note(one, same.pop(0) if same else None)

    def _note(self, one: Decision, other: Decision | None) -> None:
        if other is None or other.id != one.id:
            self._moved[one.id] = other.id if other is not None else NOBODY
        if one.command is None or other is None or other.command is None:
            return
        if (one.seq, one.command.sha256) != (other.seq, other.command.sha256):
            self._commands[one.id] = (other.seq, one.command.sha256, other.command.sha256)

    def of(self, recorded_id: str) -> str:
        """Return the candidate's id of a recorded decision; ``""`` when it decided no such thing."""
        return self._moved.get(recorded_id, recorded_id)

    def translated(self, event: InboxEvent) -> InboxEvent | None:
        """Return what an answer says to the candidate's fold: itself where nothing moved, None where it says nothing.

        An outcome of an unknown command still shows that its host is alive, so it stays, and is nobody's.
        """
        name = NAMED_IN.get(type(event), "")
        if not name:
            return event
        recorded_id = getattr(event, name)
        moved = self.of(recorded_id)
        if moved == NOBODY and isinstance(event, REFUSED):
            return None
        command = self._commands.get(recorded_id)
        if command is None:
            return event if moved == recorded_id else replace(event, **{name: moved})
        seq, mine, theirs = command
        if isinstance(event, ApprovalGiven):
            sha256 = theirs if event.command_sha256 == mine else event.command_sha256
            return replace(event, decision_id=moved, command_sha256=sha256)
        if isinstance(event, OutcomeReported):
            return replace(event, command_id=moved, command_seq=seq)
        return replace(event, **{name: moved})


def _deed(decision: Decision) -> Hashable:
    """Return what a decision does, and to whom, without ids, numbers, deadlines and what it rests on."""
    command = decision.command
    done: Iterable[Hashable] = ()
    if command is not None:
        plain = tuple((one.name, one.value) for one in command.arguments if one.name != "plan")
        done = (command.kind, command.host, command.service, command.action, plain)
    return (decision.kind, decision.service, decision.pattern, tuple(done))
