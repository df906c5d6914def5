"""Whatever advisors say, of whatever question: no command that the rules and the policy would not have let through."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streams.catalogue import strategies
from streams.core.advice import ABSTENTIONS, ADVISORS
from streams.core.advisors import HOSTS_MAX, QUESTIONS_MAX
from streams.core.chain import sha256_of
from streams.core.choosing import is_open
from streams.core.config import Inventory, Policy
from streams.core.events import Decision
from streams.core.fold import Fold
from streams.core.sending import arguments_for
from tests.core.world import World, kinds, spec

SERVICES = ("api", "db", "legacy")
PATTERNS = ("process_crash", "configuration_error", "database_lock", "out_of_memory", "data_corruption")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
ACTIONS = tuple(row.id for row in strategies().actions)
POLICY = Policy(
    verify_after_ms=2_000,
    stay_away_ms=2_000,
    cooldown_ms=1_000,
    budget_per_service=4,
    budget_total=5,
    blast_radius_share=1.0,
    quiet_close_ms=120_000,
    approval_ttl_ms=20_000,
    exploration_rate=0.3,
    coordination=False,
    advice_weight=1_000.0,
    advice_confidence_min=0.2,
    advice_wait_one_ms=5_000,
    advice_wait_three_ms=8_000,
)


class AnyOpinions(RuleBasedStateMachine):
    """Any mix of trouble, outcomes, people's answers and waiting, with advisors that say anything of anything."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.world.apply("policy", POLICY)
        services = (spec("api"), spec("db", mode="approve"), spec("legacy", mode="observe"))
        self.specs = {one.name: one for one in services}
        self.world.apply("inventory", Inventory(services=services))
        self.world.advisors()

    def _of(self, *kind: str) -> list[Decision]:
        return [one for one in self.world.decisions if one.kind in kind]

    @rule(service=st.sampled_from((*SERVICES, "stranger")), pattern=st.sampled_from(PATTERNS))
    def detect(self, service: str, pattern: str) -> None:
        self.world.detect(service, pattern)

    @rule(service=st.sampled_from(SERVICES[:2]), pattern=st.sampled_from(PATTERNS))
    def break_for_good(self, service: str, pattern: str) -> None:
        self.world.detect(service, pattern)
        for one in self._of("approval_requested")[-1:]:
            self.world.answer(one, approved=True)
        for one in self._of("commanded")[-1:]:
            self.world.outcome(one.id, ok=False)
        self.world.wait(3)

    @rule(names=st.lists(st.sampled_from((*ADVISORS, "oracle", "")), max_size=5), host=st.sampled_from(("h1", "h2")))
    def report(self, names: list[str], host: str) -> None:
        self.world.advisors(*names, host=host)

    @precondition(lambda self: self._of("advice_asked"))
    @rule(data=st.data(), advisor=st.sampled_from(ADVISORS), confidence=st.floats(0.0, 1.0))
    def advise(self, data: st.DataObject, advisor: str, confidence: float) -> None:
        question = data.draw(st.sampled_from(self._of("advice_asked")[-3:]))
        action = data.draw(st.sampled_from([one.action for one in question.options] + ["", *ACTIONS[:3]]))
        suspect = data.draw(st.sampled_from((*SERVICES, "", "made up")))
        cause = data.draw(st.sampled_from((*PATTERNS, "", "made up")))
        fields: dict[str, Any] = {"question_id": question.id, "suspect": suspect, "cause": cause}
        self.world.opine(advisor, action, confidence, **fields)

    @rule(
        data=st.data(),
        advisor=st.sampled_from((*ADVISORS, "oracle")),
        action=st.one_of(st.sampled_from(ACTIONS), TEXT),
        confidence=st.floats(),
        code=st.one_of(st.sampled_from(ABSTENTIONS), TEXT),
        numbers=st.tuples(INTEGERS, INTEGERS, INTEGERS, INTEGERS),
    )
    def rave(
        self,
        data: st.DataObject,
        advisor: str,
        action: str,
        confidence: float,
        code: str,
        numbers: tuple[int, int, int, int],
    ) -> None:
        ids = [one.id for one in self.world.decisions]
        fields: dict[str, Any] = dict(
            zip(("latency_ms", "tokens_in", "tokens_out", "cost_microusd"), numbers, strict=True)
        )
        fields |= {name: data.draw(TEXT) for name in ("suspect", "cause", "provider", "model", "source")}
        question_id = data.draw(st.one_of(st.sampled_from(ids), TEXT))
        self.world.opine(advisor, action, confidence, code=code, question_id=question_id, **fields)

    @precondition(lambda self: self._of("commanded"))
    @rule(ok=st.booleans())
    def outcome(self, ok: bool) -> None:  # noqa: FBT001 - the machine draws it
        self.world.outcome(self._of("commanded")[-1].id, ok=ok)

    @precondition(lambda self: self._of("approval_requested"))
    @rule(approved=st.booleans())
    def answer(self, approved: bool) -> None:  # noqa: FBT001 - the machine draws it
        self.world.answer(self._of("approval_requested")[-1], approved=approved)

    @rule(on=st.booleans())
    def switch(self, on: bool) -> None:  # noqa: FBT001 - the machine draws it
        _ = self.world.halt() if on else self.world.resume()

    @rule(service=st.sampled_from(SERVICES), seconds=st.integers(1, 20))
    def wait(self, service: str, seconds: int) -> None:
        self.world.normal(service)
        self.world.wait(seconds)

    @invariant()
    def what_is_done_was_an_open_option_of_its_own_decision(self) -> None:
        for one in self._of("commanded", "approval_requested"):
            if one.options and one.command is not None:
                chosen = [option for option in one.options if option.action == one.command.action]
                assert [(is_open(option), option.probability > 0) for option in chosen] == [(True, True)]

    @invariant()
    def what_is_done_comes_from_the_catalogue_and_the_inventory_alone(self) -> None:
        catalogue, by_id = strategies(), {one.id: one for one in self.world.decisions}
        for one in self._of("commanded", "approval_requested"):
            assert one.command is not None
            row = self.specs[one.command.service]
            pattern = by_id.get(one.refers_to, one).pattern  # what was approved was asked for that pattern
            assert one.command.action in {action.id for action in catalogue.actions_for(row, pattern)}
            assert one.command.arguments == arguments_for(one.command.action, row, pattern)
            assert (one.command.host, one.command.service) == (row.host, one.service)

    @invariant()
    def people_and_policy_have_the_last_word(self) -> None:
        halted, sent = False, []
        for one in self.world.decisions:
            halted = one.kind == "halted" or (halted and one.kind != "resumed")
            if one.kind == "commanded" and one.command is not None:
                sent.append(one)
                assert not halted
                assert one.service != "legacy"
                assert one.service != "db" or one.command.approved_by
        assert len([one for one in sent if self.world.ms - one.now_ms < 3_600_000]) <= POLICY.budget_total

    @invariant()
    def nothing_is_done_while_advisors_are_waited_for(self) -> None:
        waits: dict[str, str] = {}
        for one in self.world.decisions:
            if one.kind == "advice_asked":
                waits[one.incident] = one.id
            elif one.kind in {"advice_settled", "escalated", "incident_closed"}:
                waits.pop(one.incident, None)
            assert one.kind not in {"commanded", "approval_requested"} or one.incident not in waits

    @invariant()
    def a_question_is_settled_once_and_each_advisor_heard_once(self) -> None:
        asked = {one.id for one in self._of("advice_asked")}
        settled = [one.refers_to for one in self._of("advice_settled")]
        voices = [(one.refers_to, one.reason.partition(":")[0]) for one in self._of("advised")]
        assert len(settled) == len(set(settled))
        assert len(voices) == len(set(voices))
        assert asked >= {*settled, *(question for question, _ in voices)}
        assert {advisor for _, advisor in voices} <= set(ADVISORS)

    @invariant()
    def nothing_is_recorded_that_a_reader_can_not_hold(self) -> None:
        for one in self._of("advised", "advice_asked", "advice_settled"):
            assert all(math.isfinite(figure.value) for figure in one.figures)
            assert 0.0 <= one.confidence <= 1.0
            assert len(one.reason) < 100

    @invariant()
    def what_is_remembered_is_bounded(self) -> None:
        state = self.world.fold._state
        assert len(state.advisors.present) <= HOSTS_MAX
        assert len(state.advisors.questions) <= QUESTIONS_MAX
        assert set(state.advisors.records) <= set(ADVISORS)
        for incident in state.incidents.by_id.values():
            assert incident.asked is None or incident.asked.answers <= incident.asked.wanted

    def teardown(self) -> None:
        """Fold again, restored from a snapshot half way: the same bytes."""
        if not hasattr(self, "world"):
            return
        fold, again = Fold.new(strategies()), []
        for number, (fact, offset, append_ms) in enumerate(self.world.facts):
            if number == len(self.world.facts) // 2:
                fold = Fold.restore(fold.snapshot(), strategies())
            again += fold.apply(fact, offset, append_ms)
        assert [sha256_of(one) for one in again] == [sha256_of(one) for one in self.world.decisions]


TestAnyOpinions = AnyOpinions.TestCase
TestAnyOpinions.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_the_machine_reaches_what_it_judges() -> None:
    """A history of the machine's own steps asks, settles, acts on advice and passes on, so its invariants can fail."""
    machine = AnyOpinions()
    machine.begin()
    machine.break_for_good("api", "configuration_error")
    machine.world.opine(ADVISORS[2], "process.start", 0.9)
    machine.break_for_good("db", "database_lock")
    machine.world.opine(ADVISORS[2], "process.start", 0.1)
    assert set(kinds(machine.world.decisions)) >= {"advice_asked", "advised", "advice_settled", "commanded"}
    assert any("advice=" in one.reason for one in machine._of("commanded"))
    machine.nothing_is_done_while_advisors_are_waited_for()
    machine.a_question_is_settled_once_and_each_advisor_heard_once()
