"""What the fold takes: ``python -m benchmarks.fold``, beside SPEC C10 and DESIGN's floors.

Facts are fed as decide feeds them, decoded, one after the other, and all that the fold does with them is in the
figures: windows, templates, health, prediction, incidents, the choice of a strategy, the numbered and chained
decisions. Times are of this thread's processor: what other processes of a busy machine take is not counted, what the
garbage collector takes is.

* cost of a fact of a mix, over whole minutes of event time in which ``--rate`` facts a second come, with 10, 100, 1 000
  and 10 000 services: with 10 000 at most 1.5 times that with 10; the floor is 20 000 facts a second. Of 100 facts 84
  are slices of ten lines of an ordinary service, 10 of a metric, 5 have a line that looks like an error, 1 is a tick.
  What is done every ten seconds and every minute for each service weighs more at a lower rate than at the floor's;
* from an error to its strategy: one critical line of a service that nothing is known against, to the decision that
  acts, prediction included: 4.7 ms on average and 8.2 at most;
* the same when 50 services break in one slice, the slice as a whole;
* errors a second: 50 broken services go on saying so, each line a slice of its own: more than 1 000.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from streams.catalogue import strategies
from streams.core.config import Inventory, Policy, canonical, sha256
from streams.core.events import (
    ConfigApplied,
    Decision,
    Detection,
    Fact,
    LineAt,
    Message,
    Sample,
    Slice,
    Tally,
    Ticked,
    Took,
)
from streams.core.fold import Fold
from streams.core.inventory import ServiceSpec
from streams.core.num import draw
from streams.core.samples import sample
from streams.ingest.masking import template_id
from streams.topics import Topics

BEGIN_MS: Final = 1_800_000_000_000
SIZES: Final = (10, 100, 1_000, 10_000)
BROKEN: Final = 500
"""Services that break one after the other, all within the minute: their incidents are all open in the end."""
AT_ONCE: Final = 50
ERRORS: Final = 5_000
RATE: Final = 20_000
WARMING: Final = 60_000
"""Facts of the minute before what is timed."""
MINUTE_MS: Final = 60_000
LINES: Final = 10
TOPICS: Final = Topics()
TEMPLATES: Final = tuple(template_id(f"ERROR odd {word} thing".encode()) for word in ("warp", "flux", "core"))


class Load:
    """Facts of a fleet of so many services, and the fold that takes them."""

    def __init__(self, services: int, policy: Policy) -> None:
        """Begin a log: every source is taken, policy and inventory are applied."""
        self.fold = Fold.new(strategies())
        self.services = services
        self.offset = 0
        self.ms = BEGIN_MS
        self._ends: dict[str, int] = {}
        sources = (TOPICS.logs[0], TOPICS.metrics[0], TOPICS.inbox_people)
        for source in sources:
            self.feed(Took(source=source, partition=0, term=1, nonce="n", owner="o"))
        inventory = Inventory(services=tuple(map(_spec, range(services))))
        for kind, value in (("policy", policy), ("inventory", inventory)):
            body = canonical(value)
            applied = ConfigApplied(kind=kind, sha256=sha256(body), author="ada", body=body)
            self.feed(self.slice(TOPICS.inbox_people, messages=(Message(offset=0, append_ms=self.ms, event=applied),)))

    def feed(self, fact: Fact) -> list[Decision]:
        """Append a fact."""
        decided = self.fold.apply(fact, self.offset, self.ms)
        self.offset += 1
        return decided

    def slice(self, source: str, **parts: Any) -> Slice:
        """Return the next slice of a source."""
        begin = self._ends.get(source, 0)
        self._ends[source] = begin + 1
        return Slice(
            source=source,
            partition=0,
            term=1,
            from_offset=begin,
            to_offset=begin + 1,
            rules_sha256="r",
            lines=LINES,
            at_max_ms=self.ms,
            append_max_ms=self.ms,
            **parts,
        )

    def mixed(self, number: int) -> Fact:
        """Return the fact of this number in the mix."""
        place, service = number % 100, _name(int(draw(f"s{number}") * self.services))
        if place == 50:
            return Ticked(owner="o")
        if place % 10 == 9:
            return self.slice(TOPICS.metrics[0], samples=(self._sample(service, number),), points=1)
        if place % 20 == 3:
            return self._odd(service, number)
        return self.slice(TOPICS.logs[0], tallies=(_tally(service, self.ms, "info", count=LINES),))

    def _sample(self, service: str, number: int) -> Sample:
        value = 40.0 + 10.0 * draw(f"v{number}")
        metric = ("cpu", "memory", "queue_depth", "response_time")[number // 10 % 4]
        return sample(self.ms - self.ms % 1000, service, "h1", metric, value)

    def _odd(self, service: str, number: int) -> Slice:
        template = TEMPLATES[number // 20 % len(TEMPLATES)]
        found = _detection(service, "", "", "error", self.ms, template=template)
        tally = _tally(service, self.ms, "error", template=template)
        return self.slice(TOPICS.logs[0], detections=(found,), tallies=(tally,))

    def errors(self, services: Iterable[int], pattern: str = "process_crash", category: str = "process") -> Slice:
        """Return a slice with a critical line of each of some services."""
        names = [_name(number) for number in services]
        return self.slice(
            TOPICS.logs[0],
            detections=tuple(_detection(name, pattern, category, "critical", self.ms) for name in names),
            tallies=tuple(_tally(name, self.ms, "critical", pattern=pattern) for name in names),
        )


def _name(number: int) -> str:
    return f"service-{number:05d}"


def _spec(number: int) -> ServiceSpec:
    name = _name(number)
    return ServiceSpec(
        name=name, host=f"host-{number % 50}", mode="auto", argv=("run", name), pid_file=f"{name}.pid", port=8_000
    )


def _tally(service: str, at_ms: int, severity: str, *, pattern: str = "", template: str = "", count: int = 1) -> Tally:
    return Tally(
        at_ms=at_ms - at_ms % 1000, service=service, severity=severity, pattern=pattern, template=template, count=count
    )


def _detection(
    service: str, pattern: str, category: str, severity: str, at_ms: int, *, template: str = ""
) -> Detection:
    return Detection(
        service=service,
        service_rule="header",
        host="h1",
        pattern=pattern,
        category=category,
        severity=severity,
        template=template,
        confidence=0.9,
        count=1,
        at_first_ms=at_ms,
        at_last_ms=at_ms,
        lines=(LineAt(offset=0, index=0),),
    )


# ---------------------------------------------------------------------------------------------------------- measuring


class Cost(Struct, frozen=True):
    """What a fact of the mix costs with so many services; ``state_bytes`` is the size of a snapshot."""

    services: int
    fact_us: float
    facts_per_second: int
    decisions: int
    state_bytes: int


class Delay(Struct, frozen=True):
    """What facts with errors take. ``acted`` are the errors that were acted on in the very fact."""

    name: str
    errors: int
    acted: int
    mean_ms: float
    p99_ms: float
    most_ms: float
    errors_per_second: int


class Figures(Struct, frozen=True):
    """All that is measured; ``ratio`` is the largest fleet's cost of a fact over the smallest's."""

    costs: tuple[Cost, ...]
    ratio: float
    delays: tuple[Delay, ...]


def minute(load: Load, number: int, facts: int) -> tuple[int, int]:
    """Feed the mix for a minute of event time; return the nanoseconds that it took and how many decisions it made."""
    spent = decisions = 0
    begin_ms = BEGIN_MS + number * MINUTE_MS
    for place in range(facts):
        load.ms = begin_ms + place * MINUTE_MS // facts
        fact = load.mixed(place)
        begin = time.thread_time_ns()
        decided = load.feed(fact)
        spent += time.thread_time_ns() - begin
        decisions += len(decided)
    return spent, decisions


def cost(services: int, rate: int) -> Cost:
    """Feed the mix to a fleet that is known."""
    load = Load(services, Policy())
    minute(load, 1, WARMING)
    spent, decisions = minute(load, 2, rate * 60)
    fact_us = spent / (rate * 60) / 1_000
    return Cost(services, round(fact_us, 2), round(1e6 / fact_us), decisions, len(load.fold.snapshot()))


def delay(name: str, slices: Sequence[range]) -> Delay:
    """Let services have errors, those of a range in one slice, and time each slice; no budget keeps an action back."""
    free = {"budget_per_target": 10**6, "budget_per_service": 10**6, "budget_total": 10**6, "breaker_failures": 10**6}
    load = Load(2 * BROKEN, Policy(blast_radius_share=1.0, **free))  # type: ignore[arg-type]  # whole numbers
    minute(load, 1, WARMING)
    gc.collect()  # what the fleets before left behind is not of these errors
    taken: list[int] = []
    acted = 0
    for services in slices:
        load.ms += 1
        fact = load.errors(services)
        begin = time.thread_time_ns()
        decided = load.feed(fact)
        taken.append(time.thread_time_ns() - begin)
        acted += sum(decision.kind in {"commanded", "planned"} for decision in decided)
    taken.sort()
    errors = sum(map(len, slices))
    return Delay(
        name=name,
        errors=errors,
        acted=acted,
        mean_ms=round(sum(taken) / len(taken) / 1e6, 3),
        p99_ms=round(taken[len(taken) * 99 // 100] / 1e6, 3),
        most_ms=round(taken[-1] / 1e6, 3),
        errors_per_second=round(errors / (sum(taken) / 1e9)),
    )


def measure(sizes: Sequence[int], rate: int) -> Figures:
    """Measure everything."""
    costs = tuple(cost(size, rate) for size in sizes)
    delays = (
        delay("error to strategy", [range(one, one + 1) for one in range(BROKEN)]),
        delay(f"{AT_ONCE} services at once", [range(one, one + AT_ONCE) for one in range(0, BROKEN, AT_ONCE)]),
        delay(f"errors of {AT_ONCE} services", [range(one % AT_ONCE, one % AT_ONCE + 1) for one in range(ERRORS)]),
    )
    return Figures(costs, round(costs[-1].fact_us / costs[0].fact_us, 2), delays)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fold", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--rate", type=int, default=RATE, help="facts a second of event time")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of services")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    figures = measure(given.sizes, given.rate)
    if given.json:
        print(msgspec.json.encode(figures).decode())
        return 0
    print(f"{'services':>9}{'us a fact':>11}{'facts/s':>9}{'decisions':>11}{'state KB':>10}")
    for one in figures.costs:
        size = one.state_bytes // 1_000
        print(f"{one.services:>9}{one.fact_us:>11.2f}{one.facts_per_second:>9}{one.decisions:>11}{size:>10}")
    print(f"largest over smallest {figures.ratio}, bar 1.5; floor 20000 facts/s\n")
    print(f"{'':22}{'errors':>8}{'acted':>7}{'mean ms':>9}{'p99 ms':>8}{'most ms':>9}{'errors/s':>10}")
    for delayed in figures.delays:
        print(
            f"{delayed.name:22}{delayed.errors:>8}{delayed.acted:>7}{delayed.mean_ms:>9.2f}{delayed.p99_ms:>8.2f}"
            f"{delayed.most_ms:>9.2f}{delayed.errors_per_second:>10}"
        )
    print("bars: 4.7 ms mean, 8.2 ms most for one error; 1000 errors/s, 50 at once")
    return 0


if __name__ == "__main__":
    sys.exit(main())
