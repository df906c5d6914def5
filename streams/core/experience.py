"""What other installations learnt of actions, as people apply it: counts by pattern, type of service and action.

It weighs little (``learning.TOLD_MAX``), and what this fleet learns itself takes its place, one outcome for one. What
is applied later replaces all that was applied before.
"""

from __future__ import annotations

from typing import Final

from streams.core.applied import Applied, unique
from streams.core.errors import InputError

LESSONS_MAX: Final = 5_000
OUTCOMES_MAX: Final = 1_000_000_000

Told = dict[str, dict[str, tuple[float, float]]]
"""Successes and failures by ``pattern|service type``, then by action."""


class LessonSpec(Applied, frozen=True):
    """How often an action helped against a pattern on a type of service, and how often it did not."""

    pattern: str
    service_type: str
    action: str
    successes: int
    failures: int


class Experience(Applied, frozen=True):
    """What was learnt elsewhere."""

    lessons: tuple[LessonSpec, ...] = ()

    def told(self) -> Told:
        """Return the lessons in the order in which they are looked up."""
        found: Told = {}
        for one in self.lessons:
            found.setdefault(f"{one.pattern}|{one.service_type}", {})[one.action] = (one.successes, one.failures)
        return found


def name_of(lesson: LessonSpec) -> str:
    """Return what a lesson is about, in words."""
    return f"{lesson.action} against {lesson.pattern} on {lesson.service_type}"


def check_experience(experience: Experience) -> None:
    """Raise ``InputError`` naming the first lesson that makes no sense."""
    if len(experience.lessons) > LESSONS_MAX:
        raise InputError(f"{len(experience.lessons)} lessons of at most {LESSONS_MAX:,}")
    unique("lesson", [name_of(one) for one in experience.lessons])
    for one in experience.lessons:
        if not all((one.pattern, one.service_type, one.action)):
            raise InputError(f"lesson {name_of(one)}: pattern, service_type and action must be given")
        if not (0 <= one.successes <= OUTCOMES_MAX and 0 <= one.failures <= OUTCOMES_MAX):
            raise InputError(f"lesson {name_of(one)}: successes and failures are not in 0..{OUTCOMES_MAX:,}")
