"""Logmend's own code from a line to a healed component, in one process and without a broker.

Components do jobs on real files. One is broken for real (its mirror's file can't be read any more, or what it analyses
has become huge), says so in a line, and the line goes the whole way: slice, fold, decision, the pool's own handler,
outcome, verification. Only the time that a verification waits for passes faster than it would.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from lab.faults.storage import FAILING
from streams.catalogue import strategies
from streams.codec import encode
from streams.core.config import Inventory, Policy, canonical, sha256
from streams.core.events import (
    Command,
    ConfigApplied,
    Decision,
    InboxEvent,
    Message,
    OutcomeReported,
    Slice,
    Ticked,
    Took,
)
from streams.core.events import Fact as AnyFact
from streams.core.fold import Fold
from streams.core.inventory import ServiceSpec, Switch
from streams.ingest import matcher
from streams.ingest.slicer import Slicer
from streams.ports import Fetched
from streams.topics import Topics
from streams.workers.files import write_whole
from streams.workers.orders import order_of
from streams.workers.results import Result, Surroundings
from streams.workers.roles import handler

HUGE_BYTES: Final = 8 << 20
ANALYSIS_SECONDS_MAX: Final = 0.002
"""Processor time: a hundred times what a component's usual samples take, a third of what the huge ones do."""
HOST: Final = "lab-host"
BEGAN_MS: Final = 1_800_000_000_000
POLICY: Final = Policy(
    coordination=False,  # there is no pool to bring specialists up: each error is acted on at once
    exploration_rate=0.0,
    cooldown_ms=0,
    flapping_ms=0,
    budget_per_target=1_000_000,
    budget_per_service=1_000_000,
    budget_total=1_000_000,
    blast_radius_share=1.0,
    lateness_ms=0,
    verify_after_ms=1_000,
    stay_away_ms=1_000,
    grouping_wait_ms=0,
)
WAIT_MS: Final = 4_000
"""How much of the fold's time passes for a verification."""


# ------------------------------------------------------------------------------------------------------- components


class Component:
    """Does jobs on files in a directory of its own, on one of two mirrors."""

    def __init__(self, root: Path, name: str, depends_on: tuple[str, ...] = ()) -> None:
        self.name = name
        self.home = root / name
        for mirror in ("mirror-a", "mirror-b"):
            (self.home / mirror).mkdir(parents=True)
            (self.home / mirror / "artefact").write_bytes(b"artefact")
        switches = {
            "mirror": Switch("upstream", str(self.home / "mirror.switch"), ("mirror-a", "mirror-b")),
            "analysis": Switch("feature", str(self.home / "analysis.switch"), ("full", "none")),
        }
        self.spec = ServiceSpec(name=name, host=HOST, mode="auto", depends_on=depends_on, switches=switches)
        self.mend()

    def mend(self) -> None:
        """Take every cause away, and put the switches back."""
        artefact = self.home / "mirror-a" / "artefact"
        artefact.unlink(missing_ok=True)
        artefact.write_bytes(b"artefact")
        (self.home / "samples").write_bytes(bytes(4_096))
        for switch in self.spec.switches.values():
            write_whole(Path(switch.file), f"{switch.values[0]}\n".encode())

    def lose_mirror(self) -> None:
        """Make the first mirror's file one that ends in an input/output error."""
        artefact = self.home / "mirror-a" / "artefact"
        artefact.unlink()
        artefact.symlink_to(FAILING)

    def swell(self) -> None:
        """Make what is analysed in each job huge."""
        with (self.home / "samples").open("wb") as file:
            file.truncate(HUGE_BYTES)

    def complaint(self) -> str:
        """Do a job; return what the component says of it, ``""`` when it was done in time."""
        mirror = (self.home / "mirror.switch").read_text("ascii").strip()
        try:
            with (self.home / mirror / "artefact").open("rb", buffering=0) as file:
                file.read(8)
        except OSError as error:
            return f"ERROR {self.name}: read {mirror}: {error.strerror}"
        began = time.thread_time()
        if (self.home / "analysis.switch").read_text("ascii").strip() == "full":
            hashlib.sha256((self.home / "samples").read_bytes()).digest()
        seconds = time.thread_time() - began
        return "" if seconds < ANALYSIS_SECONDS_MAX else f"WARN {self.name}: slow operation, {seconds * 1000:.1f} ms"


# -------------------------------------------------------------------------------------------------------------- loop


class Loop:
    """Slicer, fold and handlers in one process. ``ms`` is the time that facts are appended at."""

    def __init__(self, components: Sequence[Component], root: Path, rules: matcher.Matcher) -> None:
        self.fold = Fold.new(strategies())
        self.ms = BEGAN_MS
        self._slicer = Slicer(rules, Topics())
        self._around = Surroundings(checkpoints=str(root))
        self._facts = 0
        self._positions = {"logs": 0, Topics().inbox_people: 0, Topics().inbox_workers: 0}
        for source in self._positions:
            self._fold(Took(source=source, partition=0, term=1, nonce="n", owner="lab"))
        for kind, value in (("policy", POLICY), ("inventory", Inventory(services=tuple(c.spec for c in components)))):
            body = canonical(value)
            self._hear(ConfigApplied(kind=kind, sha256=sha256(body), author="lab", body=body), Topics().inbox_people)

    def lines(self, said: Iterable[tuple[str, str]]) -> list[Decision]:
        """Take lines (service, text) as one fetch, and return what is decided."""
        return [decision for piece in self.slices(said) for decision in self._fold(piece)]

    def slices(self, said: Iterable[tuple[str, str]], *, and_encode: bool = False) -> tuple[Slice, ...]:
        """Cut lines as detect does; ``and_encode``: also make the bytes that it appends."""
        begin = self._positions["logs"]
        records = [
            Fetched("logs", 0, begin + place, self.ms, None, text.encode(), (("service", service.encode()),))
            for place, (service, text) in enumerate(said)
        ]
        self._positions["logs"] += len(records)
        cut = self._slicer.cut("logs", 0, 1, records, begin)
        if and_encode:
            for piece in (*cut.slices, *cut.evidence):
                encode(piece)
        return cut.slices

    def act(self, command: Command) -> Result:
        """Carry a command out here and now, with the pool's own handler."""
        return handler(command.action)(order_of(command), self._around)

    def tell(self, command: Command, result: Result) -> list[Decision]:
        """Say how a command ended."""
        outcome = OutcomeReported(
            command_id=command.id,
            command_seq=command.seq,
            host=HOST,
            worker="executor_001",
            status="done",
            ok=result.ok,
            code=result.code,
            effect=result.effect,
            started_ms=self.ms,
            finished_ms=self.ms,
            skew_ms=0,
        )
        return self._hear(outcome, Topics().inbox_workers)

    def wait(self, names: Iterable[str]) -> list[Decision]:
        """Let the time of a verification pass, with components that say that all is well."""
        decided = []
        for _ in range(WAIT_MS // 1_000):
            self.ms += 1_000
            decided += self.lines([(name, f"INFO {name}: job done") for name in names])
            decided += self._fold(Ticked(owner="lab"))
        return decided

    def _hear(self, event: InboxEvent, inbox: str) -> list[Decision]:
        position = self._positions[inbox]
        self._positions[inbox] += 1
        return self._fold(
            Slice(
                source=inbox,
                partition=0,
                term=1,
                from_offset=position,
                to_offset=position + 1,
                rules_sha256="",
                lines=0,
                at_max_ms=0,
                append_max_ms=self.ms,
                messages=(Message(offset=position, append_ms=self.ms, event=event),),
            )
        )

    def _fold(self, fact: AnyFact) -> list[Decision]:
        decided = self.fold.apply(fact, self._facts, self.ms)
        self._facts += 1
        return decided


def commands_of(decided: Iterable[Decision]) -> list[Command]:
    """Return the actions that were decided on."""
    return [one.command for one in decided if one.kind == "commanded" and one.command is not None]


def verified_of(decided: Iterable[Decision]) -> set[str]:
    """Return the services whose action was verified."""
    return {one.service for one in decided if one.kind == "verified"}
