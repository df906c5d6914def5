"""Whatever is reported in whatever order: no plan stays open for ever, and everybody is let go."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streams.catalogue import strategies
from streams.core.config import Inventory, Policy
from streams.core.coordination import FINDINGS_MAX, GONE, MEMBERS_MAX, STEPS_MAX
from streams.core.events import Decision
from streams.core.fold import Fold
from streams.core.incidents import ESCALATED, PLANNING
from streams.core.inventory import ProbeSpec
from streams.core.kinds import SENDING_KINDS
from streams.core.reports import SPECIALIST_STATES
from tests.core.world import World, spec

SERVICES = ("api", "db", "web")
PATTERNS = ("database_connection", "resource_exhaustion", "service_dependency", "process_crash", "connection_refused")
CODES = (*(row.code for row in strategies().teams.findings), "made_up")
POLICY = Policy(
    verify_after_ms=2_000,
    stay_away_ms=2_000,
    cooldown_ms=1_000,
    blast_radius_share=1.0,
    quiet_close_ms=200_000,
    approval_ttl_ms=90_000,
    exploration_rate=0.5,
    command_ttl_ms=10_000,
    action_timeout_ms=5_000,
    specialists_max=7,
    specialists_memory_max_mb=800,
)
PLAN_OVER_S = (POLICY.plan_ms + POLICY.command_ttl_ms + POLICY.action_timeout_ms) // 1_000 + 60
AFTER_ALL_S = 3 * PLAN_OVER_S + POLICY.quiet_close_ms // 1_000


class AnyReports(RuleBasedStateMachine):
    """Any mix of symptoms, reports of specialists, findings, outcomes, kill switch, policies and waiting."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.gone: set[object] = set()
        """Members that were reported gone, and spawns that failed."""
        self.world.apply("policy", POLICY)
        probes = (ProbeSpec(kind="process"),)
        services = (spec("api", probes=probes), spec("db", mode="approve"), spec("web", depends_on=("db",)))
        self.inventory = Inventory(services=services)
        self.world.apply("inventory", self.inventory)

    def _sent(self, *kinds: str) -> list[Decision]:
        return [one for one in self.world.decisions if one.kind in kinds]

    @rule(
        service=st.sampled_from(SERVICES),
        pattern=st.sampled_from(PATTERNS),
        severity=st.sampled_from(("error", "critical")),
    )
    def detect(self, service: str, pattern: str, severity: str) -> None:
        self.world.detect(service, pattern, severity=severity)

    @precondition(lambda self: self._sent("spawned"))
    @rule(data=st.data(), state=st.sampled_from(SPECIALIST_STATES))
    def report(self, data: st.DataObject, state: str) -> None:
        one = data.draw(st.sampled_from(self._sent("spawned")))
        if state in GONE:
            self.gone.add(one.id)
        self.world.specialist(one.reason.partition(" ")[0], state, plan=one.refers_to)

    @precondition(lambda self: self._sent("spawned"))
    @rule()
    def all_run(self) -> None:
        for one in self._sent("spawned")[-6:]:
            self.world.specialist(one.reason.partition(" ")[0], "running", plan=one.refers_to)

    @precondition(lambda self: self._sent("looked"))
    @rule(
        data=st.data(),
        code=st.sampled_from(CODES),
        value=st.floats(),
    )
    def find(self, data: st.DataObject, code: str, value: float) -> None:
        look = data.draw(st.sampled_from(self._sent("looked")))
        self.world.found(look.id, code, value, service=look.service)

    @precondition(lambda self: self._sent(*SENDING_KINDS))
    @rule(
        data=st.data(),
        status=st.sampled_from(("done", "done", "done", "refused", "expired", "in_doubt")),
        effect=st.sampled_from(("none", "once", "unknown")),
        ok=st.booleans(),
    )
    def outcome(self, data: st.DataObject, status: str, effect: str, ok: bool) -> None:  # noqa: FBT001 - drawn
        one = data.draw(st.sampled_from(self._sent(*SENDING_KINDS)))
        if one.kind == "spawned" and not (ok and status == "done"):
            self.gone.add(one.id)
        self.world.outcome(one.id, status=status, effect=effect, ok=ok and status == "done")

    @rule()
    def all_looks_end(self) -> None:
        for one in self._sent("looked")[-12:]:
            self.world.outcome(one.id, effect="none")

    @precondition(lambda self: self._sent("commanded"))
    @rule(ok=st.booleans(), effect=st.sampled_from(("none", "once")))
    def last_act_ends(self, ok: bool, effect: str) -> None:  # noqa: FBT001 - the machine draws it
        self.world.outcome(self._sent("commanded")[-1].id, ok=ok, effect=effect)

    @precondition(lambda self: self._sent("spawned"))
    @rule()
    def all_goes_well(self) -> None:
        self.all_run()
        for _ in range(STEPS_MAX):
            self.all_looks_end()
        for one in self._sent("commanded")[-1:]:
            self.world.outcome(one.id)
        for _ in range(8):
            self.world.wait(2)
            for service in SERVICES:
                self.world.normal(service)

    @precondition(lambda self: self._sent("approval_requested"))
    @rule(data=st.data(), approved=st.booleans())
    def answer(self, data: st.DataObject, approved: bool) -> None:  # noqa: FBT001 - the machine draws it
        self.world.answer(data.draw(st.sampled_from(self._sent("approval_requested"))), approved=approved)

    @rule(on=st.booleans())
    def switch(self, on: bool) -> None:  # noqa: FBT001 - the machine draws it
        _ = self.world.halt() if on else self.world.resume()

    @rule(gone=st.booleans())
    def inventory_changes(self, gone: bool) -> None:  # noqa: FBT001 - the machine draws it
        services = self.inventory.services
        self.world.apply("inventory", Inventory(services=services[1:] if gone else services))

    @rule(service=st.sampled_from(SERVICES))
    def normal(self, service: str) -> None:
        self.world.normal(service)

    @rule(seconds=st.integers(1, 15))
    def wait(self, seconds: int) -> None:
        self.world.wait(seconds)

    @invariant()
    def what_is_held_is_within_the_budget(self) -> None:
        state = self.world.fold._state
        needs = state.roster.needs(state.clock.now_ms)
        assert needs.specialists <= POLICY.specialists_max
        assert needs.memory_mb <= POLICY.specialists_memory_max_mb

    @invariant()
    def plans_are_bounded_and_in_order(self) -> None:
        for incident in self.world.fold._state.incidents.by_id.values():
            plan = incident.plan
            assert plan is not None or incident.status != PLANNING
            assert plan is None or incident.status != ESCALATED
            if plan is not None:
                assert 0 < len(plan.members) <= MEMBERS_MAX
                assert len(plan.steps) <= STEPS_MAX
                assert len(plan.findings) <= FINDINGS_MAX

    @invariant()
    def nobody_is_held_longer_than_a_plan_may_last(self) -> None:
        state = self.world.fold._state
        plans = [one.plan for one in state.incidents.by_id.values() if one.plan is not None]
        assert not [
            member
            for plan in plans
            for member in plan.members
            if member.state not in GONE and state.clock.now_ms >= plan.until_ms
        ]

    @invariant()
    def a_plan_ends_once(self) -> None:
        ended = [one.refers_to for one in self._sent("plan_ended")]
        assert len(ended) == len(set(ended))
        assert set(ended) <= {one.refers_to for one in self._sent("spawned")}

    @invariant()
    def every_sent_command_names_the_one_before(self) -> None:
        sent = self._sent(*SENDING_KINDS)
        assert [one.command.previous_seq for one in sent if one.command] == [-1, *(one.seq for one in sent)][:-1]

    @invariant()
    def nothing_is_looked_at_while_halted(self) -> None:
        halted = False
        for decision in self.world.decisions:
            halted = decision.kind == "halted" or (halted and decision.kind != "resumed")
            assert not (halted and decision.kind in {"spawned", "looked"})

    def teardown(self) -> None:
        """Let time pass with nothing said: all plans are over, everybody is let go; and it folds to the same again."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.wait(AFTER_ALL_S)
        assert {one.refers_to for one in self._sent("spawned")} == {one.refers_to for one in self._sent("plan_ended")}
        assert not world.fold.timer_open
        told = {(one.refers_to, one.reason) for one in self._sent("released")}
        spawned = [(one, one.refers_to, one.reason.partition(" ")[0]) for one in self._sent("spawned")]
        assert not [name for one, plan, name in spawned if (plan, name) not in told and one.id not in self.gone]
        state = world.fold._state
        world.ms += 60_000
        world.normal("api")
        assert state.roster.needs(state.clock.now_ms).specialists == 0
        fold = Fold.new(strategies())
        for number, (fact, offset, append_ms) in enumerate(world.facts):
            if number == len(world.facts) // 2:
                fold = Fold.restore(fold.snapshot(), strategies())
            fold.apply(fact, offset, append_ms)
        assert fold.chain_head == world.fold.chain_head


TestAnyReports = AnyReports.TestCase
TestAnyReports.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
