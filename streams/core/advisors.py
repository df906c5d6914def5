"""What is remembered of advisors: who is there, what their confidence is worth, and which questions are theirs.

An advisor states how sure it is; what that is worth is learnt from verified outcomes of what it advised, for each fifth
of the scale by itself: an advisor may be right whenever it says 0.9, and never when it says 0.6. The estimate is the
mean of a Beta posterior that begins as ``PRIOR_WEIGHT`` outcomes at the confidence that is stated.
"""

from __future__ import annotations

from math import isfinite
from typing import Final

from msgspec import Struct

from streams.core.advice import ADVISORS
from streams.core.num import stored
from streams.core.verdict import Diagnosis, Verdict

PRESENT_MS: Final = 180_000
"""How long (``now_ms``) whoever said that he is there is taken to be: three reports may be missed."""
HOSTS_MAX: Final = 16
"""Hosts whose advisors are known; others are not listened to while so many are there."""
QUESTIONS_MAX: Final = 200
"""Questions that an opinion may still come to, open or not."""
OPEN_MAX: Final = 50
"""Questions that wait for opinions at one time; while there are so many, no further one is asked."""
BINS: Final = 5
"""Parts of the scale of confidence that are learnt by themselves."""
PRIOR_WEIGHT: Final = 8.0
"""Outcomes that what an advisor states counts as, as ``policy.prior_weight`` does for a shipped fix."""
FORGETTING: Final = 0.02
"""Share of what is known of an advisor that each outcome takes away: half of it in 35. Models are replaced."""


class Asked(Struct):
    """The question of an incident's phase: ``wanted`` opinions (1 or 3) on ``actions`` by ``until_ms`` (``now_ms``)."""

    id: str
    wanted: int
    actions: tuple[str, ...]
    until_ms: int
    diagnoses: list[Diagnosis] = []
    distrusted: list[Diagnosis] = []
    """Opinions of advisors whose confidence is worth too little to count: learnt from, in case they are right."""
    abstained: int = 0
    verdict: Verdict | None = None

    @property
    def answers(self) -> int:
        """Advisors that were heard in time."""
        return len(self.diagnoses) + len(self.distrusted) + self.abstained

    def weight_of(self, action: str) -> float:
        """Return the confidence with which the verdict speaks for an action, 0..1."""
        return self.verdict.confidence if self.verdict is not None and self.verdict.action == action else 0.0


class Question(Struct, kw_only=True):
    """What is kept of a question for opinions that come when its incident is over: that, and who was heard."""

    incident: str
    service: str
    host: str
    pattern: str
    category: str
    severity: str
    heard: list[str] = []


class Present(Struct, array_like=True):
    """Who answers on a host, until when (``now_ms``)."""

    advisors: tuple[str, ...]
    until_ms: int


class Record(Struct, array_like=True):
    """Outcomes of what an advisor advised with about the same confidence, each weighing less the older it is."""

    successes: float = 0.0
    failures: float = 0.0

    def add(self, *, success: bool) -> None:
        """Count an outcome."""
        self.successes = stored(self.successes * (1.0 - FORGETTING) + float(success))
        self.failures = stored(self.failures * (1.0 - FORGETTING) + float(not success))


class Advisors(Struct):
    """Who is there by host, the records of each advisor, and the questions, oldest first."""

    present: dict[str, Present] = {}
    records: dict[str, list[Record]] = {}
    questions: dict[str, Question] = {}

    def report(self, host: str, advisors: tuple[str, ...], now_ms: int) -> None:
        """Note who answers on a host from now on; nobody there: the host is forgotten."""
        self.present = {name: one for name, one in self.present.items() if name != host and now_ms < one.until_ms}
        known = tuple(one for one in ADVISORS if one in advisors)
        if known and len(self.present) < HOSTS_MAX:
            self.present[host] = Present(known, now_ms + PRESENT_MS)

    def there(self, now_ms: int) -> int:
        """Return how many of the three advisors would answer now."""
        return len({name for one in self.present.values() if now_ms < one.until_ms for name in one.advisors})

    def note(self, question_id: str, question: Question) -> None:
        """Keep a new question, and forget the oldest of many."""
        while len(self.questions) >= QUESTIONS_MAX:
            del self.questions[next(iter(self.questions))]
        self.questions[question_id] = question

    def worth(self, advisor: str, stated: float) -> float:
        """Return what a stated confidence is worth by what came of others like it, in 0..1."""
        record = self._record(advisor, stated) or Record()
        total = PRIOR_WEIGHT + record.successes + record.failures
        return stored((PRIOR_WEIGHT * stated + record.successes) / total)

    def learn(self, advisor: str, stated: float, *, success: bool) -> float:
        """Count what came of what an advisor advised; return what such a confidence of its is worth now."""
        self.records.setdefault(advisor, [Record() for _ in range(BINS)])[_bin(stated)].add(success=success)
        return self.worth(advisor, stated)

    def _record(self, advisor: str, stated: float) -> Record | None:
        records = self.records.get(advisor)
        return records[_bin(stated)] if records is not None else None


def _bin(stated: float) -> int:
    return min(int(stated * BINS), BINS - 1)


def is_confidence(value: float) -> bool:
    """Tell whether a number may be a confidence."""
    return isfinite(value) and 0.0 <= value <= 1.0
