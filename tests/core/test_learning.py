"""What outcomes teach: shared where little is known, forgotten slowly, put away when the world has changed."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from streams.catalogue import strategies
from streams.core import learning
from streams.core.config import Policy
from streams.core.experience import Experience, LessonSpec
from streams.core.learning import TAUGHT_MIN, Lessons, Where, mean, variance
from streams.core.num import draw
from streams.core.strategy import posterior_of

PRIOR = (1.0, 1.0)
KEEP = 0.0


def where(service_type: str = "process", *, pattern: str = "disk_full", category: str = "disk") -> Where:
    """Return what is learnt about."""
    return Where(pattern=pattern, category=category, service_type=service_type)


def taught(outcomes: Iterable[bool]) -> Lessons:
    """Return lessons of these outcomes of one action on processes."""
    lessons = Lessons()
    for success in outcomes:
        lessons.learn(where(), "process.restart", success=success, forgetting=KEEP)
    return lessons


def test_the_posterior_is_the_prior_and_what_was_seen() -> None:
    """Two successes and a failure under Beta(1, 1) are Beta(3, 2)."""
    posterior = taught([True, True, False]).posterior(where(), "process.restart", PRIOR)
    assert posterior == (3.0, 2.0)
    assert mean(posterior) == 0.6
    assert variance(posterior) == pytest.approx(0.04)


def test_what_is_known_of_other_types_counts_a_little() -> None:
    """Twenty successes of the verb on processes are four on containers, and nothing for another verb."""
    lessons = taught([True] * 20)
    assert lessons.posterior(where("docker"), "docker.restart", PRIOR) == (5.0, 1.0)
    assert lessons.posterior(where("docker"), "docker.start", PRIOR) == PRIOR


def test_what_is_known_of_the_category_counts_less() -> None:
    """Twenty successes for another pattern of the category are two, and none for one of another category."""
    lessons = taught([True] * 20)
    assert lessons.posterior(where(pattern="disk_failure"), "process.restart", PRIOR) == (3.0, 1.0)
    assert lessons.posterior(where(pattern="x", category="network"), "process.restart", PRIOR) == PRIOR


def elsewhere(successes: int, failures: int) -> Lessons:
    """Return lessons that know of one action what another installation learnt."""
    spec = LessonSpec(
        pattern="disk_full",
        service_type="process",
        action="process.restart",
        successes=successes,
        failures=failures,
    )
    return Lessons(elsewhere=Experience(lessons=(spec,)).told())


def test_what_others_learnt_weighs_ten_outcomes_at_most() -> None:
    """Thirty successes and ten failures elsewhere are 7.5 and 2.5 here, of that action, pattern and type only."""
    assert elsewhere(2, 1).posterior(where(), "process.restart", PRIOR) == (3.0, 2.0)
    lessons = elsewhere(30, 10)
    assert lessons.posterior(where(), "process.restart", PRIOR) == (8.5, 3.5)
    assert lessons.posterior(where(), "process.reload", PRIOR) == PRIOR
    assert lessons.posterior(where("docker"), "docker.restart", PRIOR) == PRIOR


def test_own_outcomes_take_the_place_of_what_others_learnt() -> None:
    """After ten failures here, ten successes elsewhere say nothing."""
    lessons = elsewhere(10, 0)
    for _ in range(10):
        lessons.learn(where(), "process.restart", success=False, forgetting=KEEP)
    assert lessons.posterior(where(), "process.restart", PRIOR) == (1.0, 11.0)


def test_own_outcomes_take_the_place_of_borrowed_ones() -> None:
    """With each outcome of its own an action borrows one less, and nothing after four."""
    lessons = taught([True] * 20)
    for failures in range(1, 6):
        lessons.learn(where("docker"), "docker.restart", success=False, forgetting=KEEP)
        successes, failed = lessons.posterior(where("docker"), "docker.restart", (0.0, 0.0))
        assert successes == pytest.approx(max(4 - failures, 0))
        assert failed == pytest.approx(failures)


def test_nothing_is_borrowed_from_oneself() -> None:
    """An action's own outcomes are counted once."""
    assert taught([True]).posterior(where(), "process.restart", (0.0, 0.0)) == (1.0, 0.0)


def test_each_outcome_takes_its_share_from_all_actions_of_its_place_only() -> None:
    """With a tenth forgotten, ten successes fade by 0.9 with an outcome of another action there, not elsewhere."""
    lessons = taught([True] * 10)
    lessons.learn(where(), "process.start", success=False, forgetting=0.1)
    lessons.learn(where("docker"), "docker.start", success=False, forgetting=0.1)
    assert lessons.lesson(where(), "process.restart").successes == 9.0
    assert lessons.lesson(where(), "process.restart").outcomes == 10


def test_a_changed_world_is_noticed_within_a_few_outcomes() -> None:
    """What helped 190 of 200 times and helps no more is told of within ten outcomes, and little is left of it."""
    lessons = taught(number % 20 != 0 for number in range(200))
    for _ in range(10):
        learnt = lessons.learn(where(), "process.restart", success=False, forgetting=KEEP)
        if learnt is not None and learnt.changed:
            break
    assert learnt is not None
    assert learnt.changed
    assert learnt.usual > 0.8
    assert learnt.lesson.weight == pytest.approx(learning.LEFT_AFTER_CHANGE + 1)


def test_a_changed_world_makes_all_actions_there_uncertain() -> None:
    """What is known of other actions for the pattern on that type is put away as well, elsewhere it is not."""
    lessons = taught([True] * 100)
    for place in (where(), where("docker")):
        for _ in range(50):
            lessons.learn(place, f"{place.service_type}.start", success=False, forgetting=KEEP)
    while lessons.lesson(where(), "process.restart").weight > learning.SETTLED:
        lessons.learn(where(), "process.restart", success=False, forgetting=KEEP)
    assert lessons.lesson(where(), "process.start").weight == pytest.approx(learning.LEFT_AFTER_CHANGE)
    assert lessons.lesson(where("docker"), "docker.start").weight == 50


def test_what_begins_to_help_is_noticed_too() -> None:
    """An action that failed and now helps is told of within 15 outcomes."""
    lessons = taught(number % 10 == 0 for number in range(200))
    told = [lessons.learn(where(), "process.restart", success=True, forgetting=KEEP) for _ in range(15)]
    assert [one.changed for one in told if one is not None].count(True) == 1


def test_an_unchanged_world_is_seldom_called_changed() -> None:
    """Over 20 000 outcomes of twenty actions that stay as they are, at most one in 1 100 is a false alarm."""
    alarms = 0
    for number in range(20):
        share, lessons = 0.1 + 0.04 * number, Lessons()
        for place in range(1_000):
            success = draw(f"{number} {place}") < share
            learnt = lessons.learn(where(), "process.restart", success=success, forgetting=0.001)
            alarms += learnt is not None and learnt.changed
    assert alarms <= 20_000 / 1_100


def test_what_is_learnt_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more pairs of pattern and type are kept than there is room for; those that are known go on learning."""
    monkeypatch.setattr(learning, "CONTEXTS_MAX", 2)
    lessons = Lessons()
    for name in ("a", "b", "c", "a"):
        lessons.learn(where(pattern=name), "process.restart", success=True, forgetting=KEEP)
        lessons.learn_way(name, "swarm", success=True, forgetting=KEEP)
    assert list(lessons.known) == ["a|process", "b|process"]
    assert list(lessons.verbs) == ["a|restart", "b|restart"]
    assert {key: way.outcomes for key, way in lessons.ways.items()} == {"a|swarm": 2, "b|swarm": 1}


def test_a_taught_fix_begins_as_a_shipped_one_and_outcomes_change_it() -> None:
    """Its confidence is 0.7 at least, the posterior of the action rests on it, and a failure lowers that."""
    lessons, catalogue, here = Lessons(), strategies(), where()

    def believed() -> float:
        return mean(posterior_of(catalogue, lessons, Policy(), here, "process.stop"))

    before = believed()
    assert lessons.teach(here, "process.stop", 0.3) == TAUGHT_MIN
    assert lessons.teach(here, "process.stop", 0.95) == believed() == 0.95 > before
    lessons.learn(here, "process.stop", success=False, forgetting=KEEP)
    assert believed() < 0.95


def test_what_is_taught_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit no fix of another pattern is taught, and the answer says so."""
    monkeypatch.setattr(learning, "CONTEXTS_MAX", 1)
    lessons = Lessons()
    confidences = [lessons.teach(where(pattern=name), "process.stop", 0.9) for name in ("a", "b", "a")]
    assert (confidences, list(lessons.taught)) == ([0.9, 0.0, 0.9], ["a|process"])
