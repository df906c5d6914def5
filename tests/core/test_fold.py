"""The fold as a user of it sees it: facts in, decisions out."""

from __future__ import annotations

import pytest

from streams.core.chain import sha256_of
from streams.core.commands import command_sha256
from streams.core.config import Inventory, Policy
from streams.core.errors import InvariantError
from streams.core.events import Decision, LinesLost, Ticked, Took
from tests.core.world import World, kinds, spec

QUICK = Policy(
    verify_after_ms=3_000,
    stay_away_ms=5_000,
    cooldown_ms=2_000,
    lateness_ms=1_000,
    unverified_after_ms=20_000,
    exploration_rate=0.0,
    blast_radius_share=1.0,
    coordination=False,
)


def a_world(*services: str, policy: Policy = QUICK, **fields: object) -> World:
    """Return a world with the quick policy and these services in the inventory."""
    world = World()
    world.apply("policy", policy)
    world.apply("inventory", Inventory(services=tuple(spec(name, **fields) for name in services)))
    return world


def only(decisions: list[Decision], kind: str) -> Decision:
    """Return the one decision of a kind."""
    found = [decision for decision in decisions if decision.kind == kind]
    assert len(found) == 1, kinds(decisions)
    return found[0]


def test_critical_line_is_a_command_in_the_same_fact() -> None:
    """A critical pattern on a service in mode auto becomes a command at once."""
    world = a_world("api")
    decided = world.detect("api", "process_crash")
    assert kinds(decided) == ["incident_opened", "commanded"]
    command = decided[1].command
    assert command is not None
    assert (command.action, command.strategy, command.host, command.service) == (
        "process.restart",
        "restart",
        "h1",
        "api",
    )
    assert command.sha256 == command_sha256(command)
    assert command.id == decided[1].id
    assert command.seq == decided[1].seq
    assert command.previous_seq == -1


def test_command_names_the_line_that_caused_it() -> None:
    """The cause of a command is the coordinate of the line in its source."""
    world = a_world("api")
    world.normal("api")
    decided = world.detect("api", "process_crash")
    cause = decided[1].causes[0]
    assert (cause.topic, cause.partition, cause.offset, cause.index) == ("logs", 0, 1, 0)


def test_verified_needs_quiet_evidence_and_a_passed_window() -> None:
    """An incident is healed once the watermark passed the window, nothing came back and a normal line was seen."""
    world = a_world("api")
    command = only(world.detect("api", "process_crash"), "commanded")
    world.wait(1)
    assert kinds(world.outcome(command.id)) == ["command_ended"]
    world.wait(2)
    world.normal("api")
    assert kinds(world.wait(6)) == []
    world.ms += 4000
    assert kinds(world.normal("api")) == ["verified", "incident_closed"]
    assert world.decisions[-1].reason == "healed"
    assert not world.fold.timer_open


def test_quiet_without_evidence_is_unverified() -> None:
    """Silence after an action never counts as success."""
    world = a_world("api")
    command = only(world.detect("api", "process_crash"), "commanded")
    world.outcome(command.id)
    decided = world.wait(60)
    assert "verified" not in kinds(decided)
    assert kinds(decided) == ["unverified", "incident_closed"]


def test_returning_symptom_fails_the_verification_and_tries_again() -> None:
    """A symptom inside the window is a failure, and the next attempt follows the cool-down."""
    world = a_world("api")
    command = only(world.detect("api", "process_crash"), "commanded")
    world.outcome(command.id)
    world.wait(5)
    assert "verification_failed" in kinds(world.detect("api", "process_crash"))
    assert world.decisions[-1].kind == "commanded"
    assert world.decisions[-1].command is not None
    assert world.decisions[-1].command.attempt == 2


def test_third_failed_attempt_escalates_once() -> None:
    """After attempts_max attempts there is exactly one escalation and no further command."""
    world = a_world("api")
    world.detect("api", "process_crash")
    for _ in range(60):
        last = next((d for d in reversed(world.decisions) if d.kind == "commanded"), None)
        if last is not None:
            world.outcome(last.id, ok=False)
        world.wait(5)
        world.detect("api", "process_crash")
    assert kinds(world.decisions).count("commanded") == 3
    assert kinds(world.decisions).count("escalated") == 1


def test_unknown_service_is_only_observed() -> None:
    """What is not in the inventory is recorded, and nothing is done."""
    world = a_world("api")
    decided = world.detect("stranger", "process_crash")
    assert kinds(decided) == ["incident_opened", "withheld"]
    assert decided[1].reason == "known"
    world.wait(30)
    world.detect("stranger", "process_crash")
    assert kinds(world.decisions).count("withheld") == 1


def test_halt_withholds_and_resume_acts() -> None:
    """With the kill switch on everything is decided and recorded; released, the open incident is acted on."""
    world = a_world("api")
    assert kinds(world.halt()) == ["halted"]
    decided = world.detect("api", "process_crash")
    assert kinds(decided) == ["incident_opened", "withheld"]
    assert [gate.name for gate in decided[1].gates if not gate.passed] == ["not_halted"]
    assert decided[1].options
    assert kinds(world.resume()) == ["resumed", "commanded"]


def test_old_evidence_teaches_but_does_not_act() -> None:
    """A line older than policy.old_evidence_ms opens nothing."""
    world = a_world("api")
    assert world.detect("api", "process_crash", at_ms=world.ms - 300_001) == []
    assert kinds(world.detect("api", "process_crash", at_ms=world.ms - 300_000)) == ["incident_opened", "commanded"]


def test_approve_mode_asks_and_acts_on_the_right_hash_only() -> None:
    """An approval of another command changes nothing; that of this command sends it."""
    world = a_world("api", mode="approve")
    request = only(world.detect("api", "process_crash"), "approval_requested")
    assert world.answer(request, approved=True, sha="0" * 64) == []
    sent = only(world.answer(request, approved=True), "commanded")
    assert sent.command is not None
    assert request.command is not None
    assert sent.command.sha256 == request.command.sha256
    assert sent.command.approved_by == "ada"
    assert world.answer(request, approved=True) == []


@pytest.mark.parametrize("how", ["denied", "silence"])
def test_no_approval_means_a_person_not_an_action(how: str) -> None:
    """A no, and no answer in time, both escalate."""
    world = a_world("api", mode="approve")
    request = only(world.detect("api", "process_crash"), "approval_requested")
    decided = world.answer(request, approved=False) if how == "denied" else world.wait(901)
    assert kinds(decided)[:2] == ["approval_denied", "escalated"]
    assert "commanded" not in kinds(world.decisions)


def test_echo_of_a_dependency_joins_its_incident() -> None:
    """A dependent's transport symptom belongs to the open incident of its dependency."""
    world = World()
    world.apply("policy", QUICK)
    world.apply("inventory", Inventory(services=(spec("api"), spec("proxy", depends_on=("api",)))))
    world.detect("api", "process_crash")
    decided = world.detect("proxy", "connection_refused")
    assert kinds(decided) == ["symptom_joined"]
    assert decided[0].service == "api"


def test_early_echo_is_merged_when_the_dependency_speaks() -> None:
    """A dependent that complains first waits a moment, and becomes a part of the dependency's incident."""
    world = World()
    world.apply("policy", QUICK)
    world.apply("inventory", Inventory(services=(spec("api"), spec("proxy", depends_on=("api",)))))
    assert kinds(world.detect("proxy", "service_unavailable")) == ["incident_opened"]
    world.ms += 300
    decided = world.detect("api", "process_crash")
    assert kinds(decided) == ["incident_opened", "incident_merged", "commanded"]
    assert decided[1].refers_to == decided[0].incident


def test_echo_without_a_culprit_is_acted_on_after_the_wait() -> None:
    """When no dependency speaks within grouping_wait_ms the complaint stands for itself."""
    world = World()
    world.apply("policy", QUICK)
    world.apply("inventory", Inventory(services=(spec("api"), spec("proxy", depends_on=("api",)))))
    world.detect("proxy", "service_unavailable")
    assert kinds(world.wait(1)) == ["commanded"]


def test_cause_takes_the_lead_over_its_effect() -> None:
    """A port conflict after a failed restart is answered by removing the blocker."""
    world = a_world("api")
    first = only(world.detect("api", "process_crash"), "commanded")
    world.outcome(first.id)
    world.wait(1)
    world.detect("api", "port_conflict")
    second = only(world.wait(5), "commanded")
    assert second.command is not None
    assert second.command.action == "process.kill_blocker"
    assert [(a.name, a.value) for a in second.command.arguments] == [("port", "8000")]


def test_failed_probes_in_a_row_are_a_symptom() -> None:
    """policy.probe_failures failed probes open an incident; one does not."""
    world = a_world("api")
    assert world.probe("api", ok=False) == []
    assert kinds(world.probe("api", ok=False)) == ["incident_opened", "health_changed", "alerted"]
    assert only(world.wait(1), "commanded").strategy == "restart"


def test_outcome_counts_once() -> None:
    """The first outcome of a command ends it; repeats and strangers change nothing."""
    world = a_world("api")
    command = only(world.detect("api", "process_crash"), "commanded")
    assert kinds(world.outcome(command.id)) == ["command_ended"]
    assert world.outcome(command.id, ok=False) == []
    assert world.outcome("1-999-0") == []


def test_command_without_outcome_is_tried_again_or_given_to_a_person() -> None:
    """A repeatable command without an outcome is repeated; one that may not be repeated goes to a person."""
    world = a_world("api")
    world.detect("api", "process_crash")
    assert kinds(world.wait(101))[:4] == ["command_overdue", "phase_entered", "planned", "commanded"]
    other = a_world("api")
    other.detect("api", "port_conflict")
    assert kinds(other.wait(101))[:2] == ["command_overdue", "escalated"]


def test_commands_form_a_chain() -> None:
    """Each command names the one before it, so a reader can prove that it missed none."""
    world = a_world("a", "b", "c")
    sent = [only(world.detect(name, "process_crash"), "commanded").command for name in "abc"]
    assert [c.previous_seq for c in sent if c] == [-1, *(c.seq for c in sent[:2] if c)]


def test_decisions_are_dense_and_chained() -> None:
    """Sequence numbers have no gap and each decision carries the hash of the one before."""
    world = a_world("api")
    test_third_failed = world.detect("api", "process_crash")
    world.outcome(test_third_failed[-1].id)
    world.wait(30)
    assert [d.seq for d in world.decisions] == list(range(len(world.decisions)))
    for before, after in zip(world.decisions, world.decisions[1:], strict=False):
        assert after.previous_sha256 == sha256_of(before)


def test_hole_in_the_facts_stops_the_fold() -> None:
    """A missing fact raises before anything is decided on top of it."""
    world = a_world("api")
    with pytest.raises(InvariantError, match="facts are missing"):
        world.fold.apply(Ticked(owner="o"), len(world.facts) + 1, world.ms)


def test_repeated_fact_changes_nothing() -> None:
    """A fact below the next expected offset returns nothing."""
    world = a_world("api")
    world.detect("api", "process_crash")
    before = world.fold.snapshot()
    for fact, offset, append_ms in world.facts:
        assert world.fold.apply(fact, offset, append_ms) == []
    assert world.fold.snapshot() == before


def test_rejected_fact_halts_action_and_keeps_its_range() -> None:
    """A fact that could not be worked on is a decision; later slices still join, and nothing is acted on."""
    world = a_world("api")
    world.feed(Took(source="logs", partition=0, term=1, nonce="n", owner="o"))
    lost = LinesLost(source="logs", partition=0, term=1, from_offset=0, to_offset=5)
    offset = len(world.facts)
    decided = world.fold.reject(lost, offset, world.ms, "ValueError")
    assert kinds(decided) == ["fact_rejected"]
    world.facts.append((lost, offset, world.ms))
    assert world.fold.directory.ledger.holding("logs", 0).to_offset == 5
    assert world.fold.directory.halted_by


def test_clock_steps_do_not_move_deadlines() -> None:
    """A broker clock that jumps an hour ahead moves now_ms by a minute at most, and never back."""
    world = a_world("api", mode="approve")
    world.detect("api", "process_crash")
    world.ms += 3_600_000
    assert "approval_denied" not in kinds(world.feed(Ticked(owner="o")))
    world.ms -= 7_200_000
    assert world.feed(Ticked(owner="o")) == []


def test_budget_holds_over_all_services() -> None:
    """budget_total stops a storm whatever the keys are."""
    names = [f"s{i}" for i in range(10)]
    policy = Policy(budget_total=3, blast_radius_share=1.0, exploration_rate=0.0)
    world = a_world(*names, policy=policy)
    for name in names:
        world.detect(name, "process_crash")
    assert kinds(world.decisions).count("commanded") == 3
    assert world.decisions[-1].reason == "budget_total"


def test_blast_radius_is_a_share_of_the_fleet() -> None:
    """With a share of one half, four services allow two actions at one time."""
    world = a_world(*"abcd", policy=Policy(blast_radius_share=0.5, exploration_rate=0.0))
    for name in "abcd":
        world.detect(name, "process_crash")
    assert kinds(world.decisions).count("commanded") == 2
    assert world.decisions[-1].reason == "blast_radius"


def test_invalid_configuration_is_refused_and_recorded() -> None:
    """A policy that makes no sense leaves the old one in force, and the log says so."""
    world = a_world("api")
    decided = world.apply("policy", Policy(cooldown_factor=0.5))
    assert decided[0].reason == "policy refused, from ada"
    assert world.fold.directory.policy == QUICK


def _two_tiers() -> World:
    world = World()
    world.apply("policy", QUICK)
    world.apply("inventory", Inventory(services=(spec("api"), spec("proxy", depends_on=("api",)))))
    return world


def test_echo_goes_to_the_dependency_and_not_to_its_own_incident() -> None:
    """While a dependency's incident is open, a dependent's transport symptom is no relapse of the dependent."""
    world = _two_tiers()
    own = only(world.detect("proxy", "configuration_error"), "commanded")
    world.outcome(own.id)
    world.wait(4)
    world.detect("api", "process_crash")
    decided = world.detect("proxy", "service_unavailable")
    assert [(d.kind, d.service) for d in decided] == [("symptom_joined", "api")]


def test_echo_before_the_dependency_speaks_is_no_relapse() -> None:
    """An echo during a verification waits for the dependency, and is forgiven when that speaks."""
    world = _two_tiers()
    own = only(world.detect("proxy", "configuration_error"), "commanded")
    world.outcome(own.id)
    world.wait(4)
    world.detect("proxy", "service_unavailable")
    world.ms += 300
    world.detect("api", "process_crash")
    world.wait(3)
    assert "verification_failed" not in kinds(world.decisions)


def test_echo_without_a_culprit_is_a_relapse() -> None:
    """When no dependency speaks, the symptom counts against the action."""
    world = _two_tiers()
    own = only(world.detect("proxy", "configuration_error"), "commanded")
    world.outcome(own.id)
    world.wait(4)
    world.detect("proxy", "service_unavailable")
    assert "verification_failed" in kinds(world.wait(2))


def test_shorter_quiet_time_reaches_what_is_escalated() -> None:
    """A new policy is looked at at once, not when the old one's timer ends."""
    world = a_world("api", mode="approve")
    request = only(world.detect("api", "process_crash"), "approval_requested")
    world.answer(request, approved=False)
    world.wait(5)
    assert kinds(world.apply("policy", Policy(quiet_close_ms=1_000))) == ["config_applied", "incident_closed"]


def test_another_inventory_begins_to_count_probes_anew() -> None:
    """Failures that were counted under an earlier inventory are not added to."""
    world = a_world("api")
    world.probe("api", ok=False)
    world.apply("inventory", Inventory(services=(spec("api"), spec("web"))))
    assert world.probe("api", ok=False) == []


def test_outcome_that_may_have_touched_the_world_goes_to_a_person() -> None:
    """Whatever the status says: an effect that is unknown is in doubt."""
    world = a_world("api")
    command = only(world.detect("api", "process_crash"), "commanded")
    assert kinds(world.outcome(command.id, status="expired", effect="unknown")) == ["command_ended", "escalated"]
