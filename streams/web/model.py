"""Everything that the web shows of now, in memory: changed by records as they come, read by requests, all bounded.

It belongs to one event loop. ``version`` grows with each change; whoever waits for one is woken.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from streams.core.beside import Heartbeat
from streams.core.config import Policy
from streams.core.directory import Directory
from streams.core.events import Decision, Fact, OutcomeReported, ProbeReported, Slice
from streams.core.slices import Verdict
from streams.web.asked import Asked
from streams.web.bounded import put
from streams.web.canary import Canary
from streams.web.clock import BrokerClock
from streams.web.members import Members
from streams.web.open_incidents import Cases, figure
from streams.web.outlook import Ahead
from streams.web.states import (
    SEVERITY_ORDER,
    Approval,
    Escalation,
    Exhaustion,
    Forecast,
    Halt,
    Healing,
    Host,
    Incident,
    Mute,
    Prediction,
    Worker,
)
from streams.web.timeline import Entry, entry_of

OPEN: Final = frozenset({"pending", "acknowledged"})
"""Escalations that somebody is needed for."""
MUTES_MAX: Final = 1_000
RECENT_MAX: Final = 2_000


class Model:
    """The fleet as it is now. ``directory`` is what facts said so far (policy, inventory, kill switch)."""

    def __init__(self, clock: BrokerClock, inbox: str) -> None:
        """Begin empty; ``inbox`` is the name of the inbox for people."""
        self.clock = clock
        self.asked = Asked(inbox)
        self.directory = Directory()
        self.version = 0
        self.followers = 0
        """How many browsers wait for changes."""
        self.up_to_date = False
        """Whether what was in the log when the web started has been read."""
        self.last_seq = -1
        """Number of the newest decision."""
        self._members = Members()
        self._canary = Canary()
        self._cases = Cases()
        self._ahead = Ahead()
        self._recent: deque[Entry] = deque(maxlen=RECENT_MAX)
        self._mutes: dict[str, Mute] = {}
        self._halt: Halt | None = None
        self._parts: dict[str, int] = {}
        """Name of a part to the version that changed it last."""
        self._waiting: set[asyncio.Future[None]] = set()
        self._statuses: tuple[str, ...] = ()

    # ------------------------------------------------------------------------------------------------- what is now

    @property
    def now_ms(self) -> int:
        """The broker's time."""
        return self.clock.now_ms()

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.directory.policy

    @property
    def halt(self) -> Halt | None:
        """Who threw the kill switch; None while it is off."""
        return self._halt

    @property
    def decides(self) -> bool:
        """Whether what is detected is decided on, as far as the canary's lines tell."""
        return not self._canary.is_missed(self.now_ms)

    def workers(self) -> list[Worker]:
        """Return the workers that gave a sign of life lately, by host and id."""
        return self._members.workers(self.now_ms)

    def hosts(self) -> list[Host]:
        """Return the hosts by name."""
        return self._members.hosts(self.now_ms)

    def incidents(self) -> list[Incident]:
        """Return the open incidents, the newest first."""
        return sorted(self._cases.incidents.values(), key=lambda one: -one.seq)

    def escalations(self) -> list[Escalation]:
        """Return the escalations that are open, the worst first, then the oldest."""
        found = [one for one in self._cases.escalations.values() if one.status in OPEN]
        return sorted(found, key=lambda one: (SEVERITY_ORDER.get(one.severity, len(SEVERITY_ORDER)), one.id))

    def all_escalations(self) -> list[Escalation]:
        """Return all escalations that are held, also those that are resolved."""
        return list(self._cases.escalations.values())

    def escalation(self, wanted: str) -> Escalation | None:
        """Return an escalation by its number or its decision's id, also a resolved one that is still held."""
        found = self._cases.escalations.get(wanted)
        if found is None and wanted.isdecimal():
            number = int(wanted)
            found = next((one for one in self._cases.escalations.values() if one.id == number), None)
        return found

    def approvals(self) -> list[Approval]:
        """Return what waits for a person's yes and can still get it, the one that expires first at the head."""
        now_ms = self.now_ms
        found = [one for one in self._cases.approvals.values() if one.expires_ms > now_ms]
        return sorted(found, key=lambda one: one.expires_ms)

    def approval(self, wanted: str) -> Approval | None:
        """Return what waits for a person's yes under an id, also when its time is over and the fold has not said so."""
        return self._cases.approvals.get(wanted)

    def became(self, approval_id: str) -> str:
        """Return what came of an approval that does not wait any more; ``""`` when nothing is known of it."""
        return self._cases.answered.get(approval_id, "")

    def mutes(self) -> list[Mute]:
        """Return the silences and maintenance windows that hold or are to come, the one that ends first at the head."""
        now_ms = self.now_ms
        return sorted((one for one in self._mutes.values() if one.end_ms > now_ms), key=lambda one: one.end_ms)

    def forecasts(self) -> list[Forecast]:
        """Return the newest forecast of each metric of a service whose time has not come."""
        found, _ = self._ahead.still(self.now_ms)
        return sorted(found, key=lambda one: (one.service, one.metric))

    def predictions(self) -> list[Prediction]:
        """Return the predictions whose horizon has not passed, the most probable first."""
        _, found = self._ahead.still(self.now_ms)
        return sorted(found, key=lambda one: (-one.probability, one.service))

    def exhaustions(self) -> list[Exhaustion]:
        """Return the metrics on their way to a limit, the one that is expected first at the head."""
        return sorted(self._ahead.exhaustions.values(), key=lambda one: one.expected_ms)

    def recent(self) -> list[Entry]:
        """Return the newest decisions in order, without a hole."""
        return list(self._recent)

    def healings(self) -> list[Healing]:
        """Return the actions taken last, the newest first."""
        return list(reversed(self._cases.healings.values()))

    # ------------------------------------------------------------------------------------------- what records change

    def decided(self, decision: Decision, stamp_ms: int) -> None:
        """Take a decision into account."""
        if self._is_repeat(decision):
            return
        self._came(stamp_ms)
        self.clock.folded(decision.append_ms, decision.now_ms)
        changed = self._cases.take(decision, self.policy.approval_ttl_ms, self.clock.of_fold)
        if self._ahead.take(decision):
            changed.add("forecasts")
        if self.asked.take(decision):
            changed.add("tasks")
        match decision.kind:
            case "halted" | "resumed" | "fact_rejected":
                self._halt = None if decision.kind == "resumed" else _halt(decision)
                changed.add("halt")
            case "canary_heard":
                self._canary.heard(decision)
            case "mute_set":
                put(self._mutes, decision.id, _mute(decision), MUTES_MAX)
                changed.add("mutes")
            case "mute_lifted" | "mute_ended":
                self._mutes.pop(decision.refers_to, None)
                changed.add("mutes")
        self._changed(*changed)

    def _is_repeat(self, decision: Decision) -> bool:
        """Say whether a decision came before; keep one that did not. What is kept has no hole."""
        if decision.seq <= self.last_seq:
            return True
        if decision.seq != self.last_seq + 1:
            self._recent.clear()
        self.last_seq = decision.seq
        self._recent.append(entry_of(decision))
        return False

    def caught_up(self) -> None:
        """Note that all that was in the log at the start has been read: what comes now has just been appended."""
        self.up_to_date = True
        self._changed("halt")

    def _came(self, stamp_ms: int) -> None:
        if self.up_to_date:
            self.clock.came(stamp_ms)

    def beat(self, event: Heartbeat, stamp_ms: int) -> None:
        """Take a heartbeat into account."""
        self._came(stamp_ms)
        self._members.beat(event, stamp_ms)
        self._changed("workers")

    def heard(self, fact: Fact, verdict: Verdict, stamp_ms: int) -> None:
        """Take a fact into account that ``directory`` has taken just now."""
        if verdict is not Verdict.ACCEPTED or not isinstance(fact, Slice):
            return
        self._canary.asked(fact, self.directory.facts_offset - 1, stamp_ms)
        seen = [self._members.saw(sample) for sample in fact.samples]
        for message in fact.messages:
            match message.event:
                case ProbeReported() as probe:
                    seen.append(self._members.probed(probe))
                case OutcomeReported() as outcome if self.asked.took(outcome):
                    self._changed("tasks")
        if any(seen):
            self._changed("hosts")

    def started(self, directory: Directory) -> None:
        """Begin with what a snapshot says."""
        self.directory = directory
        if directory.halted_by:
            self._halt = Halt(author=directory.halted_by, reason="", at_ms=0)
            self._changed("halt")

    def passed(self) -> None:
        """Take into account that time went on: who is silent, what has expired."""
        now_ms = self.now_ms
        self.asked.forget(now_ms)
        gone = self._members.forget(now_ms)
        statuses = self._members.statuses(now_ms)
        if gone or statuses != self._statuses:
            self._statuses = statuses
            self._changed("workers", "hosts")

    # ------------------------------------------------------------------------------------------------ who waits for it

    def changed_since(self, version: int) -> list[str]:
        """Return the names of the parts that changed after a version."""
        return sorted(part for part, at in self._parts.items() if at > version)

    async def change(self, version: int, seconds: float) -> None:
        """Return when something changed after ``version``, or after ``seconds``."""
        if self.version > version:
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await asyncio.wait((waiting,), timeout=seconds)
        finally:
            self._waiting.discard(waiting)

    async def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Return True as soon as something holds, False when it does not within ``seconds``."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not holds():
            left = deadline - loop.time()
            if left <= 0:
                return False
            await self.change(self.version, left)
        return True

    def _changed(self, *parts: str) -> None:
        if not parts:
            return
        self.version += 1
        for part in parts:
            self._parts[part] = self.version
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()


def _said(decision: Decision) -> tuple[str, str]:
    """Return author and reason of what a person had decided: the reason is ``... by <author>: <reason>``."""
    _, _, said = decision.reason.partition("by ")
    author, _, reason = said.partition(": ")
    return author, reason


def _halt(decision: Decision) -> Halt:
    if decision.kind == "fact_rejected":
        return Halt(author="logmend", reason=decision.reason, at_ms=decision.append_ms)
    author, reason = _said(decision)
    return Halt(author=author, reason=reason, at_ms=decision.append_ms)


def _mute(decision: Decision) -> Mute:
    author, reason = _said(decision)
    return Mute(
        id=decision.id,
        kind=decision.reason.partition(" ")[0],
        service=decision.service,
        pattern=decision.pattern,
        begin_ms=round(figure(decision, "begin_ms")),
        end_ms=round(figure(decision, "end_ms")),
        author=author,
        reason=reason,
    )
