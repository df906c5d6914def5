"""Failures 30 s ahead, on recorded runs of real services that wear out (``lab/recording.py``), by the fold itself.

The fold lives through the training runs one after the other, as it would have; what it knows then is copied for each
other run. What is scored are its own decisions ``predicted``: each is right or wrong 30 s later. Nothing is scored from
when a run's service has failed, nor what a run ended too soon for to be known.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
from msgspec import Struct

from streams.catalogue import strategies
from streams.core.config import Inventory, Policy, canonical, sha256
from streams.core.errors import InputError
from streams.core.events import (
    HEALTH_METRICS,
    ConfigApplied,
    Decision,
    InboxEvent,
    Message,
    ProbeReported,
    Sample,
    Slice,
    Took,
)
from streams.core.fold import Fold
from streams.core.inventory import ServiceSpec
from streams.core.samples import sample

FOLDS: Final = 4
BEGIN_MS: Final = 1_800_000_000_000
APART_MS: Final = 1_200_000
"""Event time between the runs' beginnings: long enough that none is another's neighbour."""
LAG_MS: Final = 50
WARNED_MS: Final = 5_000
"""A warning counts when it was there this long before the failure: later nobody can do anything."""
METRICS: Final = "metrics"
WORKERS: Final = "logmend.inbox.workers"
PEOPLE: Final = "logmend.inbox.people"


class Run(Struct, frozen=True, kw_only=True):
    """A recorded run. ``failed_ms`` is 0 when the service never failed."""

    name: str
    wear: str
    course: str
    queue_limit: int
    failed_ms: int
    records: tuple[dict[str, float | int | str], ...]

    @property
    def begin_ms(self) -> int:
        """When it begins."""
        return int(self.records[0]["ts"])


class Said(Struct, frozen=True, kw_only=True):
    """A prediction: ``ms`` since the run's begin, its probability, whether it was an alarm, and what happened."""

    run: str
    ms: int
    probability: float
    alarm: bool
    fails: bool


class Warned(Struct, frozen=True, kw_only=True):
    """A run that failed: by which wear, and how long before (ms) the alarm that lasted was raised, -1 = none.

    ``degraded``: something was said to be wrong with it before.
    """

    run: str
    wear: str
    lead_ms: int
    degraded: bool


class Scored(Struct, frozen=True, kw_only=True):
    """The figures. Accuracies, rates and shares are 0..1; ``warned`` is by wear, and over all under ``all``."""

    runs: int
    failures: int
    predictions: int
    base_rate: float
    accuracy: float
    always_no_accuracy: float
    false_positive_rate: float
    recall: float
    brier: float
    brier_base: float
    warned: dict[str, float]
    degraded: float
    """Share of the failures before which anything said that something was wrong: an alert, or an alarm."""
    lead_seconds_median: float
    vectors_to_85: int
    """Vectors learnt after which the balanced accuracy of all later predictions is 0.85 or more, -1 = never."""


class Pipeline:
    """A fold whose inventory has all runs' services, observed only, and the positions of what it is fed."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.fold = Fold.new(strategies())
        self._at: dict[str, int] = {}
        self._offset = 0
        services = tuple(ServiceSpec(name=run.name, host="recorder", queue_limit=run.queue_limit) for run in runs)
        body = canonical(Inventory(services=services))
        applied = ConfigApplied(kind="inventory", sha256=sha256(body), author="score", body=body)
        self._slice(PEOPLE, BEGIN_MS, event=applied)

    def copy(self) -> Pipeline:
        """Return another that knows what this one knows."""
        other = Pipeline.__new__(Pipeline)
        other.fold = Fold.restore(self.fold.snapshot(), strategies())
        other._at, other._offset = dict(self._at), self._offset  # noqa: SLF001 - its own kind
        return other

    def live(self, run: Run, place: int) -> list[Decision]:
        """Let a run happen as the ``place``-th, and return what was decided."""
        shift_ms = BEGIN_MS + APART_MS * (place + 1) - run.begin_ms
        decided = []
        for record in run.records:
            at_ms = int(record["ts"]) + shift_ms
            samples = tuple(
                sample(at_ms // 1000 * 1000, run.name, "recorder", metric, float(record[metric]))
                for metric in HEALTH_METRICS
                if metric in record
            )
            decided += self._slice(METRICS, at_ms, samples=samples)
            decided += self._slice(
                WORKERS, at_ms, event=_probe(run.name, at_ms, ok=float(record["availability"]) > 0.0)
            )
        return decided

    def _slice(
        self, source: str, at_ms: int, *, samples: tuple[Sample, ...] = (), event: InboxEvent | None = None
    ) -> list[Decision]:
        if source not in self._at:
            self._feed(Took(source=source, partition=0, term=1, nonce="n", owner="score"), at_ms)
        begin = self._at.get(source, 0)
        self._at[source] = begin + 1
        messages = () if event is None else (Message(offset=begin, append_ms=at_ms + LAG_MS, event=event),)
        fact = Slice(
            source=source,
            partition=0,
            term=1,
            from_offset=begin,
            to_offset=begin + 1,
            rules_sha256="",
            lines=0,
            at_max_ms=at_ms,
            append_max_ms=at_ms + LAG_MS,
            messages=messages,
            points=len(samples),
            samples=samples,
        )
        return self._feed(fact, at_ms)

    def _feed(self, fact: Took | Slice, at_ms: int) -> list[Decision]:
        self._offset += 1
        return self.fold.apply(fact, self._offset - 1, at_ms + LAG_MS)


def _probe(service: str, at_ms: int, *, ok: bool) -> ProbeReported:
    code = "200" if ok else "500"
    return ProbeReported(host="recorder", service=service, kind="http", ok=ok, code=code, at_ms=at_ms, latency_ms=1)


def load(path: Path) -> tuple[Run, ...]:
    """Return the recorded runs; ``InputError`` when the file is none of ``python -m lab.recording``."""
    try:
        lines = gzip.decompress(path.read_bytes()).splitlines()
        return tuple(run for line in lines if (run := msgspec.json.decode(line, type=Run)).records)
    except (OSError, EOFError, msgspec.MsgspecError) as error:
        raise InputError(f"{path} holds no recorded runs ({error}): make one with python -m lab.recording") from error


def score(path: Path) -> Scored:
    """Return the figures of a file of recorded runs, each predicted by runs that it was not learnt from."""
    runs = load(path)
    said: list[Said] = []
    warned: list[Warned] = []
    for part in range(FOLDS):
        learnt = Pipeline(runs)
        train = [run for place, run in enumerate(runs) if place % FOLDS != part]
        for place, run in enumerate(train):
            learnt.live(run, place)
        for run in runs[part::FOLDS]:
            decided = learnt.copy().live(run, len(train))
            known = foretold(run, decided, len(train))
            said += known
            if run.failed_ms:
                degraded = is_degraded(run, decided, len(train))
                warned.append(Warned(run=run.name, wear=run.wear, lead_ms=lead_ms(run, known), degraded=degraded))
    return _scored(runs, said, warned)


def foretold(run: Run, decided: Sequence[Decision], place: int) -> list[Said]:
    """Return the predictions of a run whose outcome is known, up to its failure."""
    begin_ms = BEGIN_MS + APART_MS * (place + 1)
    failed_ms = run.failed_ms - run.begin_ms if run.failed_ms else -1
    end_ms = int(run.records[-1]["ts"]) - run.begin_ms
    said = []
    for one in decided:
        if one.kind != "predicted" or one.service != run.name:
            continue
        figures: dict[str, Any] = {figure.name: figure.value for figure in one.figures}
        ms, horizon_ms = one.at_ms - begin_ms, int(figures["horizon_ms"])
        if 0 <= failed_ms <= ms or (failed_ms < 0 and ms + horizon_ms > end_ms):
            continue
        fails = ms < failed_ms <= ms + horizon_ms
        probability = float(figures["probability"])
        alarm = probability >= Policy().prediction_alarm
        said.append(Said(run=run.name, ms=ms, probability=probability, alarm=alarm, fails=fails))
    return said


def lead_ms(run: Run, said: Sequence[Said]) -> int:
    """Return how long before the failure the alarm was raised that still stood then; -1 when none did in time."""
    since = -1
    for one in said:
        since = (since if since >= 0 else one.ms) if one.alarm else -1
    before_ms = run.failed_ms - run.begin_ms - since
    return before_ms if since >= 0 and before_ms >= WARNED_MS else -1


def is_degraded(run: Run, decided: Sequence[Decision], place: int) -> bool:
    """Tell whether an alert or an alarm was raised on a run's service before it failed."""
    failed_ms = run.failed_ms - run.begin_ms + BEGIN_MS + APART_MS * (place + 1)
    before = [one for one in decided if one.service == run.name and one.at_ms < failed_ms]
    return any(one.kind == "alerted" or (one.kind == "predicted" and _alarms(one)) for one in before)


def _alarms(predicted: Decision) -> bool:
    return any(one.name == "probability" and one.value >= Policy().prediction_alarm for one in predicted.figures)


def _scored(runs: Sequence[Run], said: Sequence[Said], warned: Sequence[Warned]) -> Scored:
    if not said:
        raise InputError("nothing was predicted: the runs are too few, or none of them failed")
    positives = sum(one.fails for one in said)
    negatives = len(said) - positives
    base = positives / len(said)
    shares = {
        wear: sum(one.lead_ms >= 0 for one in those) / len(those)
        for wear in ("all", *sorted({one.wear for one in warned}))
        if (those := [one for one in warned if wear in {"all", one.wear}])
    }
    return Scored(
        runs=len(runs),
        failures=len(warned),
        predictions=len(said),
        base_rate=base,
        accuracy=sum(one.alarm == one.fails for one in said) / len(said),
        always_no_accuracy=1.0 - base,
        false_positive_rate=sum(one.alarm and not one.fails for one in said) / max(negatives, 1),
        recall=sum(one.alarm and one.fails for one in said) / max(positives, 1),
        brier=sum((one.probability - one.fails) ** 2 for one in said) / len(said),
        brier_base=base * (1.0 - base),
        warned=shares,
        degraded=sum(one.degraded for one in warned) / max(len(warned), 1),
        lead_seconds_median=median([one.lead_ms / 1000 for one in warned if one.lead_ms >= 0] or [0.0]),
        vectors_to_85=_vectors_to_85(runs),
    )


def _vectors_to_85(runs: Sequence[Run]) -> int:
    """Live through all runs once; see after how many vectors (one in 10 s) the predictions to come are good."""
    pipeline, vectors = Pipeline(runs), 0
    after: list[tuple[int, list[Said]]] = []
    for place, run in enumerate(runs):
        after.append((vectors, foretold(run, pipeline.live(run, place), place)))
        vectors += len(run.records) // 10
    for place, (known, _) in enumerate(after):
        later = [one for _, said in after[place:] for one in said]
        if after[place][1] and _balanced(later) >= 0.85:
            return known
    return -1


def _balanced(said: Sequence[Said]) -> float:
    rates = []
    for fails in (True, False):
        those = [one for one in said if one.fails == fails]
        if not those:
            return 0.0
        rates.append(sum(one.alarm == fails for one in those) / len(those))
    return sum(rates) / 2
