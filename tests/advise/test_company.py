"""Advisors in a company that breaks: what they are worth, and how seldom a model is asked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from streams.core.advice import ADVISORS
from tests.advise.company import MIX, Company

INCIDENTS = 24


async def test_solvable_incidents_need_nobody_and_the_others_a_person(tmp_path: Path) -> None:
    """Of two dozen incidents each solvable one is healed, every other one escalated; no question is answered twice."""
    async with Company(tmp_path, seed=1) as company:
        ends = [await company.incident() for _ in range(INCIDENTS)]
        opinions = company.log.opinions
        commands = [one for one in company.commands if one.kind == "recovery"]
        escalated = sum(one.kind == "escalated" for one in company.decisions)
    assert [one for one in ends if one.cure and not one.healed] == []
    assert escalated == sum(not one.cure for one in ends)
    pairs = Counter((one.question_id, one.advisor) for one in opinions)
    assert set(pairs.values()) == {1}
    assert {advisor for _, advisor in pairs} <= set(ADVISORS)
    assert {one.action for one in commands} <= {action for cures in MIX.values() for action in cures} | {
        "process.start"
    }


async def test_a_model_is_asked_less_often_where_research_is_sure(tmp_path: Path) -> None:
    """What a model was right about, research answers then: of the same incident a third time no model is asked."""
    async with Company(tmp_path, seed=3) as company:
        for _ in range(3):
            asked = len(company.model.asked)
            end = await company.broken("shop-1", "process_crash", "process.rollback_config")
            assert end.healed
        last = company.log.opinions[-1]
        assert asked == len(company.model.asked)
    assert (last.source, last.action) == ("research", "process.rollback_config")
