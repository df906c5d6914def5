"""``replay``: compute every decision again from the recorded facts, and compare bytes.

This is what catches an edit under hashes that were all made to fit: the facts don't lead to it. A fact that was
recorded as rejected is rejected again, in its place. Decisions that are missing at the end are the tail that the writer
had not archived yet. What older epochs decided is only relived, as decide does: their releases can recompute it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from analytics.manifest import load
from analytics.scan import scan
from analytics.tables import Row
from streams.codec import decode_decision, decode_fact, encode
from streams.core.epochs import release_of
from streams.core.errors import InputError, InvariantError
from streams.core.events import Decision, Fact
from streams.core.fold import Fold, is_own, own_epoch
from streams.core.past import Past

DIFFERENCES_MAX: Final = 10
_REJECTED: Final = "fact_rejected"
_WHOLE: Final = "(decision)"
_SHOWN_MAX: Final = 200
_CHAIN: Final = "previous_sha256"


class FieldDifference(Struct, frozen=True, kw_only=True):
    """A field of a decision, such as ``options[1].score``, as it was recorded and as it was computed."""

    name: str
    recorded: str
    computed: str


class Difference(Struct, frozen=True, kw_only=True):
    """A decision that the facts do not lead to. ``seq`` and ``id`` are the recorded ones, else the computed ones."""

    seq: int
    id: str
    facts_offset: int
    fields: tuple[FieldDifference, ...]


class Earlier(Struct, frozen=True, kw_only=True):
    """So many decisions of an older epoch were not recomputed; ``release`` says in words which release can."""

    epoch: int
    decisions: int
    release: str


class ReplayReport(Struct, frozen=True, kw_only=True):
    """What replay found.

    ``differences`` are the first ``DIFFERENCES_MAX``; ``differing`` counts all, and ``chained`` those decisions that
    differ only in the hash of the one before, because that one differs. ``problem`` is why it stopped early, or ``""``.
    """

    facts: int
    decisions: int
    differing: int
    chained: int
    tail: int
    """Decisions that were computed for the last facts, but are not in the archive yet."""
    differences: tuple[Difference, ...]
    problem: str
    earlier: tuple[Earlier, ...] = ()

    @property
    def ok(self) -> bool:
        """True when every recorded decision was computed again, byte for byte."""
        return not self.problem and not self.differing


def replay(directory: Path, fold_factory: Callable[[], Fold]) -> ReplayReport:
    """Refold the archived facts with a new fold and compare its decisions with the archived ones.

    Raises ``InputError`` when there is no event log or its manifest is damaged. A file that can't be read, a hole in
    the facts and a step that raises end the replay with a ``problem``.
    """
    run = _Replay(directory)
    try:
        run.through(fold_factory())
    except (InputError, InvariantError, OSError) as error:
        return run.report(str(error))
    except Exception as error:  # noqa: BLE001  # a step that raises is what a replay is to report, whatever it raises
        return run.report(f"step raised {type(error).__name__}: {error}, but no rejection is recorded for this fact")
    return run.report("")


class _Replay:
    def __init__(self, directory: Path) -> None:
        manifest = load(directory)
        if manifest.version == 0:
            raise InputError(f"there is no event log in {directory}")
        self._facts = scan(directory, manifest, "facts", ["kafka_append_ms", "kafka_value"])
        self._decisions = scan(directory, manifest, "decisions", ["facts_offset", "kind", "reason", "kafka_value"])
        self._recorded = Lookahead(iter(()))
        self._older = scan(directory, manifest, "decisions", ["epoch", "kafka_value"])
        self._past, self._earlier = Past(), Counter[int]()
        self._differences: list[Difference] = []
        self._counts = dict.fromkeys(("facts", "decisions", "differing", "chained", "tail"), 0)
        self._offset = -1

    def report(self, problem: str) -> ReplayReport:
        """Return what was found so far."""
        where = f"at fact {self._offset}: {problem}" if problem and self._offset >= 0 else problem
        earlier = tuple(
            Earlier(epoch=epoch, decisions=count, release=release_of(epoch)) for epoch, count in self._earlier.items()
        )
        return ReplayReport(**self._counts, differences=tuple(self._differences), problem=where, earlier=earlier)

    def through(self, fold: Fold) -> None:
        """Fold every fact, and compare what each leads to."""
        self._recorded = Lookahead(self._decisions)
        self._take_past()
        for fact in self._facts:
            self._offset = fact["kafka_offset"]
            self._counts["facts"] += 1
            recorded = self._recorded.up_to(self._offset)
            if self._offset <= self._past.facts_offset:
                fold.relive(_decoded(fact), self._offset, fact["kafka_append_ms"], self._past)
            else:
                self._compare(recorded, _computed(fold, fact, recorded))
        self._compare(self._recorded.up_to(1 << 63), [])

    def _take_past(self) -> None:
        """Take in what older epochs decided, and count it by epoch."""
        for row in self._older:
            if row["epoch"] >= own_epoch():
                break
            self._past.take(decode_decision(row["kafka_value"]))
            self._earlier[row["epoch"]] += 1

    def _compare(self, recorded: Sequence[Row], computed: Sequence[Decision]) -> None:
        self._counts["decisions"] += len(recorded)
        for place in range(max(len(recorded), len(computed))):
            old = recorded[place]["kafka_value"] if place < len(recorded) else None
            new = computed[place] if place < len(computed) else None
            if old is None and self._recorded.is_empty:
                self._counts["tail"] += 1
            elif old is None or new is None or old != encode(new):
                self._differ(decode_decision(old) if old is not None else None, new)

    def _differ(self, old: Decision | None, new: Decision | None) -> None:
        if old is not None and not is_own(old.epoch):
            raise InputError(
                f"decision {old.id} was made in epoch {old.epoch}, this release folds epoch {own_epoch()}: "
                f"replay it with {release_of(old.epoch)}"
            )
        fields = tuple(_fields("", msgspec.to_builtins(old), msgspec.to_builtins(new)))
        if not fields:
            fields = (FieldDifference(name="(bytes)", recorded="another encoding", computed="of equal fields"),)
        if [one.name for one in fields] == [_CHAIN] and self._counts["differing"]:
            self._counts["chained"] += 1
            return
        self._counts["differing"] += 1
        known = old or new
        if known is not None and len(self._differences) < DIFFERENCES_MAX:
            self._differences.append(
                Difference(seq=known.seq, id=known.id, facts_offset=known.facts_offset, fields=fields)
            )


class Lookahead:
    """Recorded decisions in order, handed out by the fact that they are about."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    @property
    def is_empty(self) -> bool:
        """True when all were handed out."""
        return self._next is None

    def up_to(self, facts_offset: int) -> list[Row]:
        """Return the next ones that are about facts up to an offset."""
        found = []
        while self._next is not None and self._next["facts_offset"] <= facts_offset:
            found.append(self._next)
            self._next = next(self._rows, None)
        return found


def _decoded(fact: Row) -> Fact | None:
    """Return the fact in a row; None when it holds none."""
    try:
        return decode_fact(fact["kafka_value"])
    except InputError:
        return None


def _computed(fold: Fold, fact: Row, recorded: Sequence[Row]) -> list[Decision]:
    """Return what a fact leads to; what was rejected then is rejected again."""
    offset, append_ms = fact["kafka_offset"], fact["kafka_append_ms"]
    decoded = _decoded(fact)
    if recorded and recorded[0]["kind"] == _REJECTED:
        return fold.reject(decoded, offset, append_ms, recorded[0]["reason"])
    if decoded is None:
        raise InputError("this is no fact of a released schema, but no rejection is recorded for it")
    return fold.apply(decoded, offset, append_ms)


def _fields(name: str, recorded: Any, computed: Any) -> Iterator[FieldDifference]:
    """Yield the innermost fields in which two values differ."""
    if isinstance(recorded, dict) and isinstance(computed, dict):
        for key in recorded:
            yield from _fields(f"{name}.{key}" if name else key, recorded[key], computed[key])
    elif isinstance(recorded, list | tuple) and isinstance(computed, list | tuple) and len(recorded) == len(computed):
        for place, (one, other) in enumerate(zip(recorded, computed, strict=True)):
            yield from _fields(f"{name}[{place}]", one, other)
    elif recorded != computed:
        yield FieldDifference(name=name or _WHOLE, recorded=_shown(recorded), computed=_shown(computed))


def _shown(value: Any) -> str:
    return "(none)" if value is None else str(value)[:_SHOWN_MAX]
