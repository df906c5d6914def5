"""Advisors in their incidents: who is asked in a phase, what they answer, and what comes of that (SPEC C4, H3).

One advisor is asked in phase 2, three in phase 3, while there are any (``hear_advisors``). The question names the
options that the rules leave open and that are worth their cost and risk, and no opinion can add one to them: whatever
advisors say moves the score of options that exist (``strategy.score_options``), and guardrails are asked afterwards. A
question ends with its last answer, or when its time is over, and then:

| what came of it | what follows |
|---|---|
| a verdict of enough confidence | it weighs in the choice, as ``policy.advice_weight`` attempts |
| one of too little, or none agreed | the next phase, without an attempt |
| all abstained, none is trusted, nobody answered, or one of three | the rules decide, as where there is no advisor |

An advisor is not trusted that states enough confidence, where what came of such confidence of its is too little: it
would cost every incident the attempt of the phase, and the rules do better than that.

Nobody is waited for longer than half of the phase, so that the rules have the other half. Opinions are recorded as they
come: what comes too late is recorded and does not count, a second one of the same advisor is not even recorded, nor is
one on a question that was never asked.
"""

from __future__ import annotations

from typing import Final

from streams.core.advice import ABSTENTIONS, ADVISORS, AdvisorsReported, OpinionGiven
from streams.core.advisors import OPEN_MAX, Asked, Question, is_confidence
from streams.core.asking import question_of
from streams.core.choosing import is_open
from streams.core.config import Policy
from streams.core.events import Coordinate, Option
from streams.core.incidents import Incident
from streams.core.inventory import may_act
from streams.core.phases import enter, figures, limit_ms
from streams.core.state import Draft, Turn
from streams.core.strategy import score_options
from streams.core.verdict import DISAGREED, PAIR, UNSURE, Diagnosis, settle

CONSENSUS: Final = 3
"""The phase in which advisors have to agree; in the one before, one is asked."""
MICRO: Final = 1_000_000.0
WITHOUT_AN_ATTEMPT: Final = {UNSURE: "advice too unsure", DISAGREED: "advisors do not agree"}


# ------------------------------------------------------------------------------------------------------------- asking


def go_on(turn: Turn, incident: Incident, number: int, why: str) -> None:
    """Enter phase 2 or 3, and ask who advises in it."""
    incident.asked = None
    wanted, who = (3, "three") if number == CONSENSUS else (1, "one")
    options = _options(turn, incident) if _may_ask(turn, wanted) else ()
    actions = tuple(one.action for one in options if is_open(one) and one.score > 0.0 and one.strategy != "escalate")
    advice = f"{who} advisor{'s' if wanted > 1 else ''}" if actions else "no advisor"
    enter(turn, incident, number, why, advice)
    if not actions:
        return
    wait_ms = _wait_ms(turn.policy, number)
    draft = turn.about(incident, "advice_asked", who)
    draft.options = options
    draft.figures = {"phase": float(number), "wait_ms": float(wait_ms)}
    question = turn.write(draft)
    incident.asked = Asked(id=question.id, wanted=wanted, actions=actions, until_ms=turn.now_ms + wait_ms)
    known = Question(
        incident=incident.id,
        service=incident.service,
        host=incident.host,
        pattern=incident.pattern,
        category=incident.category,
        severity=incident.severity,
    )
    turn.state.advisors.note(question.id, known)


def _may_ask(turn: Turn, wanted: int) -> bool:
    """Tell whether there are advisors for a question, and not too many questions before them."""
    advisors, by_id = turn.state.advisors, turn.state.incidents.by_id
    if not turn.policy.advice or advisors.there(turn.now_ms) < min(wanted, PAIR):
        return False
    asked = ((by_id[one.incident], id_) for id_, one in advisors.questions.items() if one.incident in by_id)
    return sum(_open(incident, id_) is not None for incident, id_ in asked) < OPEN_MAX


def _options(turn: Turn, incident: Incident) -> tuple[Option, ...]:
    """Return what could be done about an incident, as the rules score it; nothing where nothing may be done."""
    spec = turn.fleet.spec(incident.service)
    if spec is None or not may_act(spec):
        return ()
    question = question_of(turn, incident, spec)
    return score_options(question, turn.catalogue, turn.state.lessons, turn.policy).options


def _wait_ms(policy: Policy, number: int) -> int:
    wait_ms = policy.advice_wait_three_ms if number == CONSENSUS else policy.advice_wait_one_ms
    return min(wait_ms, limit_ms(policy, number) // 2)


# ---------------------------------------------------------------------------------------------------------- listening


def hear_advisors(turn: Turn, report: AdvisorsReported) -> None:
    """Note who would answer on a host."""
    turn.state.advisors.report(report.host, report.advisors, turn.now_ms)


def hear_opinion(turn: Turn, opinion: OpinionGiven, where: Coordinate) -> None:
    """Record an advisor's first opinion on a question of ours, and count it while the question is open."""
    question = turn.state.advisors.questions.get(opinion.question_id)
    if question is None or opinion.advisor not in ADVISORS or opinion.advisor in question.heard:
        return
    question.heard.append(opinion.advisor)
    incident = turn.state.incidents.by_id.get(question.incident)
    if incident is not None:
        settle_if_due(turn, incident)
    asked = _open(incident, opinion.question_id) if incident is not None else None
    diagnosis, code = _read(turn, opinion, incident, asked)
    draft = turn.about(incident, "advised") if incident is not None else _over(question)
    draft.reason = f"{opinion.advisor}: {diagnosis.action if diagnosis else _abstained(code)}"
    trusted = diagnosis is None or _is_trusted(turn.policy, diagnosis)
    if asked is None:
        draft.reason += ", too late"
    elif not trusted:
        draft.reason += ", not trusted"
    _tell(draft, opinion, diagnosis, where)
    turn.write(draft)
    if incident is None or asked is None:
        return
    if diagnosis is None:
        asked.abstained += 1
    else:
        (asked.diagnoses if trusted else asked.distrusted).append(diagnosis)
    if asked.answers >= asked.wanted:
        _settle(turn, incident, asked)


def _over(question: Question) -> Draft:
    return Draft(
        kind="advised",
        incident=question.incident,
        service=question.service,
        host=question.host,
        pattern=question.pattern,
        category=question.category,
        severity=question.severity,
    )


def _open(incident: Incident, question_id: str) -> Asked | None:
    """Return the question of an incident if it is this one and still open."""
    asked = incident.asked
    return asked if asked is not None and asked.id == question_id and asked.verdict is None else None


def _read(
    turn: Turn, opinion: OpinionGiven, incident: Incident | None, asked: Asked | None
) -> tuple[Diagnosis | None, str]:
    """Return what an opinion says; if that is nothing that may be said, None and why it counts as an abstention."""
    if not opinion.action:
        return None, opinion.code if opinion.code in ABSTENTIONS else ""
    if not is_confidence(opinion.confidence):
        return None, "bad_answer"
    row = turn.catalogue.action(opinion.action)
    if row is None or row.strategy == "escalate" or (asked is not None and row.id not in asked.actions):
        return None, "not_allowed"
    suspect = opinion.suspect if turn.fleet.spec(opinion.suspect) is not None else ""
    if incident is not None and opinion.suspect == incident.service:
        suspect = incident.service
    category = _category(turn, opinion.cause)
    diagnosis = Diagnosis(
        advisor=opinion.advisor,
        action=row.id,
        strategy=row.strategy,
        suspect=suspect,
        cause=opinion.cause if category else "",
        category=category,
        stated=opinion.confidence,
        confidence=turn.state.advisors.worth(opinion.advisor, opinion.confidence),
    )
    return diagnosis, ""


def _is_trusted(policy: Policy, diagnosis: Diagnosis) -> bool:
    """Tell whether an advisor that states enough confidence was right often enough with it."""
    return diagnosis.confidence >= policy.advice_confidence_min or diagnosis.stated < policy.advice_confidence_min


def _category(turn: Turn, pattern: str) -> str:
    """Return the category of a pattern; ``""`` when there is none of that name."""
    own = next((rule.category for rule in turn.state.directory.rules.rules if rule.id == pattern), "")
    return own or turn.catalogue.categories.get(pattern, "")


def _abstained(code: str) -> str:
    return f"abstained, {code}" if code else "abstained"


def _tell(draft: Draft, opinion: OpinionGiven, diagnosis: Diagnosis | None, where: Coordinate) -> None:
    draft.refers_to, draft.causes = opinion.question_id, (where,)
    draft.confidence = diagnosis.confidence if diagnosis is not None else 0.0
    draft.strategy = diagnosis.strategy if diagnosis is not None else ""
    draft.figures = {
        "stated_confidence": opinion.confidence if is_confidence(opinion.confidence) else 0.0,
        "latency_ms": float(max(opinion.latency_ms, 0)),
        "tokens": float(max(opinion.tokens_in, 0) + max(opinion.tokens_out, 0)),
        "cost_usd": max(opinion.cost_microusd, 0) / MICRO,
    }


# ----------------------------------------------------------------------------------------------------------- settling


def settle_if_due(turn: Turn, incident: Incident) -> None:
    """End the wait for an incident's advisors when its time is over."""
    asked = incident.asked
    if asked is not None and asked.verdict is None and turn.now_ms >= asked.until_ms:
        _settle(turn, incident, asked)


def _settle(turn: Turn, incident: Incident, asked: Asked) -> None:
    verdict = asked.verdict = settle(asked.diagnoses, asked.wanted, turn.policy.advice_confidence_min)
    draft = turn.about(incident, "advice_settled", str(verdict))
    draft.refers_to, draft.strategy, draft.confidence = asked.id, verdict.strategy, verdict.confidence
    draft.figures = {
        "answers": float(asked.answers),
        "abstentions": float(asked.abstained + len(asked.distrusted)),
        "agreed": float(verdict.agreed),
        "agreement": verdict.agreement,
        **figures(turn, incident),
    }
    turn.write(draft)
    incident.not_before_ms = turn.now_ms
    turn.state.incidents.wake(incident, turn.now_ms)


def is_awaited(incident: Incident) -> bool:
    """Tell whether advisors have still to answer."""
    return incident.asked is not None and incident.asked.verdict is None


def why_not(incident: Incident) -> str:
    """Return why what advisors said leaves nothing to be attempted in this phase; ``""`` when something may be."""
    verdict = incident.asked.verdict if incident.asked is not None else None
    return WITHOUT_AN_ATTEMPT.get(verdict.kind, "") if verdict is not None else ""
