"""Plans in their incidents: filled with what specialists report, synchronised, acted on, ended, and everybody let go.

``calling.begin`` makes a plan and its incident goes into ``PLANNING``; reports change the plan and wake the incident;
``advance`` tells whoever's turn it is, until there is nothing left to wait for or the plan's time is over. Then the
incident is ``OPEN`` again and decided on with what was found. ``end`` comes before whatever ends the incident.
"""

from __future__ import annotations

from typing import Final

from streams.core.asking import question_of
from streams.core.calling import looking_ms, send_for, spawn
from streams.core.choosing import best_of
from streams.core.commands import verb_of
from streams.core.coordination import (
    GONE,
    NOBODY,
    Member,
    Plan,
    Step,
    found,
    heard,
    in_words,
    is_explored,
    lose,
    may_do,
    pass_on,
    ready,
    result_of,
    share_done,
    sum_of,
    support_for,
    wanted,
)
from streams.core.events import Argument, OutcomeReported
from streams.core.guardrails import ask_room, failed, may_look
from streams.core.incidents import ACTING, NEVER_MS, OPEN, PLANNING, WAITING, Incident
from streams.core.inventory import ServiceSpec
from streams.core.reports import SPECIALIST_STATES, FindingReported, SpecialistReported
from streams.core.sending import Task
from streams.core.state import Turn
from streams.core.strategy import score_options
from streams.core.teaching import learn_way

SILENT_MS: Final = 5_000
"""A specialist that nothing was heard of for this long after it was asked for counts as lost."""


# ----------------------------------------------------------------------------------------------------------- listening


def hear_specialist(turn: Turn, report: SpecialistReported) -> None:
    """Take in where a specialist stands; strangers, and those of other plans and hosts, change nothing."""
    held = turn.state.roster.held.get(report.specialist)
    if held is None or (held.plan, held.host) != (report.plan, report.host) or report.state not in SPECIALIST_STATES:
        return
    if report.state in GONE:
        turn.state.roster.free(report.specialist, report.plan)
    incident = turn.state.incidents.by_id.get(held.incident)
    if incident is not None and incident.plan is not None and incident.plan.id == report.plan:
        index = incident.plan.member(report.specialist)
        heard(incident.plan, turn.catalogue.teams, index, report.state)
        _wake(turn, incident)


def hear_finding(turn: Turn, report: FindingReported) -> None:
    """Keep what a look under way found on its service; anything else is no finding of ours."""
    awaited = turn.state.commands_open.get(report.command_id)
    if awaited is None or (awaited.service, awaited.host) != (report.service, report.host):
        return
    incident = turn.state.incidents.of_plan(report.command_id)
    if incident is not None and incident.plan is not None:
        found(incident.plan, turn.catalogue.teams, report.command_id, report.code, report.value)


def hear_outcome(turn: Turn, incident: Incident, outcome: OutcomeReported) -> None:
    """Take in how a spawn or a look of the incident's plan ended."""
    plan, ok = incident.plan, outcome.status == "done" and outcome.ok
    if plan is None:
        return
    step = plan.step_of(outcome.command_id)
    if step is not None:
        step.state = "done" if ok else "failed"
    for index, member in enumerate(plan.members):
        if member.command_id != outcome.command_id or member.state in GONE:
            continue
        if ok:
            heard(plan, turn.catalogue.teams, index, "running" if member.state == "spawned" else member.state)
        elif outcome.effect == "none":
            lose(plan, turn.catalogue.teams, index)
            turn.state.roster.free(member.name, plan.id)
        else:
            _give_up(turn, incident, plan, index)
    _wake(turn, incident)


def _wake(turn: Turn, incident: Incident) -> None:
    if incident.status == PLANNING:
        turn.state.incidents.wake(incident, turn.now_ms)


# ------------------------------------------------------------------------------------------------------------ going on


def advance(turn: Turn, incident: Incident) -> bool:
    """Go on with the plan of an incident in ``PLANNING``; True when it is time to decide on it again."""
    plan, spec = incident.plan, turn.fleet.spec(incident.service)
    if plan is None:
        incident.status = OPEN
        return True
    if spec is None or not _may_look(turn, spec, plan):
        end(turn, incident)
        return True
    for index, member in enumerate(plan.members):
        if _is_silent(turn, member):
            _give_up(turn, incident, plan, index)
    for step in ready(plan, turn.catalogue.teams):
        _look(turn, incident, spec, plan, step)
    further_ms = _call_further(turn, incident, spec, plan)
    if is_explored(plan) or turn.now_ms >= plan.sync_ms:
        _synchronise(turn, incident, plan)
        return True
    silent_ms = [one.asked_ms + SILENT_MS for one in plan.members if one.state == "spawned" and not one.heard]
    plan.due_ms = min([plan.sync_ms, further_ms, *silent_ms])
    turn.state.incidents.wake(incident, incident.last_now_ms + turn.policy.quiet_close_ms)
    return False


def _may_look(turn: Turn, spec: ServiceSpec, plan: Plan) -> bool:
    """Tell whether a plan may go on where its specialists are: nothing that people decided says no."""
    return spec.host == plan.host and may_look(spec, turn.policy, halted=bool(turn.state.directory.halted_by))


def _is_silent(turn: Turn, member: Member) -> bool:
    return member.state == "spawned" and not member.heard and turn.now_ms >= member.asked_ms + SILENT_MS


def _give_up(turn: Turn, incident: Incident, plan: Plan, index: int) -> None:
    """Do without a member that may be there all the same: it is told to go."""
    _release(turn, incident, plan, plan.members[index])
    lose(plan, turn.catalogue.teams, index)


def _look(turn: Turn, incident: Incident, spec: ServiceSpec, plan: Plan, step: Step) -> None:
    arguments: tuple[Argument, ...] = ()
    if step.verb == "look":
        member = plan.members[step.member]
        arguments = (Argument(name="topic", value=step.topic), Argument(name="specialist", value=member.name))
    step.state, step.command_id, step.issued_ms = "issued", turn.next_id(), turn.now_ms
    task = Task(kind="look", action=f"{spec.type}.{step.verb}", arguments=arguments, ttl_ms=looking_ms(turn))
    send_for(turn, incident, spec, plan, turn.about(incident, "looked", in_words(plan, step)), task)


def _call_further(turn: Turn, incident: Incident, spec: ServiceSpec, plan: Plan) -> int:
    """Let a swarm grow by one while looks wait and there is room; return when (``now_ms``) to ask again."""
    found_wanted = wanted(plan, turn.catalogue.teams)
    if found_wanted is None:
        return NEVER_MS
    from_ms, row = found_wanted
    needs = turn.state.roster.needs(turn.now_ms).and_more(row.cpu, row.memory_mb, row.bandwidth_mbps)
    if turn.now_ms >= from_ms and not failed(ask_room(needs, turn.policy)):
        spawn(turn, incident, spec, plan, row)
    return from_ms if turn.now_ms < from_ms else NEVER_MS


def _synchronise(turn: Turn, incident: Incident, plan: Plan) -> None:
    """Write down with what the plan acts, and give the incident back to be decided on."""
    plan.late = not is_explored(plan)
    plan.due_ms = plan.until_ms
    draft = turn.about(incident, "synchronised", sum_of(plan))
    draft.strategy, draft.count, draft.refers_to = plan.way, len(plan.findings), plan.id
    incident.status, incident.not_before_ms = OPEN, turn.now_ms
    turn.write(draft)


# -------------------------------------------------------------------------------------------------------------- acting


def act_begins(turn: Turn, plan: Plan, action: str) -> str:
    """Note that the plan's act is under way; return the words that go before the decision's reason."""
    act = plan.act()
    act.state = "issued"
    if act.member == NOBODY or not may_do(plan, turn.catalogue.teams, act.member, verb_of(action)):
        return ""
    return f"passed on to {plan.members[act.member].name}: "


def act_verified(turn: Turn, incident: Incident) -> None:
    """Learn that a way of working together led to what helped."""
    if incident.plan is not None:
        learn_way(turn, incident.plan, success=True)


def act_ended(turn: Turn, incident: Incident) -> None:
    """Have what was done verified by the critic, and let everybody go: what follows needs time, not specialists."""
    plan, spec = incident.plan, turn.fleet.spec(incident.service)
    if plan is None:
        return
    plan.act().state = "done"
    verify = next((step for step in plan.steps if step.verb == "verify"), None)
    if verify is not None and spec is not None and _may_look(turn, spec, plan):
        _look(turn, incident, spec, plan, verify)
    release_all(turn, incident, plan)


def act_failed(turn: Turn, incident: Incident, *, effect: str, teaches: bool) -> None:
    """Pass a hierarchical plan's act on to a support, if the first one had no effect; else the plan has failed."""
    plan = incident.plan
    if plan is None:
        return
    plan.act().state = "failed"
    support = _support(turn, incident, plan) if effect == "none" else NOBODY
    if support != NOBODY:
        _release(turn, incident, plan, plan.members[plan.actor])
        pass_on(plan, support)
        return
    if teaches:
        learn_way(turn, plan, success=False)
    end(turn, incident, is_failure=True)


def _support(turn: Turn, incident: Incident, plan: Plan) -> int:
    """Return the member of a hierarchical plan that may do what is best next."""
    spec = turn.fleet.spec(incident.service)
    if plan.way != "hierarchical" or spec is None:
        return NOBODY
    answer = score_options(question_of(turn, incident, spec), turn.catalogue, turn.state.lessons, turn.policy)
    return support_for(plan, turn.catalogue.teams, verb_of(best_of(answer.options).action))


# -------------------------------------------------------------------------------------------------------------- ending


def out_of_time(turn: Turn, incident: Incident) -> None:
    """Let everybody go when the time is over for which they were called; without an act under way the plan ends.

    An act under way is waited for until it is overdue, and its members count as held for as long.
    """
    plan = incident.plan
    if plan is None or turn.now_ms < plan.due_ms:
        return
    plan.late = True
    if incident.status in {OPEN, WAITING}:
        plan.act().state = "waiting"
        end(turn, incident)
    elif incident.status == ACTING and incident.attempt is not None and turn.now_ms < incident.attempt.deadline_ms:
        plan.due_ms = incident.attempt.deadline_ms
        for member in (one for one in plan.members if one.state not in GONE):
            turn.state.roster.keep(member.name, plan.id, plan.due_ms)
    else:
        release_all(turn, incident, plan)


def stop(turn: Turn, incident: Incident) -> None:
    """End a plan that people no longer allow; an act under way is waited for."""
    plan, spec = incident.plan, turn.fleet.spec(incident.service)
    if plan is None or incident.status not in {PLANNING, OPEN, WAITING}:
        return
    if spec is None or not _may_look(turn, spec, plan):
        end(turn, incident)


def end(turn: Turn, incident: Incident, *, is_failure: bool = False) -> None:
    """Let everybody go and write down how the plan ended; nothing when there is none."""
    plan = incident.plan
    if plan is None:
        return
    release_all(turn, incident, plan)
    draft = turn.about(incident, "plan_ended", result_of(plan, failed=is_failure))
    draft.strategy, draft.refers_to, draft.confidence = plan.way, plan.id, share_done(plan)
    incident.plan = None
    if incident.status == PLANNING:
        incident.status, incident.not_before_ms = OPEN, turn.now_ms
    turn.write(draft)


def release_all(turn: Turn, incident: Incident, plan: Plan) -> None:
    """Tell every member that is still there to go."""
    for member in plan.members:
        if member.state not in GONE:
            _release(turn, incident, plan, member)
    plan.due_ms = NEVER_MS


def _release(turn: Turn, incident: Incident, plan: Plan, member: Member) -> None:
    member.state = "released"
    turn.state.roster.let_go(member.name, plan.id, turn.now_ms)
    spec = turn.fleet.spec(incident.service)
    if spec is None or spec.host != plan.host:
        spec = ServiceSpec(name=incident.service, host=plan.host, type=plan.service_type)
    arguments = (Argument(name="specialist", value=member.name), Argument(name="plan", value=plan.id))
    task = Task(kind="release", action="specialist.release", arguments=arguments, ttl_ms=turn.policy.command_ttl_ms)
    send_for(turn, incident, spec, plan, turn.about(incident, "released", member.name), task)
