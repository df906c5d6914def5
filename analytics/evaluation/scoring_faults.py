"""``logmend score faults``: which of the faults injected into pods are seen, at one false alarm per pod-day."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec import Struct

from analytics.evaluation import data, streaming
from analytics.evaluation.baselines import robust_z
from analytics.evaluation.data import DAY_MS, Fault, Floats, Pod
from analytics.evaluation.episodes import candidates, onsets
from analytics.evaluation.figures import Panel, save_panels

FALSE_PER_DAY: Final = 1.0
WINDOW_MS: Final = 360_000
"""A fault lasts five minutes at most, and is measured a minute later at the latest."""
QUIET_ROWS: Final = 10
"""Minutes behind a fault in which an alarm is neither right nor false; behind a false one no other is counted."""
MINUTE_MS: Final = 60_000


class Found(NamedTuple):
    """One pod at one threshold: delay in minutes by fault (``None``: not seen), and false alarms."""

    delays: list[float | None]
    false_alarms: int


class Kind(Struct, frozen=True, kw_only=True):
    """How many faults of one kind there are, and how many of them are seen."""

    kind: str
    faults: int
    seen: int
    robust_z_seen: int


class FaultsScore(Struct, frozen=True, kw_only=True):
    """Recall and delay with the best threshold that keeps to the false alarms; also with that of all other pods."""

    recall_at_1_per_pod_day: float
    delay_minutes_median: float
    robust_z_recall_at_1_per_pod_day: float
    robust_z_delay_minutes_median: float
    false_alarms_per_pod_day: float
    recall_left_one_out: float
    false_alarms_left_one_out: float
    threshold: float
    faults: int
    pod_days: float
    kinds: list[Kind]

    def as_json(self) -> dict[str, Any]:
        """Return the keys of the contract, and more."""
        keys = {name: getattr(self, name) for name in self.__struct_fields__}
        return keys | {"kinds": [{name: getattr(one, name) for name in one.__struct_fields__} for one in self.kinds]}


class Case(NamedTuple):
    """One pod, the faults injected into it, and its scores."""

    pod: Pod
    faults: list[Fault]
    score: Floats

    def found(self, threshold: float) -> Found:
        """Return what a threshold sees. Only a rise to it is an alarm: one that goes on sees no second fault."""
        over = self.score >= threshold
        rises = np.flatnonzero(over & ~np.concatenate(([False], over[:-1])))
        own = np.zeros(len(over), dtype=bool)
        delays: list[float | None] = []
        for fault in self.faults:
            first, end = np.searchsorted(self.pod.at_ms, [fault.at_ms, fault.at_ms + WINDOW_MS])
            own[first : end + QUIET_ROWS] = True
            within = rises[(rises >= first) & (rises < end)]
            delays.append((int(self.pod.at_ms[within[0]]) - fault.at_ms) / MINUTE_MS if len(within) else None)
        false = np.zeros(len(over))
        false[rises[~own[rises]]] = 1.0
        return Found(delays, len(onsets(false, 1.0, QUIET_ROWS)))

    @property
    def days(self) -> float:
        """Days that were measured."""
        return float(self.pod.at_ms[-1] - self.pod.at_ms[0]) / DAY_MS


def score(directory: Path, plot: Path | None = None) -> FaultsScore:
    """Score a directory of days with faults; draw each pod into ``plot``."""
    pods = [(pod, [f for f in day.faults if f.pod == pod.name]) for day in data.days(directory) for pod in day.pods]
    ours = [Case(pod, faults, streaming.of_pod(pod)) for pod, faults in pods]
    beside = [Case(pod, faults, robust_z(pod.values)) for pod, faults in pods]
    threshold, found = _at_rate(ours)
    _, z_found = _at_rate(beside)
    left_out = [case.found(_threshold([*ours[:at], *ours[at + 1 :]] or ours)) for at, case in enumerate(ours)]
    days = sum(case.days for case in ours)
    if plot:
        save_panels(plot, [_panel(case, threshold) for case in ours])
    return FaultsScore(
        recall_at_1_per_pod_day=_recall(found),
        delay_minutes_median=_delay(found),
        robust_z_recall_at_1_per_pod_day=_recall(z_found),
        robust_z_delay_minutes_median=_delay(z_found),
        false_alarms_per_pod_day=sum(one.false_alarms for one in found) / days,
        recall_left_one_out=_recall(left_out),
        false_alarms_left_one_out=sum(one.false_alarms for one in left_out) / days,
        threshold=threshold,
        faults=sum(len(one.delays) for one in found),
        pod_days=days,
        kinds=_kinds(ours, found, z_found),
    )


def _threshold(cases: Sequence[Case]) -> float:
    """Return the threshold that sees most within the false alarms allowed; of equally good ones the quietest."""
    days = sum(case.days for case in cases)
    best, chosen = (-1.0, 0.0), math.inf
    for threshold in candidates([case.score for case in cases]).tolist():
        found = [case.found(threshold) for case in cases]
        false = sum(one.false_alarms for one in found) / days
        if false <= FALSE_PER_DAY:
            best, chosen = max((best, chosen), ((_recall(found), -false), threshold))
    return chosen


def _at_rate(cases: Sequence[Case]) -> tuple[float, list[Found]]:
    threshold = _threshold(cases)
    return threshold, [case.found(threshold) for case in cases]


def _recall(found: Sequence[Found]) -> float:
    delays = [delay for one in found for delay in one.delays]
    return sum(delay is not None for delay in delays) / max(len(delays), 1)


def _delay(found: Sequence[Found]) -> float:
    seen = [delay for one in found for delay in one.delays if delay is not None]
    return float(np.median(seen)) if seen else float("nan")


def _kinds(cases: Sequence[Case], found: Sequence[Found], z_found: Sequence[Found]) -> list[Kind]:
    rows = [
        (fault.kind, delay is not None, z_delay is not None)
        for case, one, z_one in zip(cases, found, z_found, strict=True)
        for fault, delay, z_delay in zip(case.faults, one.delays, z_one.delays, strict=True)
    ]
    return [
        Kind(
            kind=kind,
            faults=sum(row[0] == kind for row in rows),
            seen=sum(row[1] for row in rows if row[0] == kind),
            robust_z_seen=sum(row[2] for row in rows if row[0] == kind),
        )
        for kind in sorted({row[0] for row in rows})
    ]


def _panel(case: Case, threshold: float) -> Panel:
    labelled, alarms = np.zeros(len(case.score), dtype=bool), np.zeros(len(case.score), dtype=bool)
    for fault in case.faults:
        first, end = np.searchsorted(case.pod.at_ms, [fault.at_ms, fault.at_ms + WINDOW_MS])
        labelled[first:end] = True
    alarms[onsets(case.score, threshold, QUIET_ROWS)] = True
    return Panel(case.pod.name, case.pod.values[:, 0], 1.0 - 10.0**-case.score, labelled, alarms)
