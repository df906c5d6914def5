"""The choices by chance of an event log, with what came of them and what a candidate would have chosen.

A draw is a decision that acts (``commanded``, ``approval_requested``), with every option's probability. Its reward is 1
when its action was verified, 0 when its incident went on without that: what could not be verified is no success. Those
that are still open at the end of the log have none and are left out.

Left out as well is a choice in which the log might have given the incident to a person instead: which of these acted
depends on what was drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from analytics.backtest.differing import Pair
from analytics.backtest.reasons import ACTS
from streams.core.events import Decision

_SETTLES: Final = ACTS | {"escalated", "incident_closed"}
"""What comes of an incident next when an action did not help it."""
_ESCALATE: Final = "escalate"


class Draw(Struct, frozen=True, kw_only=True):
    """A choice and its reward. Probabilities are by action, and those of an action that is not there are 0.

    ``candidate`` is empty when the candidate chooses nothing at that moment: it holds back, asks a person where the
    log acted (or the other way round), or gives the incident to one.
    """

    incident: str
    pattern: str
    service_type: str
    action: str
    strategies: Mapping[str, str]
    """Strategy by action, for the outcome model."""
    logged: Mapping[str, float]
    candidate: Mapping[str, float]
    reward: int


class _Open(Struct):
    """A draw that waits for what comes of it; ``ids`` are the decisions that outcomes may refer to."""

    decision: Decision
    candidate: dict[str, float]
    ids: set[str]


class Draws:
    """Collects draws from pairs of decisions, in the order of the log."""

    def __init__(self) -> None:
        self.settled: Final[list[Draw]] = []
        self.acted_alone = 0
        """Where only the candidate acts: the log has no draw there."""
        self._open: Final[dict[str, _Open]] = {}

    def take(self, pair: Pair, *, downstream: bool) -> None:
        """Take in what was decided on an incident."""
        if pair.recorded is not None:
            self._settle(pair.recorded)
        if downstream:
            return
        mine, theirs = _drawn(pair.recorded), _drawn(pair.candidate)
        if mine is None:
            self.acted_alone += theirs is not None
        elif _probabilities(mine).get(_ESCALATE, 0.0) == 0.0:
            chooses = theirs is not None and not _asks_otherwise(mine, theirs)
            candidate = _probabilities(theirs) if theirs is not None and chooses else {}
            self._open[mine.incident] = _Open(decision=mine, candidate=candidate, ids={mine.id})

    @property
    def unsettled(self) -> int:
        """Draws of which the log does not say what became."""
        return len(self._open)

    def _settle(self, decision: Decision) -> None:
        waiting = self._open.get(decision.incident)
        if waiting is None:
            return
        if decision.kind == "commanded" and decision.refers_to in waiting.ids:
            waiting.ids.add(decision.id)  # approved: what is done carries an id of its own
        elif decision.kind == "verified" and decision.refers_to in waiting.ids:
            self._end(waiting, 1)
        elif decision.kind in _SETTLES:
            self._end(waiting, 0)

    def _end(self, waiting: _Open, reward: int) -> None:
        decision = waiting.decision
        del self._open[decision.incident]
        if decision.command is not None:
            self.settled.append(
                Draw(
                    incident=decision.incident,
                    pattern=decision.pattern,
                    service_type=decision.command.service_type,
                    action=decision.command.action,
                    strategies={option.action: option.strategy for option in decision.options},
                    logged=_probabilities(decision),
                    candidate=waiting.candidate,
                    reward=reward,
                )
            )


def _asks_otherwise(one: Decision, other: Decision) -> bool:
    """Tell whether a person is asked for the same action by one of two decisions only."""
    if one.command is None or other.command is None:
        return True
    return one.command.action == other.command.action and one.kind != other.kind


def _drawn(decision: Decision | None) -> Decision | None:
    """Return the decision if it chose among options by chance."""
    return decision if decision is not None and decision.kind in ACTS and decision.options else None


def _probabilities(decision: Decision) -> dict[str, float]:
    return {option.action: option.probability for option in decision.options if option.probability > 0.0}


def incidents_of(draws: Iterable[Draw]) -> int:
    """Return of how many incidents the draws are."""
    return len({draw.incident for draw in draws})
