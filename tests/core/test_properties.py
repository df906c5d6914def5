"""Invariants that hold for any order of facts: found by trying many."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streams.catalogue import strategies
from streams.core.chain import sha256_of
from streams.core.config import Inventory, Policy
from streams.core.fold import Fold
from streams.core.incidents import ACTING, VERIFYING
from tests.core.world import World, spec

SERVICES = ("api", "db", "proxy")
PATTERNS = ("process_crash", "port_conflict", "connection_refused", "out_of_memory", "authentication_failure")
POLICY = Policy(
    verify_after_ms=2_000,
    stay_away_ms=2_000,
    cooldown_ms=1_000,
    budget_per_service=4,
    budget_total=3,
    blast_radius_share=0.7,
    quiet_close_ms=30_000,
    approval_ttl_ms=20_000,
    exploration_rate=0.3,
)


class AnyOrder(RuleBasedStateMachine):
    """Any mix of symptoms, outcomes, probes, approvals, kill switch and waiting."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.world.apply("policy", POLICY)
        services = (spec("api"), spec("db", mode="approve"), spec("proxy", depends_on=("api",)))
        self.world.apply("inventory", Inventory(services=services))

    @rule(
        service=st.sampled_from((*SERVICES, "stranger")), pattern=st.sampled_from(PATTERNS), age=st.integers(0, 400_000)
    )
    def detect(self, service: str, pattern: str, age: int) -> None:
        self.world.detect(service, pattern, at_ms=self.world.ms - age)

    @rule(service=st.sampled_from(SERVICES), ok=st.booleans(), kind=st.sampled_from(("process", "http")))
    def probe(self, service: str, ok: bool, kind: str) -> None:  # noqa: FBT001 - the machine draws it
        self.world.probe(service, ok=ok, kind=kind)

    @rule(service=st.sampled_from(SERVICES))
    def normal(self, service: str) -> None:
        self.world.normal(service)

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        self.world.wait(seconds)

    @rule(ms=st.integers(-100_000_000, 100_000_000))
    def clock_step(self, ms: int) -> None:
        self.world.ms += ms

    @rule(on=st.booleans())
    def switch(self, on: bool) -> None:  # noqa: FBT001 - the machine draws it
        _ = self.world.halt() if on else self.world.resume()

    @precondition(lambda self: any(d.kind == "commanded" for d in self.world.decisions))
    @rule(data=st.data(), status=st.sampled_from(("done", "refused", "expired", "in_doubt")), ok=st.booleans())
    def outcome(self, data: st.DataObject, status: str, ok: bool) -> None:  # noqa: FBT001 - the machine draws it
        sent = [d.id for d in self.world.decisions if d.kind == "commanded"]
        self.world.outcome(data.draw(st.sampled_from(sent)), status=status, ok=ok and status == "done")

    @precondition(lambda self: any(d.kind == "approval_requested" for d in self.world.decisions))
    @rule(data=st.data(), approved=st.booleans())
    def answer(self, data: st.DataObject, approved: bool) -> None:  # noqa: FBT001 - the machine draws it
        asked = [d for d in self.world.decisions if d.kind == "approval_requested"]
        self.world.answer(data.draw(st.sampled_from(asked)), approved=approved)

    @invariant()
    def decisions_are_dense_and_chained(self) -> None:
        decisions = self.world.decisions
        assert [d.seq for d in decisions] == list(range(len(decisions)))
        if len(decisions) > 1:
            assert decisions[-1].previous_sha256 == sha256_of(decisions[-2])

    @invariant()
    def one_action_per_service_at_a_time(self) -> None:
        incidents = self.world.fold._state.incidents.by_id.values()
        busy = [one.service for one in incidents if one.status in {ACTING, VERIFYING}]
        assert len(busy) == len(set(busy))

    @invariant()
    def every_command_ends_at_most_once(self) -> None:
        ends = [d.refers_to for d in self.world.decisions if d.kind == "command_ended"]
        assert len(ends) == len(set(ends))

    @invariant()
    def probabilities_of_a_choice_add_up(self) -> None:
        for decision in self.world.decisions:
            if decision.options:
                assert abs(sum(option.probability for option in decision.options) - 1.0) < 1e-6

    @invariant()
    def no_command_beyond_the_budget(self) -> None:
        sent = [d for d in self.world.decisions if d.kind == "commanded"]
        for last in sent:
            hour = [d for d in sent if last.now_ms - 3_600_000 < d.now_ms <= last.now_ms and d.seq <= last.seq]
            assert len(hour) <= POLICY.budget_total

    @invariant()
    def nothing_is_commanded_while_halted(self) -> None:
        halted = False
        for decision in self.world.decisions:
            halted = decision.kind == "halted" or (halted and decision.kind != "resumed")
            assert not (halted and decision.kind == "commanded")

    @invariant()
    def no_command_for_what_is_not_in_the_inventory(self) -> None:
        assert not any(d.kind == "commanded" and d.service not in SERVICES for d in self.world.decisions)

    def teardown(self) -> None:
        """Fold again, restored from a snapshot half way: the same bytes."""
        if not hasattr(self, "world"):
            return
        fold, again = Fold.new(strategies()), []
        for number, (fact, offset, append_ms) in enumerate(self.world.facts):
            if number == len(self.world.facts) // 2:
                fold = Fold.restore(fold.snapshot(), strategies())
            again += fold.apply(fact, offset, append_ms)
        assert [sha256_of(d) for d in again] == [sha256_of(d) for d in self.world.decisions]
        assert fold.snapshot() == self.world.fold.snapshot()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
