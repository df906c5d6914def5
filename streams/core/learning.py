"""What verified outcomes teach: one Beta posterior per (pattern, service type, action), in shared and fading evidence.

Success is only what was verified; an action that ran but could not be verified counts for neither side. Three rules:

* **Shared where thin.** An action on which little is known of its own borrows what its verb did for the same pattern on
  other types of services, and for other patterns of the same category, up to a capped weight. What is known of itself
  takes the place of what is borrowed, one outcome for one. So it does with what another installation learnt.
* **Forgetting is slow and explicit.** Each outcome of a pattern on a type of service takes the share
  ``policy.forgetting`` from everything that is known there, of all actions: so an action that failed long ago becomes
  uncertain again, and is tried again.
* **A changed world is noticed.** When outcomes no longer fit what an action did before, by the test of E. Page,
  "Continuous inspection schemes", 1954, most of what is known of that pattern on that type of service is put away at
  once, of all actions: another one may be best now.

Source of the estimate: mean and variance of a Beta distribution with a successes and b failures, a / (a + b) and
mean (1 - mean) / (a + b + 1).
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from streams.core.commands import verb_of
from streams.core.experience import Told
from streams.core.num import log, stored

CONTEXTS_MAX: Final = 10_000
"""Pairs of pattern and service type; what is beyond is not learnt, and decided by the catalogue."""
TOLD_MAX: Final = 10.0
"""Pseudo-outcomes that another installation's experience with an action weighs at most."""
BORROWED_OF_VERB_MAX: Final = 4.0
"""Pseudo-outcomes that an action borrows from its verb on other types of services at most ..."""
BORROWED_OF_CATEGORY_MAX: Final = 2.0
"""... and from its verb for other patterns of the category."""
SHIFT: Final = 0.25
"""By how much a share of success has to differ, for the world to have changed."""
SETTLED: Final = 20.0
"""Outcomes that must be known of an action before it can be told that they changed."""
ALARM: Final = 7.0
"""Log-likelihood for a change against none at which it is believed: in an unchanged world, one false alarm in more than
e^7 = 1 100 outcomes (G. Lorden, "Procedures for reacting to a change in distribution", 1971)."""
TAUGHT_MIN: Final = 0.7
"""The least confidence of a fix that was taught, as of those that are shipped (SPEC L3)."""
LEFT_AFTER_CHANGE: Final = 4.0
"""Outcomes that evidence from before a change weighs at most."""


class Where(Struct, frozen=True, kw_only=True):
    """What is learnt about: a pattern, its category, and the type of the service that has it."""

    pattern: str
    category: str
    service_type: str


class Lesson(Struct, array_like=True):
    """Successes and failures, each weighing less the older it is; ``outcomes`` counts them all.

    ``better`` and ``worse`` are the log-likelihood that the share of success rose or fell lately.
    """

    successes: float = 0.0
    failures: float = 0.0
    outcomes: int = 0
    better: float = 0.0
    worse: float = 0.0

    @property
    def weight(self) -> float:
        """How many outcomes what is known is worth."""
        return self.successes + self.failures

    def fade(self, share: float) -> None:
        """Forget a share of what is known."""
        self.successes *= 1.0 - share
        self.failures *= 1.0 - share

    def add(self, *, success: bool) -> None:
        """Count an outcome."""
        self.outcomes += 1
        if success:
            self.successes += 1.0
        else:
            self.failures += 1.0

    def changed(self, *, success: bool) -> bool:
        """Tell whether the outcome that comes now shows that the world has changed."""
        if self.weight < SETTLED:
            return False
        usual = (self.successes + 1.0) / (self.weight + 2.0)
        self.better = max(0.0, self.better + _likelihood(min(usual + SHIFT, 0.99), usual, success=success))
        self.worse = max(0.0, self.worse + _likelihood(max(usual - SHIFT, 0.01), usual, success=success))
        return max(self.better, self.worse) >= ALARM

    def put_away(self) -> None:
        """Forget most of what is known from before a change."""
        if self.weight > LEFT_AFTER_CHANGE:
            self.fade(1.0 - LEFT_AFTER_CHANGE / self.weight)
        self.better = self.worse = 0.0


class Learnt(Struct, frozen=True):
    """What an outcome changed: the lesson after it, and what was expected before it if the world has changed."""

    lesson: Lesson
    changed: bool
    usual: float


class Lessons(Struct):
    """All lessons, bounded by ``CONTEXTS_MAX`` and the catalogue's actions for each."""

    known: dict[str, dict[str, Lesson]] = {}
    """By ``pattern|service type``, then by action."""
    verbs: dict[str, Lesson] = {}
    """Over all types of services, by ``pattern|verb``."""
    categories: dict[str, Lesson] = {}
    """Over all types of services and patterns, by ``category|verb``."""
    ways: dict[str, Lesson] = {}
    """Of the ways of coordination, by ``pattern|way``."""
    elsewhere: Told = {}
    """What was learnt elsewhere, and applied here."""
    taught: dict[str, dict[str, float]] = {}
    """Fixes that are known although none was shipped, by ``pattern|service type``, then by action: its confidence."""

    def learn(self, where: Where, action: str, *, success: bool, forgetting: float) -> Learnt | None:
        """Count one verified outcome, after a share ``forgetting`` was taken from what is known; None: no room."""
        actions = self.known.get(f"{where.pattern}|{where.service_type}")
        if actions is None:
            if len(self.known) >= CONTEXTS_MAX:
                return None
            actions = self.known[f"{where.pattern}|{where.service_type}"] = {}
        for lesson in actions.values():
            lesson.fade(forgetting)
        lesson = actions.setdefault(action, Lesson())
        usual = lesson.successes / lesson.weight if lesson.weight else 0.0
        changed = lesson.changed(success=success)
        if changed:
            self.taught.pop(f"{where.pattern}|{where.service_type}", None)
            for one in actions.values():
                one.put_away()
        lesson.add(success=success)
        for pool, key in self._pools(where, action):
            one = pool.setdefault(key, Lesson())
            one.fade(forgetting)
            one.add(success=success)
        return Learnt(lesson, changed, usual)

    def teach(self, where: Where, action: str, confidence: float) -> float:
        """Make an action that was verified a known fix; return the confidence it has as one, 0: there is no room.

        It begins as a shipped fix does, and the outcomes that come change it.
        """
        key = f"{where.pattern}|{where.service_type}"
        if key not in self.taught and len(self.taught) >= CONTEXTS_MAX:
            return 0.0
        self.taught.setdefault(key, {})[action] = stored(min(max(confidence, TAUGHT_MIN), 1.0))
        return self.taught[key][action]

    def taught_for(self, where: Where) -> dict[str, float]:
        """Return the fixes that were taught for a pattern on a type of service."""
        return self.taught.get(f"{where.pattern}|{where.service_type}", {})

    def learn_way(self, pattern: str, way: str, *, success: bool, forgetting: float) -> None:
        """Count one verified outcome of what specialists did together."""
        key = f"{pattern}|{way}"
        if key in self.ways or len(self.ways) < CONTEXTS_MAX:
            lesson = self.ways.setdefault(key, Lesson())
            lesson.fade(forgetting)
            lesson.add(success=success)

    def lesson(self, where: Where, action: str) -> Lesson:
        """Return what is known of an action itself."""
        return self.known.get(f"{where.pattern}|{where.service_type}", {}).get(action, _NOTHING)

    def posterior(self, where: Where, action: str, prior: tuple[float, float]) -> tuple[float, float]:
        """Return successes and failures under a Beta(``prior``), with what is borrowed while little is known."""
        own = self.lesson(where, action)
        successes, failures = prior[0] + own.successes, prior[1] + own.failures
        (verbs, verb_key), (categories, category_key) = self._pools(where, action)
        verb, category = verbs.get(verb_key, _NOTHING), categories.get(category_key, _NOTHING)
        told = Lesson(*self.elsewhere.get(f"{where.pattern}|{where.service_type}", {}).get(action, (0.0, 0.0)))
        for pool, inner, most in (
            (told, _NOTHING, TOLD_MAX),
            (verb, own, BORROWED_OF_VERB_MAX),
            (category, verb, BORROWED_OF_CATEGORY_MAX),
        ):
            good, bad = max(pool.successes - inner.successes, 0.0), max(pool.failures - inner.failures, 0.0)
            weight = min(good + bad, most - own.weight)
            if weight > 0.0:
                successes += weight * good / (good + bad)
                failures += weight * bad / (good + bad)
        return successes, failures

    def posterior_way(self, pattern: str, way: str, prior: tuple[float, float]) -> tuple[float, float]:
        """Return successes and failures of a way of coordination under a Beta(``prior``)."""
        lesson = self.ways.get(f"{pattern}|{way}", _NOTHING)
        return prior[0] + lesson.successes, prior[1] + lesson.failures

    def _pools(self, where: Where, action: str) -> tuple[tuple[dict[str, Lesson], str], tuple[dict[str, Lesson], str]]:
        verb = verb_of(action)
        return (self.verbs, f"{where.pattern}|{verb}"), (self.categories, f"{where.category}|{verb}")


_NOTHING: Final = Lesson()
"""What is known of what was never tried; nobody changes it."""


def mean(posterior: tuple[float, float]) -> float:
    """Return the expected share of success."""
    return stored(posterior[0] / (posterior[0] + posterior[1]))


def variance(posterior: tuple[float, float]) -> float:
    """Return how uncertain the share of success is."""
    total = posterior[0] + posterior[1]
    share = posterior[0] / total
    return share * (1.0 - share) / (total + 1.0)


def _likelihood(one: float, other: float, *, success: bool) -> float:
    """Return by how much an outcome speaks for the first share of success against the second."""
    return log(one / other) if success else log((1.0 - one) / (1.0 - other))
