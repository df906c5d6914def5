"""What would have been decided otherwise: against fresh folds, and with the log's own outcomes."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from analytics.backtest.differing import Said, said
from analytics.backtest.run import Backtest, Candidate, backtest
from streams.catalogue import strategies
from streams.catalogue.patterns import patterns
from streams.cli import main
from streams.codec import decode_fact
from streams.core.beside import Evidence
from streams.core.config import Inventory, Policy, RuleSet, RuleSpec, canonical, sha256
from streams.core.directory import Directory
from streams.core.errors import InputError
from streams.core.events import ApprovalGiven, ConfigApplied, Decision, Fact, Slice
from streams.core.fold import Fold
from streams.core.state import State
from streams.ports import TopicPartition
from tests.analytics.archive import archive
from tests.analytics.history import History, spec, wander
from tests.analytics.struggle import apply
from tests.core.world import detection

PLAIN = Policy(coordination=False, exploration_rate=0.0)
Parted = tuple[int, Counter[str], Counter[str]]
"""The first fact on which an incident differs, and what is decided on it by the one alone and by the other alone."""


def new_fold() -> Fold:
    """Return a fold with the shipped tables."""
    return Fold.new(strategies())


def tried(directory: Path, policy: Policy, since_ms: int = 0) -> Backtest:
    """Return what a policy would change in an archived history."""
    return backtest(directory, new_fold, Candidate.of("policy", policy), since_ms=since_ms)


def facts_of(history: History) -> list[tuple[Fact, int, int]]:
    """Return the recorded facts with offset and append time."""
    records = history.log.records[TopicPartition(history.topics.facts, 0)]
    return [(decode_fact(one.value or b""), one.offset, one.timestamp) for one in records]


def fresh(history: History, policy: Policy, change: Callable[[Fact], Fact] = lambda fact: fact) -> list[Decision]:
    """Return what a fold decides that began with a policy in force and keeps it, on the facts of a history."""
    body = canonical(policy)
    applied = ConfigApplied(kind="policy", sha256=sha256(body), author="ann", body=body)
    directory = Directory(policy=policy, applied={"policy": applied})
    fold = Fold(strategies(), State(directory=directory))
    facts = [(with_policy(change(fact), applied), offset, at) for fact, offset, at in facts_of(history)]
    return [one for fact, offset, at in facts for one in fold.apply(fact, offset, at)]


def with_policy(fact: Fact, applied: ConfigApplied) -> Fact:
    """Return a fact in which each policy that was applied is this one."""
    if not isinstance(fact, Slice):
        return fact
    messages = tuple(
        replace(one, event=applied) if isinstance(one.event, ConfigApplied) and one.event.kind == "policy" else one
        for one in fact.messages
    )
    return replace(fact, messages=messages)


def first_differing(recorded: Iterable[Decision], candidate: Iterable[Decision]) -> dict[str, Parted]:
    """Return by incident where two runs of decisions part, told from the sequences alone."""
    found: dict[str, Parted] = {}
    mine, theirs = by_place(recorded), by_place(candidate)
    for incident, fact in sorted({*mine, *theirs}, key=lambda place: place[1]):
        one, other = mine.get((incident, fact), []), theirs.get((incident, fact), [])
        if one != other:
            found.setdefault(incident, (fact, Counter(one) - Counter(other), Counter(other) - Counter(one)))
    return found


def by_place(decisions: Iterable[Decision]) -> dict[tuple[str, int], list[str]]:
    """Return decisions in words, by incident and fact."""
    found: dict[tuple[str, int], list[str]] = {}
    for one in decisions:
        if one.incident:
            found.setdefault((one.incident, one.facts_offset), []).append(in_words(said(one)))
    return found


def in_words(one: Said | None) -> str:
    """Return kind, severity and action of a decision, and the gates of one that was withheld."""
    if one is None:
        return ""
    return f"{one.kind} {one.severity} {one.action or one.strategy} {one.reason if one.kind == 'withheld' else ''}"


def told(found: Backtest) -> dict[str, Parted]:
    """Return the same of what a backtest says."""
    parted: dict[str, Parted] = {}
    for one in found.differing:
        if one.incident and not one.downstream:
            fact, mine, theirs = parted.setdefault(one.incident, (one.facts_offset, Counter(), Counter()))
            assert fact == one.facts_offset
            mine.update([in_words(one.recorded)] if one.recorded else [])
            theirs.update([in_words(one.candidate)] if one.candidate else [])
    return parted


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "changed",
    [{"cooldown_ms": 200_000}, {"cooldown_ms": 0}, {"risk_auto_max": 0.1}, {"attempts_max": 1}],
    ids=["longer cool-down", "no cool-down", "threshold of risk", "threshold of attempts"],
)
async def test_first_differences_are_those_of_a_fresh_fold(
    tmp_path: Path, seed: int, changed: dict[str, float]
) -> None:
    """By incident, where the backtest parts from the log is where a fold does that had the policy from the start."""
    history = wander(seed, facts=250)
    policy = replace(Policy(), **changed)
    found = tried(await archive(history, tmp_path), policy)
    assert told(found) == first_differing(history.decisions, fresh(history, policy))
    assert found.counts.decisions == len(history.decisions)


async def test_a_changed_cooldown_and_threshold_change_something(tmp_path: Path) -> None:
    """The histories that are compared with fresh folds differ under a longer cool-down and a lower threshold."""
    directory = await archive(wander(1, facts=250), tmp_path)
    for changed in ({"cooldown_ms": 200_000}, {"risk_auto_max": 0.1}):
        assert tried(directory, replace(Policy(), **changed)).counts.differing > 0


async def test_the_policy_in_force_changes_nothing(tmp_path: Path) -> None:
    """A backtest with what was in force finds no difference, in decisions or figures."""
    found = tried(await archive(wander(2, facts=250), tmp_path), Policy())
    assert (found.counts.differing, found.counts.downstream, found.counts.other_figures) == (0, 0, 0)
    assert found.counts.same == found.counts.decisions


async def test_what_was_applied_later_gives_way_to_the_candidate(tmp_path: Path) -> None:
    """A policy that the log applied in between is the candidate instead, and by whom it was applied stays."""
    history = History()
    history.begin()
    history.heal("shop")
    apply(history, replace(PLAIN, automatic_recovery=False))
    history.see("cart", "process_crash")
    found = tried(await archive(history, tmp_path), PLAIN)
    (one,) = (one for one in found.differing if not one.downstream)
    assert one.recorded is not None
    assert one.candidate is not None
    assert (one.service, one.recorded.kind, one.candidate.kind) == ("cart", "withheld", "commanded")
    assert one.why.startswith("gate automatic_recovery: 0 of 1 -> 1 of 1")


async def test_another_inventory_is_a_candidate_too(tmp_path: Path) -> None:
    """With a service that is only observed, its command is withheld by its mode, and others are as recorded."""
    history = History()
    history.begin()
    apply(history, PLAIN)
    history.heal("shop")
    history.heal("cart")
    services = (replace(spec("shop"), mode="observe"), spec("cart"), spec("mail"))
    candidate = Candidate.of("inventory", Inventory(services=services))
    found = backtest(await archive(history, tmp_path), new_fold, candidate)
    assert {one.service for one in found.differing} == {"shop"}
    assert found.differing[0].why == "gate mode: 1 of 1 -> 0 of 1"


async def test_before_since_nothing_differs(tmp_path: Path) -> None:
    """The candidate is in force from the first fact at that time on; decisions before it are not counted."""
    history = History()
    history.begin()
    apply(history, PLAIN)
    history.heal("shop")
    before, since_ms = len(history.decisions), history.now_ms + 1_000
    history.log.now_ms = since_ms
    history.heal("cart")
    found = tried(await archive(history, tmp_path), replace(PLAIN, automatic_recovery=False), since_ms)
    assert (found.applied_ms, found.counts.decisions) == (since_ms, len(history.decisions) - before)
    assert {one.service for one in found.differing} == {"cart"}
    assert found.counts.incidents_differing == 1


async def test_since_after_the_end_is_said(tmp_path: Path) -> None:
    """A time after the last fact leaves nothing to compare, which is an error of the question."""
    history = wander(1, facts=30)
    directory = await archive(history, tmp_path)
    with pytest.raises(InputError, match="earlier --since"):
        tried(directory, Policy(), history.now_ms + 1)


def _explored(policy: Policy) -> History:
    """Return a history whose first command is one that was not the best, and healed."""
    for seconds in range(5, 100, 5):
        history = History()
        history.begin()
        apply(history, policy)
        history.calm("shop", seconds)
        history.see("shop", "database_lock")
        if history.commands and history.commands[0].action != "process.kill_blocker":
            history.outcome(history.commands[0])
            history.calm("shop", 200)
            return history
    raise AssertionError("nothing was explored")


async def test_an_outcome_of_another_command_with_the_same_id_is_not_taken(tmp_path: Path) -> None:
    """A command with the recorded id that does something else hears nothing of the recorded outcome."""
    policy = replace(PLAIN, prior_weight=0.1, autonomy=False, exploration_rate=1.0)
    history = _explored(policy)
    found = tried(await archive(history, tmp_path), replace(policy, exploration_rate=0.0))
    (one,) = (one for one in found.differing if not one.downstream)
    assert one.recorded is not None
    assert one.candidate is not None
    assert one.recorded.id == one.candidate.id == history.commands[0].id
    assert one.candidate.action == "process.kill_blocker" != one.recorded.action
    after = [one.candidate.kind for one in found.differing if one.downstream and one.candidate is not None]
    assert "command_ended" not in after
    assert "command_overdue" in after


async def test_an_outcome_finds_its_command_under_another_id(tmp_path: Path) -> None:
    """A command before which the candidate decides something more has another number, and is answered all the same."""
    history = History()
    history.begin()
    apply(history, PLAIN)
    history.heal("shop", "database_lock")
    found = tried(await archive(history, tmp_path), replace(PLAIN, learned_confidence_min=0.99))
    (one,) = found.differing
    assert one.recorded is None
    assert one.candidate is not None
    assert one.candidate.kind == "planned"
    assert "verified" in [one.kind for one in history.decisions]


async def test_an_approval_is_of_the_command_that_it_was_shown(tmp_path: Path) -> None:
    """A recorded approval holds for the same command under a policy that gives it another time-out."""
    history = History()
    history.begin()
    apply(history, replace(PLAIN, risk_auto_max=0.0))
    history.see("shop", "process_crash")
    asked = history.decisions[-1]
    assert asked.command is not None
    history.say(
        ApprovalGiven(decision_id=asked.id, command_sha256=asked.command.sha256, approved=True, author="ann", reason="")
    )
    found = tried(await archive(history, tmp_path), replace(PLAIN, risk_auto_max=0.0, action_timeout_ms=20_000))
    assert [one.kind for one in history.decisions][-1] == "commanded"
    assert found.counts.differing == 0


async def test_another_release_is_told_from_another_policy(tmp_path: Path) -> None:
    """A log whose decisions are not what its facts lead to can't be backtested, and replay is named."""
    directory = await archive(wander(1, facts=60), tmp_path)

    def of_other_tables() -> Fold:
        return Fold.new(replace(strategies(), fixes=()))

    with pytest.raises(InputError, match="run logmend replay"):
        backtest(directory, of_other_tables, Candidate.of("policy", Policy()))


async def test_a_changed_rule_is_refolded_from_detections(tmp_path: Path) -> None:
    """A rule with another severity decides as a fresh fold does on detections of that severity."""
    history = wander(3, facts=250)
    shipped = next(rule for rule in patterns().rules if rule.id == "process_crash")
    rules = RuleSet(rules=(replace(shipped, severity="error"),))

    def change(fact: Fact) -> Fact:
        if not isinstance(fact, Slice):
            return fact
        detections = tuple(
            replace(one, severity="error", confidence=shipped.confidence) if one.pattern == "process_crash" else one
            for one in fact.detections
        )
        return replace(fact, detections=detections)

    found = backtest(await archive(history, tmp_path), new_fold, Candidate.of("rules", rules))
    assert found.rules.by_table == found.rules.changed > 0
    assert found.counts.incidents_differing > 0
    assert told(found) == first_differing(history.decisions, fresh(history, Policy(), change))


async def test_a_rule_with_another_expression_is_judged_by_the_lines_that_are_kept(tmp_path: Path) -> None:
    """A new rule takes the lines that it matches; what is kept of no line stays as recorded, and is counted."""
    history = History()
    history.begin()
    apply(history, PLAIN)
    _see(history, "shop", "kernel: shopd[7]: segfault at 0 ip 0 sp 0 error 4")
    history.calm("shop", 200)
    _see(history, "cart", "")
    own = RuleSpec(id="own", category="security", severity="critical", hint="", expressions=("shopd",))
    found = backtest(await archive(history, tmp_path), new_fold, Candidate.of("rules", RuleSet(rules=(own,))))
    assert (found.rules.by_lines, found.rules.changed, found.rules.as_recorded) == (2, 2, 2)
    opened = [
        one for one in found.differing if "incident_opened" in {s.kind for s in (one.recorded, one.candidate) if s}
    ]
    assert {(one.service, one.pattern) for one in opened} == {("shop", "process_crash"), ("shop", "own")}
    assert "2 stay as recorded" in " ".join(found.notes)


def _see(history: History, service: str, text: str) -> None:
    """Append a slice with two crashes of a service, and before it the text of the first line, if there is one."""
    start = history.next_offset("logs")
    if text:
        line = Evidence(
            topic="logs",
            partition=0,
            offset=start,
            index=0,
            service=service,
            pattern="process_crash",
            severity="critical",
            at_ms=history.now_ms,
            text=text,
        )
        history.put(history.topics.evidence, line)
    found = detection(service, "process_crash", history.now_ms, offset=start, count=2)
    history.fact(history.slice_of("logs", 2, detections=(found,)))


async def test_the_command_prints_what_differs_and_the_same_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table names incident, both decisions and why; --json has the same with counts, effect and notes."""
    history = History()
    history.begin()
    apply(history, PLAIN)
    history.heal("shop")
    await archive(history, tmp_path / "log")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(tmp_path))
    text = "automatic_recovery = false\ncoordination = false\nexploration_rate = 0.0\n"
    (tmp_path / "policy.toml").write_text(text)
    printed = await asyncio.to_thread(CliRunner().invoke, main, ["backtest", "--policy", "policy.toml"])
    assert printed.exit_code == 0, printed.output
    for part in (
        "commanded process.restart",
        "withheld restart (automatic_recovery)",
        "gate automatic_recovery: 1 of 1",
    ):
        assert part in printed.stdout
    assert "no support: in 1 draws" in printed.stdout
    as_json = await asyncio.to_thread(CliRunner().invoke, main, ["backtest", "--policy", "policy.toml", "--json"])
    found = json.loads(as_json.stdout)
    first = found["differing"][0]
    assert (first["recorded"]["action"], first["candidate"]["kind"]) == ("process.restart", "withheld")
    assert (first["downstream"], found["counts"]["differing"], found["effect"]["not_chosen"]) == (False, 1, 1)


DEAD_RULE = """
[[rules]]
id = "till_jammed"
category = "process"
severity = "error"
hint = "open the till"
expressions = ["till [0-9]+ jammed"]
positive = ["the door is open"]
"""


@pytest.mark.parametrize(
    ("text", "said"), [("cooldown = 3\n", "did you mean cooldown_ms"), (DEAD_RULE, "matches none of its positive")]
)
def test_a_file_that_apply_would_refuse_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    """An unknown setting, or a rule that misses its own examples, ends with one line that says so, and status 1."""
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(tmp_path))
    file = tmp_path / "candidate.toml"
    file.write_text(text)
    result = CliRunner().invoke(main, ["backtest", "--policy", str(file)])
    assert result.exit_code == 1
    assert said in result.output
