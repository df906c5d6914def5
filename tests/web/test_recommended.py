"""What is recommended to a person who is needed: the best of what was not tried in vain."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.views import EventLog
from streams.core.advice import ADVISORS, AdvisorsReported
from streams.web.states import Escalation
from tests.analytics.history import History
from tests.web.fleet import Fleet
from tests.web.rig import served
from tests.web.test_model import read


def escalated(*, advised: bool = False) -> tuple[Fleet, Escalation]:
    """Break a service until a person is needed; return the fleet and the escalation."""
    fleet = Fleet()
    fleet.begin()
    if advised:
        fleet.advise(AdvisorsReported(host="h1", provider="p", model="m", advisors=ADVISORS, at_ms=fleet.now_ms))
    fleet.fail("shop")
    [found] = read(fleet).all_escalations()
    return fleet, found


def test_what_failed_is_not_recommended() -> None:
    """After three restarts in vain the best of the other actions is recommended, not another restart."""
    fleet, found = escalated()
    assert [one.action for one in fleet.commands if one.service == "shop"] == ["process.restart"] * 3
    assert found.recommended_action == "process.start"


def test_the_best_is_recommended_not_the_first() -> None:
    """The options stand in the catalogue's order; the one with the highest score is recommended."""
    told = History()
    told.begin()
    told.halt()
    told.see("shop", "process_crash")
    [weighed] = read(told)._cases.weighed.values()
    assert [one.action for one in told.decisions[-1].options][:2] == ["process.start", "process.restart"]
    assert weighed == ("process.restart", "process.start")


def test_specialists_are_no_action() -> None:
    """How a team is to work is weighed too, and is nothing that a person could do."""
    fleet, _ = escalated()
    planned = next(place for place, one in enumerate(fleet.decisions) if one.kind == "planned" and one.options)
    del fleet.decisions[planned + 1 :]
    assert fleet.decisions[planned].options[0].action not in str(read(fleet)._cases.weighed)


def test_advisors_vouch_for_their_own_only() -> None:
    """How sure advisors are is said of what they agreed on; of what the rules think best, nothing is."""
    _, found = escalated(advised=True)
    assert found.confidence is not None
    assert found.consensus.startswith("2 of 3: ")
    assert found.recommended_action not in {"", found.consensus.partition(": ")[2]}
    assert found.sure is None


@pytest.mark.parametrize("advised", [False, True])
async def test_the_log_recommends_what_the_page_does(tmp_path: Path, *, advised: bool) -> None:
    """The view says the same as the page that was there when it happened."""
    fleet, found = escalated(advised=advised)
    async with served(fleet, tmp_path):
        with EventLog(tmp_path / "log") as log:
            ((recommended,),) = log.query("SELECT recommended_action FROM escalations").rows()
    assert recommended == found.recommended_action


async def test_nobody_says_by_default_that_the_recommendation_helped(tmp_path: Path) -> None:
    """The form names what is recommended, and begins with "by hand": what is sent there is learnt."""
    fleet, found = escalated()
    async with served(fleet, tmp_path, archived=False) as rig:
        page = (await rig.client.get(f"/escalation/{found.id}")).text
    assert '<option value="process.start">process.start (recommended)</option>' in page
    assert " selected" not in page
    assert page.index("<option") == page.index('<option value="manual"')
