"""What verified outcomes teach: one Beta posterior per (pattern, service type, action).

Success is only what was verified; an action that ran but could not be verified counts for neither side.
Source of the estimate: mean of a Beta distribution, (a + successes) / (a + b + attempts).
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from streams.core.num import stored

LESSONS_MAX: Final = 50_000


class Lesson(Struct, array_like=True):
    """Verified successes and failures of one action for one pattern and service type."""

    successes: int = 0
    failures: int = 0


class Lessons(Struct):
    """All lessons, keyed ``pattern|service type|action``; bounded by the catalogue's size times service types."""

    known: dict[str, Lesson] = {}
    ways: dict[str, Lesson] = {}
    """Of the ways of coordination, keyed ``pattern|way``."""

    def learn(self, pattern: str, service_type: str, action: str, *, success: bool) -> None:
        """Count one verified outcome."""
        _count(self.known, f"{pattern}|{service_type}|{action}", success=success)

    def learn_way(self, pattern: str, way: str, *, success: bool) -> None:
        """Count one verified outcome of what specialists did together."""
        _count(self.ways, f"{pattern}|{way}", success=success)

    def expected(self, pattern: str, service_type: str, action: str, prior: tuple[float, float]) -> float:
        """Return the posterior mean in 0..1 under a Beta(``prior``)."""
        return _mean(self.known.get(f"{pattern}|{service_type}|{action}", Lesson()), prior)

    def expected_way(self, pattern: str, way: str, prior: tuple[float, float]) -> float:
        """Return the posterior mean of a way of coordination, as ``expected`` does."""
        return _mean(self.ways.get(f"{pattern}|{way}", Lesson()), prior)


def _count(lessons: dict[str, Lesson], key: str, *, success: bool) -> None:
    lesson = lessons.get(key)
    if lesson is None:
        if len(lessons) >= LESSONS_MAX:
            return
        lesson = lessons[key] = Lesson()
    if success:
        lesson.successes += 1
    else:
        lesson.failures += 1


def _mean(lesson: Lesson, prior: tuple[float, float]) -> float:
    successes, failures = prior[0] + lesson.successes, prior[1] + lesson.failures
    return stored(successes / (successes + failures))
