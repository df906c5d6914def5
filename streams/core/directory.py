"""What a process must know of the fleet without folding: terms, configuration, kill switch.

Detect (terms, rules), the pool (inventory, kill switch, epoch) and the web read the facts through this; the state of
the fold contains one. It is a part of every snapshot, so a new reader needs the newest snapshot and the facts after it.
"""

from __future__ import annotations

from typing import Final, get_args

from msgspec import Struct, field

from streams.core.advice import AdvisorsReported, OpinionGiven
from streams.core.config import Inventory, Policy, RuleSet, decode_config
from streams.core.epochs import EpochChanged
from streams.core.errors import InputError
from streams.core.events import (
    ActionHalted,
    ActionResumed,
    ApprovalGiven,
    ConfigApplied,
    Fact,
    InboxEvent,
    OutcomeReported,
    ProbeReported,
    Slice,
)
from streams.core.experience import Experience
from streams.core.reports import FindingReported, SpecialistReported
from streams.core.requests import Request
from streams.core.slices import Ledger, Verdict

SPOKEN_IN: Final[dict[str, tuple[type[InboxEvent], ...]]] = {
    ".inbox.workers": (OutcomeReported, ProbeReported, SpecialistReported, FindingReported),
    ".inbox.people": (ConfigApplied, ActionHalted, ActionResumed, ApprovalGiven, *get_args(Request)),
    ".inbox.advice": (AdvisorsReported, OpinionGiven),
}
"""What may be said in an inbox, by the end of its topic's name: each has an access list of its own."""


def may_say(source: str, event: InboxEvent) -> bool:
    """Tell whether an event counts when it comes from ``source``."""
    return any(source.endswith(inbox) and isinstance(event, allowed) for inbox, allowed in SPOKEN_IN.items())


class Directory(Struct):
    """Fold of the facts down to what others than decide need to know. ``facts_offset`` is the next one to take."""

    facts_offset: int = 0
    epoch: int = 1
    ledger: Ledger = field(default_factory=Ledger)
    applied: dict[str, ConfigApplied] = {}
    halted_by: str = ""
    policy: Policy = Policy()
    inventory: Inventory = Inventory()
    rules: RuleSet = RuleSet()
    lessons: Experience = Experience()
    release: str = ""
    """Which release changed the epoch; ``""`` while it is the first."""

    def take(self, fact: Fact, offset: int) -> Verdict:
        """Take the fact at ``offset`` into account; facts below ``facts_offset`` are repeats.

        Raises ``InvariantError`` when the log has a hole.
        """
        if offset < self.facts_offset:
            return Verdict.REPEATED
        verdict = self.judge(fact, offset)
        if verdict is Verdict.ACCEPTED and isinstance(fact, Slice):
            for message in fact.messages:
                if may_say(fact.source, message.event):
                    self.hear(message.event)
        return verdict

    def judge(self, fact: Fact, offset: int) -> Verdict:
        """Take the place of a fact into account, and nothing that it says: the fold hears message by message."""
        verdict = self.ledger.judge(fact)
        self.facts_offset = offset + 1
        if isinstance(fact, EpochChanged):
            if fact.epoch <= self.epoch:
                return Verdict.REPEATED
            self.epoch, self.release = fact.epoch, fact.release
        return verdict

    def hear(self, event: InboxEvent) -> bool:
        """Take an inbox event into account; False when it changes nothing here (or is not valid)."""
        match event:
            case ActionHalted():
                self.halted_by = event.author or "unknown"
            case ActionResumed():
                self.halted_by = ""
            case ConfigApplied():
                return self._configure(event)
            case _:
                return False
        return True

    def sha256_of(self, kind: str) -> str:
        """Return the hash of the applied configuration of a kind; ``""`` while the defaults hold."""
        applied = self.applied.get(kind)
        return applied.sha256 if applied else ""

    def _configure(self, event: ConfigApplied) -> bool:
        try:
            value = decode_config(event)
        except InputError:
            return False
        self.applied[event.kind] = event
        match value:
            case Policy():
                self.policy = value
            case Inventory():
                self.inventory = value
            case RuleSet():
                self.rules = value
            case Experience():
                self.lessons = value
        return True
