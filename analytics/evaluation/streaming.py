"""Our detector over stored series: one value after the other, nothing ahead."""

from __future__ import annotations

import numpy as np

from analytics.evaluation.data import Floats, Pod, Series, Server
from streams.core.anomaly import Detector
from streams.core.jointly import Group


def of_series(series: Series) -> Floats:
    """Return the surprise of each value."""
    detector = Detector()
    rows = zip(series.at_ms.tolist(), series.values.tolist(), strict=True)
    return np.array([detector.see(at_ms, value).surprise for at_ms, value in rows])


def of_server(server: Server) -> tuple[Floats, Floats]:
    """Return the surprise and the rarity of each row of the test part, with the training part as history."""
    surprise, rarity = _of_rows(np.vstack([server.train, server.test]))
    return surprise[len(server.train) :], rarity[len(server.train) :]


def of_pod(pod: Pod) -> Floats:
    """Return the surprise of each row of a pod's metrics."""
    return _of_rows(pod.values)[0]


def _of_rows(rows: Floats) -> tuple[Floats, Floats]:
    group = Group()
    standings = [group.see(row) for row in rows.tolist()]
    return np.array([one.surprise for one in standings]), np.array([one.rarity for one in standings])
