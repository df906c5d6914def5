"""Histories with something of all that a report tells: healed, stuck, escalated, false alarms, what comes again."""

from __future__ import annotations

from datetime import UTC, datetime

from streams.core.config import Policy
from tests.analytics.history import History
from tests.analytics.people import answer, escalated
from tests.analytics.struggle import apply, struggle

BEGUN = datetime(2027, 1, 15, 7, tzinfo=UTC).replace(tzinfo=None)
"""Before the first record of any history."""
MINUTE_MS = 60_000
ROUNDS = 6


def troubled() -> History:
    """Return a history of incidents that were healed, escalated, called a false alarm, and one that is open."""
    history = History()
    history.begin()
    struggle(history)
    answer(history, escalated(history), "resolved", method="false_alarm")
    history.calm("shop", 30)
    history.take("logs")
    return _again(history)


def _again(history: History) -> History:
    history.heal("shop")
    history.heal("cart", "database_lock")
    history.halt()
    history.see("mail", "out_of_memory")
    return history


def returning() -> History:
    """Return a history in which ``cart`` crashes a minute after each policy, while other things happen all the time."""
    history = History()
    history.begin()
    for place in range(ROUNDS):
        apply(history, Policy(cooldown_ms=1_000 + place, blast_radius_share=1.0, exploration_rate=0.0))
        history.log.now_ms += MINUTE_MS
        history.heal("cart")
        for _ in range(4):
            history.calm("mail", 15 * 60, step_ms=MINUTE_MS)
            history.see("mail", "database_lock", severity="warning")
    return history
