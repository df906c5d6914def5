"""``logmend score servers``: incidents of servers with many metrics, ours beside what is published for such data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import Struct
from sklearn.metrics import average_precision_score

from analytics.evaluation import data, streaming
from analytics.evaluation.baselines import OF_SERVERS, Scorer
from analytics.evaluation.data import DAY_MS, Flags, Floats, Server
from analytics.evaluation.episodes import candidates, lowest, onsets
from analytics.evaluation.figures import Panel, save_panels
from analytics.evaluation.vus import segments, vus_pr

QUIET_ROWS: Final = 30
"""Rows for which an alarm raises no other; one that lasts outside of segments is false again and again."""
FALSE_PER_DAY: Final = 1.0
"""False alarms per server-day that the threshold may raise on the servers that it is chosen on."""
AHEAD: Final = (15, 30)
"""The forecast: a segment starts later than the first and no later than the second number of steps."""
OURS: Final = "logmend"


class ServerScore(Struct, frozen=True, kw_only=True):
    """One detector on one server, with a threshold chosen on all others."""

    server: str
    detector: str
    threshold: float
    segments: int
    segments_hit: int
    false_alarms: int
    days: float
    delays_steps: list[int]
    pr_auc: float
    vus_pr: float


class DetectorScore(Struct, frozen=True, kw_only=True):
    """One detector on all servers; areas are means of the servers'."""

    segment_recall: float
    false_alarms_per_server_day: float
    delay_steps_median: float
    pr_auc: float
    vus_pr: float


class ServersScore(Struct, frozen=True, kw_only=True):
    """Our detector, the others by name, each of them on each server, and our score as a forecast (PR-AUC)."""

    ours: DetectorScore
    others: dict[str, DetectorScore]
    servers: list[ServerScore]
    forecast_pr_auc: float
    forecast_base_rate: float

    def as_json(self) -> dict[str, Any]:
        """Return the keys of the contract, those of other detectors with their name in front, and each server."""
        keys = _fields(self.ours)
        for name, other in self.others.items():
            keys |= {f"{name}_{key}": value for key, value in _fields(other).items()}
        keys |= {"forecast_pr_auc": self.forecast_pr_auc, "forecast_base_rate": self.forecast_base_rate}
        return keys | {"servers": [_fields(one) for one in self.servers]}


def score(directory: Path, plot: Path | None = None) -> ServersScore:
    """Score a directory of servers; draw each into ``plot``."""
    servers = data.servers(directory)
    ours, rarities = zip(*(streaming.of_server(server) for server in servers), strict=True)
    found = _detector(OURS, servers, ours, rarities)
    each = list(found)
    others = {}
    for name, scorer in OF_SERVERS.items():
        scores = [_comparable(server, scorer) for server in servers]
        mine = _detector(name, servers, scores, scores)
        others[name] = _all(mine)
        each += mine
    forecasts = [_forecast(server, score) for server, score in zip(servers, ours, strict=True)]
    if plot:
        save_panels(plot, [_panel(*row) for row in zip(servers, rarities, found, strict=True)])
    return ServersScore(
        ours=_all(found),
        others=others,
        servers=each,
        forecast_pr_auc=float(np.nanmean([area for area, _ in forecasts])),
        forecast_base_rate=float(np.nanmean([rate for _, rate in forecasts])),
    )


def _comparable(server: Server, scorer: Scorer) -> Floats:
    """Return a baseline's scores in units of what it gives the training part: one threshold needs one scale."""
    of_train, of_test = scorer(server.train, server.train), scorer(server.train, server.test)
    low, high = np.quantile(of_train, [0.5, 0.99])
    return np.asarray((of_test - low) / max(high - low, 1e-12))


def _detector(
    name: str, servers: Sequence[Server], scores: Sequence[Floats], alarming: Sequence[Floats]
) -> list[ServerScore]:
    """Score one detector on each server: areas by ``scores``, alarms where ``alarming`` reaches a threshold.

    The threshold is the lowest that keeps to the false alarms on all other servers.
    """
    thresholds = candidates(alarming)
    false = np.array(
        [[_false_alarms(server, score, threshold) for threshold in thresholds]
         for server, score in zip(servers, alarming, strict=True)]
    )  # fmt: skip
    days = np.array([_days(server) for server in servers])
    found = []
    for at, (server, score, alarm) in enumerate(zip(servers, scores, alarming, strict=True)):
        rest = np.delete(np.arange(len(servers)), at) if len(servers) > 1 else np.array([at])
        rates = dict(zip(thresholds.tolist(), (false[rest].sum(axis=0) / days[rest].sum()).tolist(), strict=True))
        threshold = lowest(thresholds, rates.__getitem__, FALSE_PER_DAY)
        found.append(_judged(name, server, score, alarm, threshold))
    return found


def _judged(name: str, server: Server, score: Floats, alarm: Floats, threshold: float) -> ServerScore:
    spans = segments(server.label)
    within = [np.flatnonzero(alarm[first:end] >= threshold) for first, end in spans]
    return ServerScore(
        server=server.name,
        detector=name,
        threshold=threshold,
        segments=len(spans),
        segments_hit=sum(len(rows) > 0 for rows in within),
        false_alarms=_false_alarms(server, alarm, threshold),
        days=_days(server),
        delays_steps=[int(rows[0]) for rows in within if len(rows)],
        pr_auc=float(average_precision_score(server.label, score)),
        vus_pr=vus_pr(server.label, score),
    )


def _false_alarms(server: Server, score: Floats, threshold: float) -> int:
    """Count alarms outside of segments and of the ``QUIET_ROWS`` behind each, in which an alarm may fade."""
    asked = score.copy()
    for first, end in segments(server.label):
        asked[first : end + QUIET_ROWS] = -np.inf
    return len(onsets(asked, threshold, QUIET_ROWS))


def _days(server: Server) -> float:
    return len(server.test) * server.step_ms / DAY_MS


def _all(found: Sequence[ServerScore]) -> DetectorScore:
    delays = [delay for one in found for delay in one.delays_steps]
    return DetectorScore(
        segment_recall=sum(one.segments_hit for one in found) / max(sum(one.segments for one in found), 1),
        false_alarms_per_server_day=sum(one.false_alarms for one in found) / sum(one.days for one in found),
        delay_steps_median=float(np.median(delays)) if delays else float("nan"),
        pr_auc=float(np.mean([one.pr_auc for one in found])),
        vus_pr=float(np.mean([one.vus_pr for one in found])),
    )


def _forecast(server: Server, score: Floats) -> tuple[float, float]:
    """Return the PR-AUC and the base rate of "a segment starts soon" on rows outside of segments."""
    soon = np.zeros(len(score), dtype=bool)
    for first, _ in segments(server.label):
        soon[max(first - AHEAD[1], 0) : max(first - AHEAD[0], 0)] = True
    asked: Flags = ~server.label
    if not soon[asked].any():
        return float("nan"), float("nan")
    return float(average_precision_score(soon[asked], score[asked])), float(soon[asked].mean())


def _panel(server: Server, score: Floats, found: ServerScore) -> Panel:
    alarms = np.zeros(len(score), dtype=bool)
    alarms[onsets(score, found.threshold, QUIET_ROWS)] = True
    return Panel(server.name, server.test.mean(axis=1), 1.0 - 10.0**-score, server.label, alarms)


def _fields(struct: Struct) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
