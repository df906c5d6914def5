"""Two folds of the same facts side by side: as it was recorded, and with a candidate configuration in force.

The candidate is applied by itself, as ``logmend apply`` does it, just before the first fact from ``since_ms`` on; what
was recorded as applied of its kind after that counts as the candidate. The recorded fold is compared with the recorded
decisions byte for byte, so a difference between the folds is the candidate's doing, not another release's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from analytics.backtest.answers import Answers
from analytics.backtest.rules import Rules
from analytics.manifest import load
from analytics.replay import Lookahead
from analytics.scan import scan
from analytics.tables import Row
from streams.codec import decode_fact, encode
from streams.core.config import decode_config
from streams.core.errors import InputError
from streams.core.events import ConfigApplied, Decision, Fact, Message, Slice, Took
from streams.core.fold import Fold

SOURCE: Final = "backtest.inbox.people"
"""The source in which the candidate is applied; no fleet has it."""
ASIDE: Final = 1 << 62
"""Offset of the fact in which it is applied: behind all facts, so that no decision's id is taken twice."""
_REJECTED: Final = "fact_rejected"


class Step(Struct, frozen=True, kw_only=True):
    """What one fact leads to in both folds."""

    facts_offset: int
    append_ms: int
    in_force: bool
    """Whether the candidate is in force: before that both decide the same."""
    recorded: list[Decision]
    candidate: list[Decision]


class Refold:
    """The facts of an event log, folded as recorded and under ``candidate``; ``answers`` maps ids between both."""

    def __init__(
        self,
        directory: Path,
        fold_factory: Callable[[], Fold],
        candidate: ConfigApplied,
        *,
        rules: Rules,
        since_ms: int = 0,
    ) -> None:
        """Open a log directory; raises ``InputError`` when there is no event log in it."""
        manifest = load(directory)
        if manifest.version == 0:
            raise InputError(f"there is no event log in {directory}")
        self._facts = scan(directory, manifest, "facts", ["kafka_append_ms", "kafka_value"])
        self._recorded = Lookahead(
            scan(directory, manifest, "decisions", ["facts_offset", "kind", "reason", "kafka_value"])
        )
        self._fold, self._other = fold_factory(), fold_factory()
        self._candidate = candidate
        self._since_ms = since_ms
        self._rules = rules
        self.answers: Final = Answers()
        self.facts = 0
        self.applied_ms = -1
        """Append time of the first fact under the candidate; -1: there is none."""

    def steps(self) -> Iterator[Step]:
        """Yield what each fact leads to.

        Raises ``InputError`` when the recorded decisions are not what the facts lead to in this release.
        """
        before_ms = 0
        for row in self._facts:
            offset, append_ms = row["kafka_offset"], row["kafka_append_ms"]
            self.facts += 1
            ahead: list[Decision] = []
            if self.applied_ms < 0 and append_ms >= self._since_ms:
                self.applied_ms = append_ms
                ahead = apply_aside(self._other, self._candidate, before_ms or append_ms)
            before_ms = append_ms
            recorded, candidate = self._both(row, offset, append_ms)
            self.answers.learn(recorded, [*ahead, *candidate])
            yield Step(
                facts_offset=offset,
                append_ms=append_ms,
                in_force=self.applied_ms >= 0,
                recorded=recorded,
                candidate=[*ahead, *candidate],
            )

    def _both(self, row: Row, offset: int, append_ms: int) -> tuple[list[Decision], list[Decision]]:
        archived = self._recorded.up_to(offset)
        fact = _decoded(row)
        if archived and archived[0]["kind"] == _REJECTED:
            reason = archived[0]["reason"]
            recorded = self._fold.reject(fact, offset, append_ms, reason)
            self._check(archived, recorded)
            return recorded, self._other.reject(fact, offset, append_ms, reason)
        if fact is None:
            raise InputError(f"fact {offset} is of no released schema: run logmend replay")
        recorded = self._fold.apply(fact, offset, append_ms)
        self._check(archived, recorded)
        return recorded, self._other.apply(self._answering(fact, append_ms), offset, append_ms)

    def _check(self, archived: Sequence[Row], recorded: Sequence[Decision]) -> None:
        """Compare what was recorded with what was folded; what is missing at the end is not archived yet."""
        is_tail = not archived and self._recorded.is_empty
        if not is_tail and [one["kafka_value"] for one in archived] != [encode(one) for one in recorded]:
            where = archived[0]["facts_offset"] if archived else recorded[0].facts_offset
            raise InputError(
                f"the decisions on fact {where} are not what this release folds, so nothing can be told apart from "
                "that: run logmend replay, or backtest with the release that decided"
            )

    def _answering(self, fact: Fact, append_ms: int) -> Fact:
        """Return a fact as the candidate's fold hears it."""
        if self.applied_ms < 0 or not isinstance(fact, Slice):
            return fact
        fact = self._rules.refolded(fact, append_ms, self._fold.directory.rules)
        if not fact.messages:
            return fact
        heard = (self._heard(message) for message in fact.messages)
        return replace(fact, messages=tuple(one for one in heard if one is not None))

    def _heard(self, message: Message) -> Message | None:
        event = message.event
        if isinstance(event, ConfigApplied):
            return replace(message, event=self._in_its_place(event))
        answer = self.answers.translated(event)
        return message if answer is event else replace(message, event=answer) if answer is not None else None

    def _in_its_place(self, applied: ConfigApplied) -> ConfigApplied:
        """Return the candidate for what was applied of its kind; what was refused then is refused again."""
        if applied.kind != self._candidate.kind:
            return applied
        try:
            decode_config(applied)
        except InputError:
            return applied
        return replace(self._candidate, author=applied.author)


def apply_aside(fold: Fold, candidate: ConfigApplied, append_ms: int) -> list[Decision]:
    """Apply a configuration between two facts, at the time of the one before; return what is decided on that.

    The decision that tells of it is left out. The offsets of the log stay dense: the fact lies aside of them.
    """
    directory = fold.directory
    next_offset = directory.facts_offset
    directory.facts_offset = ASIDE
    message = Message(offset=0, append_ms=append_ms, event=candidate)
    facts: tuple[Fact, ...] = (
        Took(source=SOURCE, partition=0, term=1, nonce="", owner=""),
        Slice(
            source=SOURCE,
            partition=0,
            term=1,
            from_offset=0,
            to_offset=1,
            rules_sha256="",
            lines=0,
            at_max_ms=0,
            append_max_ms=append_ms,
            messages=(message,),
        ),
    )
    decided = [one for fact in facts for one in fold.apply(fact, directory.facts_offset, append_ms)]
    directory.facts_offset = next_offset
    return [one for one in decided if one.kind != "config_applied"]


def _decoded(row: Row) -> Fact | None:
    try:
        return decode_fact(row["kafka_value"])
    except InputError:
        return None
