"""``logmend backtest``: what would differ, by how much, and what the log can't say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from analytics.backtest.differing import Comparison, Counts, Differing
from analytics.backtest.draws import Draws
from analytics.backtest.estimates import Effect, estimate
from analytics.backtest.refold import Refold
from analytics.backtest.rules import EVIDENCE_COLUMNS, Refolded, Rules
from analytics.manifest import load
from analytics.scan import scan
from streams.core.config import Config, RuleSet, canonical, decode_config, sha256
from streams.core.errors import InputError
from streams.core.events import ConfigApplied
from streams.core.fold import Fold


class Backtest(Struct, frozen=True, kw_only=True):
    """What the candidate would have changed. Times are append times in ms; ``applied_ms`` -1: no fact is so late."""

    kind: str
    sha256: str
    applied_ms: int
    facts: int
    counts: Counts
    share_differing: float
    """Of the recorded decisions, how many are an exact difference."""
    differing: tuple[Differing, ...]
    effect: Effect
    unsettled: int
    """Choices of which the log does not say what became."""
    acted_alone: int
    """Moments at which only the candidate would have acted: no draw of the log is there to learn from."""
    rules: Refolded
    notes: tuple[str, ...]
    """What the figures do not say."""


class Candidate(Struct, frozen=True, kw_only=True):
    """A configuration to try, and the event that puts it in force."""

    value: Config
    event: ConfigApplied

    @classmethod
    def of(cls, kind: str, value: Config) -> Candidate:
        """Return a configuration of a kind as a candidate; raises ``InputError`` when ``apply`` would refuse it."""
        body = canonical(value)
        event = ConfigApplied(kind=kind, sha256=sha256(body), author="backtest", body=body)
        decode_config(event)
        return cls(value=value, event=event)


def backtest(
    directory: Path, fold_factory: Callable[[], Fold], candidate: Candidate, *, since_ms: int = 0, seed: int = 1
) -> Backtest:
    """Fold an event log again with a candidate in force from ``since_ms`` on, and compare what is decided.

    Raises ``InputError`` when there is no event log, a file of it is damaged, or its decisions are not what this
    release folds; ``InvariantError`` when facts are missing.
    """
    manifest = load(directory)
    value = candidate.value
    rules = Rules(
        value if isinstance(value, RuleSet) else None, scan(directory, manifest, "evidence", EVIDENCE_COLUMNS)
    )
    refold = Refold(directory, fold_factory, candidate.event, rules=rules, since_ms=since_ms)
    comparison, draws = Comparison(), Draws()
    for step in refold.steps():
        for pair, downstream in comparison.take(step):
            draws.take(pair, downstream=downstream)
    if refold.applied_ms < 0:
        raise InputError("no fact is recorded so late: give an earlier --since")
    counts = comparison.counts
    return Backtest(
        kind=candidate.event.kind,
        sha256=candidate.event.sha256,
        applied_ms=refold.applied_ms,
        facts=refold.facts,
        counts=counts,
        share_differing=counts.differing / counts.decisions if counts.decisions else 0.0,
        differing=tuple(comparison.differing),
        effect=estimate(draws.settled, seed=seed),
        unsettled=draws.unsettled,
        acted_alone=draws.acted_alone,
        rules=rules.told,
        notes=tuple(_notes(candidate.event.kind, counts, draws, rules.told)),
    )


def _notes(kind: str, counts: Counts, draws: Draws, rules: Refolded) -> list[str]:
    notes = []
    if counts.differing:
        notes.append(
            "the lines and outcomes after a first difference came of what the log did: what is marked downstream is "
            "what would be decided on these, not what would have happened"
        )
    if draws.acted_alone:
        notes.append(
            f"at {draws.acted_alone} moments only the candidate acts: nothing is known of what would come of it"
        )
    if kind == "rules":
        notes.append(
            f"{rules.by_lines} detected lines were judged by kept lines, {rules.by_table} by the rules' table, "
            f"{rules.as_recorded} stay as recorded, for what is kept of them does not say; lines in which nothing was "
            "seen are not kept, so what a new rule would see in them is not in this"
        )
    return notes
