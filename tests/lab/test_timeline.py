from __future__ import annotations

import msgspec
import pytest

from lab.timeline import Story
from streams.core.events import Command, Decision

BARE = {
    field.name: (() if field.name in {"causes", "options", "gates"} else "")
    for field in msgspec.structs.fields(Decision)
}


def decision(kind: str, append_ms: int, *, service: str = "api", incident: str = "1", action: str = "") -> Decision:
    """Return a decision of which only what matters here is filled in."""
    command = None
    if action:
        empty = dict.fromkeys((field.name for field in msgspec.structs.fields(Command)), "")
        command = Command(**{**empty, "action": action})  # type: ignore[arg-type] # the other fields are not looked at
    given = {"kind": kind, "append_ms": append_ms, "service": service, "incident": incident, "command": command}
    return Decision(**{**BARE, "reason": "why", "pattern": f"seen_{kind}", **given})  # type: ignore[arg-type] # as above


def told(*decisions: Decision, recovered_ms: int = 0) -> Story:
    """Return the story of a fault of the API at 1000 that was told these decisions."""
    story = Story(fault="crash", service="api", injected_ms=1000, recovered_ms=recovered_ms)
    for one in decisions:
        story.hear(one)
    return story


HEALED = (
    decision("incident_opened", 1500),
    decision("commanded", 1600, action="process.restart"),
    decision("verified", 9000),
)


def test_a_story_has_each_moment_in_seconds_after_the_injection() -> None:
    """Detected, decided and verified come from the decisions, in seconds since the fault was in place."""
    story = told(*HEALED, recovered_ms=3000)
    moments = (story.detected_ms, story.decided_ms, story.recovered_ms, story.verified_ms)
    assert [story.seconds(moment) for moment in moments] == [0.5, 0.6, 2.0, 8.0]
    assert (story.healed, story.actions, story.pattern) == (True, ["process.restart"], "seen_commanded")


@pytest.mark.parametrize(
    "story", [told(*HEALED), told(*HEALED[:2], recovered_ms=3000), told()], ids=["log only", "truth only", "neither"]
)
def test_healed_needs_the_truth_and_the_log(story: Story) -> None:
    """A fault counts as healed only when the service worked and the event log verified it."""
    assert not story.healed


def test_decisions_from_before_the_injection_do_not_count() -> None:
    """A service's earlier incident is not this fault's."""
    assert told(decision("incident_opened", 900), decision("verified", 950)).incident == ""


def test_another_services_incident_does_not_count() -> None:
    """Only the incident of the broken service tells its story."""
    story = told(decision("incident_opened", 1100, service="proxy", incident="7"), *HEALED)
    assert (story.incident, story.detected_ms) == ("1", 1500)


def test_a_fault_may_join_an_incident_that_is_still_open() -> None:
    """A new symptom of the service in an older incident is a detection, seen as that symptom; an echo is not."""
    echo = msgspec.structs.replace(decision("symptom_joined", 1100), reason="proxy service_unavailable")
    own = msgspec.structs.replace(decision("symptom_joined", 1200), reason="api out_of_memory")
    story = told(echo, own)
    assert (story.detected_ms, story.pattern) == (1200, "out_of_memory")


def test_an_incident_that_went_to_a_person_says_so() -> None:
    """What kept it from being healed is in the note."""
    story = told(HEALED[0], decision("escalated", 5000))
    assert (story.note, story.escalated) == ("escalated: why", True)
