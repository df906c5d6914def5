"""Long histories of all that can be said to the fold, drawn by a seed; a second fold goes on from snapshots."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from msgspec.structs import replace

from streams.catalogue import strategies
from streams.core.advice import ADVISORS
from streams.core.chain import sha256_of
from streams.core.config import Inventory, Policy
from streams.core.events import HEALTH_METRICS, SAMPLE_KINDS, SEVERITIES, Decision, Fact, Sample, Tally, Ticked
from streams.core.fold import Fold
from streams.core.samples import sample
from tests.core.world import CATEGORY, World, spec

SERVICES: Final = ("api", "db", "web", "queue", "stranger", "a name|with parts", "")
NUMBERS: Final = (0.0, -0.0, 1.8e308 / 1.01, -1e308, 5e-324, 1e15, -1e15, 1e9, -1.0, -1e-9, 1e-9)
"""Finite numbers that nobody means."""
TIMES: Final = (0, -1, -10_000, -10_001, 1, 9_999, 1 << 62, -(1 << 62), (1 << 63) - 1, 1_000 - (1 << 63))
"""Event times that nobody means, in ms."""
SENT: Final = frozenset({"commanded", "spawned", "looked", "released"})


class Chronicle(World):
    """A world in which anything happens. ``again`` decides the same as ``fold``, from snapshots taken at any time.

    ``restores`` is the share of facts before which it is restored; ``absurd`` the share of numbers that nobody means.
    """

    def __init__(self, seed: int, *, restores: float = 0.0, absurd: float = 0.0) -> None:
        super().__init__()
        self.chance = Random(seed)
        self.restores = restores
        self.absurd = absurd
        self.again = Fold.new(strategies())
        self.memory = dict.fromkeys(SERVICES, 30.0)
        self.total = 0.0
        self.govern()
        self.apply("inventory", self._inventory(whole=True))

    def feed(self, fact: Fact) -> list[Decision]:
        """Append a fact; both folds decide the same bytes of it."""
        offset = len(self.facts)
        decided = super().feed(fact)
        if self.chance.random() < self.restores:
            snapshot = self.again.snapshot()
            self.again = Fold.restore(snapshot, strategies())
            assert self.again.snapshot() == snapshot
        repeated = self.again.apply(fact, offset, self.ms)
        assert [sha256_of(one) for one in repeated] == [sha256_of(one) for one in decided]
        return decided

    def live(self, minutes: int, events: int = 8) -> None:
        """Let some minutes pass, in each of which services report their metrics and a few things happen."""
        for _ in range(minutes):
            for service in SERVICES[:5]:
                self.report(service)
            for _ in range(events):
                self.happen()
                self.ms += self.chance.choice((0, 1_000, 5_000, 120_000 // events))

    def happen(self) -> None:
        """Let one thing happen."""
        events: tuple[tuple[Callable[[], object], int], ...] = (
            (self.sample_anything, 2),
            (self.count_anything, 5),
            (self.see, 3),
            (self.look, 4),
            (self.end, 5),
            (self.say_of_a_plan, 2),
            (self.advise, 2),
            (self.decide, 2),
            (self.switch, 1),
            (self.govern, 1),
            (self.repeat, 1),
            (self.tick, 1),
        )
        self.chance.choices([event for event, _ in events], [weight for _, weight in events])[0]()

    def number(self) -> float:
        """Return a number as metrics have them, or one that nobody means."""
        return self.chance.choice(NUMBERS) if self.chance.random() < self.absurd else self.chance.uniform(0.0, 120.0)

    def time(self) -> int:
        """Return an event time: mostly just now, at times late, old, ahead, or one that nobody means."""
        if self.chance.random() < self.absurd / 10.0:
            return self.chance.choice(TIMES)
        kind = self.chance.random()
        if kind < 0.85:
            return self.ms - self.chance.randrange(3_000)
        return self.ms - (self.chance.randrange(-300_000, 900_000) if kind < 0.97 else self.chance.randrange(10**8))

    def report(self, service: str) -> None:
        """Report a service's metrics: memory leaks until it is full, counters grow, load comes and goes."""
        held = self.memory[service] = self.memory[service] + self.chance.uniform(0.0, 3.0)
        self.total += self.chance.uniform(0.0, 100.0)
        gauges = (("memory", min(held, 100.0)), ("cpu", self.chance.uniform(20.0, 60.0)))
        found = [self._sample(service, metric, "gauge", "g", value) for metric, value in gauges]
        shares = (0.1, 0.7, 1.9)
        found += [
            self._sample(service, "throughput", "total", f"t#{at}", self.total * part) for at, part in enumerate(shares)
        ]
        self.slice("metrics", lines=0, samples=tuple(found))
        self.normal(service)
        if held > 95.0:
            self.memory[service] = 30.0
            self.detect(service, "out_of_memory")

    def _sample(self, service: str, metric: str, kind: str, series: str, value: float) -> Sample:
        if not self.absurd:
            return sample(self.ms, service, "h1", metric, value, kind=kind, series=series)
        at_ms, host = self.time(), self.chance.choice(("h1", "h1", "h2"))
        one = sample(at_ms, service, host, metric, value, kind=kind, series=series)
        return replace(one, count=self.chance.choice((0, 1, 1 << 62)))

    def sample_anything(self) -> None:
        """Report a few numbers of any kind."""
        draw = self.chance.choice
        metrics, series = (*HEALTH_METRICS, "unheard of"), ("g", "t#0", "t#9", "other", "")
        self.slice(
            "metrics",
            lines=0,
            samples=tuple(
                self._sample(draw(SERVICES), draw(metrics), draw(SAMPLE_KINDS), draw(series), self.number())
                for _ in range(self.chance.randrange(6))
            ),
        )

    def count_anything(self) -> None:
        """Count lines of any service, severity, pattern and template."""
        draw = self.chance.choice
        self.slice(
            tallies=tuple(
                Tally(
                    at_ms=self.time(),
                    service=draw(SERVICES),
                    severity=draw(SEVERITIES),
                    pattern=pattern,
                    template="" if pattern else self._template(),
                    count=draw((1, 1, 5, 60)),
                )
                for pattern in self.chance.choices(("", *CATEGORY), (30, *[1] * len(CATEGORY)), k=draw((1, 3, 6)))
            )
        )

    def _template(self) -> str:
        words = self.chance.choice((["Ab", "cd", "Ef", "gh"], ["Ij", "kl", "mn", "**", "Op"], ["Qr", "st"]))
        name = self.chance.choice(("aa", "bb", "cc", "dd", "ee", "**"))
        return f"{self.chance.randrange(4):016x}.{''.join(words)}{name}Zz"

    def see(self) -> None:
        """Detect a pattern."""
        self.detect(
            self.chance.choice(SERVICES),
            self.chance.choice(tuple(CATEGORY)),
            at_ms=self.time(),
            count=self.chance.choice((1, 40)),
        )

    def look(self) -> None:
        """Report a probe."""
        kind = self.chance.choice(("http", "process", "tcp", "disk", "unheard of"))
        self.probe(self.chance.choice(SERVICES), ok=self.chance.random() < 0.6, kind=kind)

    def end(self) -> None:
        """Report how a command ended."""
        sent = [one for one in self.decisions[-200:] if one.kind in SENT and one.command is not None]
        if not sent:
            return
        ended = self.chance.choice(sent[-6:])
        status = self.chance.choice(("done", "done", "done", "refused", "expired", "in_doubt"))
        effect = "once" if status == "done" else self.chance.choice(("none", "unknown"))
        self.outcome(
            ended.id,
            status=status,
            ok=status == "done" and self.chance.random() < 0.5,
            effect=effect,
            host=ended.command.host if ended.command else "",
        )

    def say_of_a_plan(self) -> None:
        """Report a specialist or a finding of the newest plan."""
        asked = [one for one in self.decisions[-60:] if one.kind in {"spawned", "looked"}]
        if not asked:
            return
        one = self.chance.choice(asked)
        if one.kind == "looked":
            code = self.chance.choice(("memory_grows", "port_taken", "unheard_of"))
            self.found(one.id, code, self.number(), service=one.service)
        else:
            self.specialist(one.reason.split()[0], self.chance.choice(("running", "dead", "spawned", "failed")))

    def advise(self) -> None:
        """Report who would answer, or give an opinion on one of the newest questions."""
        draw = self.chance.choice
        asked = [one for one in self.decisions[-200:] if one.kind == "advice_asked"]
        if not asked or self.chance.random() < 0.3:
            self.advisors(*ADVISORS[: draw((1, 3, 3, 3))], host=draw(("h1", "h1", "h2")))
            return
        question = draw(asked[-3:])
        self.opine(
            draw((*ADVISORS, "unheard of")),
            draw([*(one.action for one in question.options), "", "unheard.of"]),
            self.number() if self.absurd else self.chance.random(),
            question_id=question.id,
            suspect=draw(SERVICES),
            cause=draw((*CATEGORY, "")),
            latency_ms=self.time(),
        )

    def decide(self) -> None:
        """Answer an approval request."""
        asked = [one for one in self.decisions[-200:] if one.kind == "approval_requested"]
        if asked:
            self.answer(self.chance.choice(asked[-3:]), approved=self.chance.random() < 0.7)

    def switch(self) -> None:
        """Throw the kill switch, or more often release it."""
        _ = self.halt() if self.chance.random() < 0.3 else self.resume()

    def govern(self) -> None:
        """Apply another policy or inventory."""
        if self.chance.random() < 0.3:
            self.apply("inventory", self._inventory(whole=False))
            return
        draw = self.chance.choice
        self.apply(
            "policy",
            Policy(
                verify_after_ms=2_000,
                stay_away_ms=2_000,
                cooldown_ms=1_000,
                quiet_close_ms=30_000,
                budget_per_service=1_000,
                budget_total=1_000,
                blast_radius_share=1.0,
                prediction=self.chance.random() < 0.9,
                coordination=self.chance.random() < 0.5,
                autonomy=self.chance.random() < 0.5,
                exploration_rate=0.3,
                stuck_failures=draw((2, 10)),
                forgetting=draw((0.0, 0.01, 1.0)),
                risk_auto_max=draw((0.3, 1.0)),
                anomaly_surprise=draw((0.1, 2.0)),
                tie_surprise=0.0,
                surge_lines_min=draw((1, 50)),
                attempts_max=draw((1, 3, 7)),
            ),
        )

    def _inventory(self, *, whole: bool) -> Inventory:
        services = (
            spec("api", queue_limit=100),
            spec("db", mode="auto" if whole else self.chance.choice(("auto", "approve"))),
            spec("web", depends_on=("api",)),
            spec("queue", host="h2"),
        )
        return Inventory(services=services if whole else services[: self.chance.choice((1, 3, 4))])

    def repeat(self) -> None:
        """Append a fact for the second time: what it accounts for was accounted for."""
        self.feed(self.chance.choice(self.facts)[0])

    def tick(self) -> None:
        """Let time pass, rarely by hours, and the broker's clock step back."""
        self.ms += self.chance.choices((60_000, 3_600_000, -600_000), (30, 1, 1))[0]
        self.feed(Ticked(owner="o"))
