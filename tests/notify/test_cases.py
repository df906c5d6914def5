"""When people are told, and with which context."""

from __future__ import annotations

from streams.core.events import Decision
from streams.core.requests import BY_HAND
from streams.notify.cases import CASES_MAX, Cases
from streams.notify.notice import Message, Notice, Tried, Vote
from streams.notify.wording import page_of
from tests.advise.cases import option
from tests.notify.deciding import INCIDENT, approval, command, course, decided, escalated, silence

END = (escalated(9),)


def told(*decisions: Decision) -> list[Notice]:
    """Return what people are told of some decisions."""
    cases = Cases()
    return [notice for one in decisions if (notice := cases.take(one)) is not None]


def test_an_escalation_is_told_with_what_was_tried_and_advised() -> None:
    """The notice holds each action with its outcome, each vote, what they came to, and the recommendation."""
    first, second = told(*course())
    assert (first.kind, first.id, first.about, first.number, first.incident) == (
        "escalated",
        "1-10-0",
        "1-10-0",
        10,
        INCIDENT,
    )
    assert first.tried == (
        Tried(id="1-1-0", action="process.restart", outcome="the symptom came back"),
        Tried(id="1-8-0", action="process.rollback_config", outcome="no outcome in time"),
    )
    assert first.votes == (
        Vote(advisor="root_cause", said="process.rollback_config", confidence=0.8),
        Vote(advisor="proven_fix", said="abstained, timed_out", confidence=0.0),
    )
    assert (first.consensus, first.confidence) == ("2 of 3: process.rollback_config", 0.7)
    assert (first.recommended, first.phase, first.lines) == (BY_HAND, 3, 3)
    assert (second.kind, second.id, second.about, second.number) == ("resolved", "1-11-0", "1-10-0", 10)


def test_what_was_tried_in_vain_is_not_recommended() -> None:
    """Neither what failed nor what a team of specialists is called by, but the best of the rest."""
    weighed = (option("process.start", 0.3), option("process.restart", 0.9), option("process.degrade", 0.4))
    ways = (option("a+b", 0.9, strategy="parallel"),)
    tried = decided(2, "commanded", command=command("process.restart"), options=weighed)
    for came in (
        decided(3, "command_ended", "done failed exit_1", refers_to="1-2-0"),
        decided(3, "verification_failed", refers_to="1-2-0"),
        decided(3, "command_overdue", refers_to="1-2-0"),
    ):
        (notice,) = told(decided(1, "planned", options=ways), tried, came, decided(4, "planned", options=ways), *END)
        assert notice.recommended == "process.degrade"
    (notice,) = told(decided(1, "planned", options=weighed), *END)
    assert notice.recommended == "process.restart"


def test_what_advisors_agree_on_comes_first_unless_it_failed() -> None:
    """A later question on which they don't agree takes the recommendation back."""
    weighed = decided(1, "withheld", options=(option("process.restart", 0.9), option("process.start", 0.3)))
    agreed = decided(2, "advice_settled", "2 of 3: process.start", confidence=0.7)
    (notice,) = told(weighed, agreed, *END)
    assert notice.recommended == "process.start"
    (notice,) = told(weighed, agreed, decided(3, "advice_settled", "none agreed"), *END)
    assert notice.recommended == "process.restart"


def test_what_ends_by_itself_is_followed_up_once() -> None:
    """An incident that is closed or merged while its escalation is open resolves it."""
    for end in ("incident_closed", "incident_merged"):
        assert [one.kind for one in told(escalated(1), decided(2, end))] == ["escalated", "auto_resolved"]


def test_another_escalation_of_the_same_incident_is_told_again() -> None:
    """After a resolution that did not help, a person is needed again."""
    kinds = [
        one.kind
        for one in told(
            escalated(1),
            decided(2, "escalation_resolved", "manual", refers_to="1-1-0"),
            escalated(3),
            decided(4, "incident_closed"),
        )
    ]
    assert kinds == ["escalated", "resolved", "escalated", "auto_resolved"]


def test_of_what_is_silenced_nobody_is_told() -> None:
    """Neither of the escalation, nor of its end, nor of a request for approval."""
    assert told(escalated(1, refers_to="1-0-9"), decided(2, "incident_closed")) == []
    assert told(approval(1, gates=(silence(),))) == []


def test_a_request_for_approval_says_what_would_be_done() -> None:
    """Action, arguments and risk are those of the command."""
    (one,) = told(approval(1))
    assert (one.kind, one.action, one.arguments, one.risk) == (
        "approval_requested",
        "process.stop",
        (("port", "8080"),),
        0.6,
    )


def test_a_request_for_approval_has_an_end() -> None:
    """Who was asked is told that it was answered, that its time is over, or that nothing is to be done any more."""
    for end in (
        decided(2, "commanded", "approved by eva", refers_to="1-1-0", command=command("process.stop")),
        decided(2, "approval_denied", "nobody answered in time", refers_to="1-1-0"),
        decided(2, "incident_closed", "quiet"),
    ):
        asked, over = told(approval(1), end, decided(3, "incident_closed"))
        assert (over.kind, over.id, over.about, over.number) == ("approval_closed", "1-2-0", asked.id, asked.number)
        assert over.reason == end.reason
        page = page_of(Message(id=over.id, notices=(over,)), "https://logmend.example.org")
        assert (page.title, page.lead) == ("waits for no yes any more: process_crash on shop", end.reason)
        assert "Would be done, once a person agrees" not in {one.title for one in page.sections}
        assert page.links == (("Why", "https://logmend.example.org/why/1-2-0"),)


def test_what_is_answered_does_not_wait() -> None:
    """A request waits until its answer, an escalation until it is resolved, both at most as long as their incident."""
    cases = Cases()
    asked = cases.take(approval(1))
    assert asked is not None
    assert cases.waits(asked)
    cases.take(decided(2, "approval_denied", "denied by eva", refers_to="1-1-0"))
    assert not cases.waits(asked)
    given = cases.take(escalated(3))
    assert given is not None
    assert cases.waits(given)
    cases.take(decided(4, "incident_closed"))
    assert not cases.waits(given)


def test_memory_is_bounded_and_the_oldest_goes() -> None:
    """Of more incidents than there is room for, the oldest is forgotten, and said to be."""
    cases = Cases()
    for number in range(CASES_MAX + 1):
        cases.take(decided(number, "incident_opened", incident=f"i{number}"))
    changed = cases.changed()
    assert changed["i0"] is None
    assert sum(case is not None for case in changed.values()) == CASES_MAX
