"""How good forecasts are: ``python -m benchmarks.forecast DIRECTORY``, with nab/ and server_metrics/ in it.

Each series, scaled to 0..1, is forecast 15 and 30 steps ahead from 60, at places spread over it; a step is a minute to
the forecast. Beside the mean error stands that of "as now", the median of the last five steps. Leaks are ramps with
noise that reach a limit 25 minutes later.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from analytics.evaluation.data import Floats, nab, servers
from streams.core.forecast import BUCKET_MS, BUCKETS_MAX, Trend, forecast, until
from streams.core.num import draw

PLACES: Final = 60
CLOSE: Final = 0.1
STEADY: Final = 1e-3
"""A series whose standard deviation is below this part of its range is not forecast: it would be right for nothing."""
LEAKS: Final = 300
LEAK_MINUTES: Final = 50
LIMIT_MINUTES: Final = 25


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast", description=__doc__)
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args(arguments).directory
    kinds = {
        "NAB": [one.values for one in nab(directory / "nab")],
        "servers": [
            one.test[:, metric] for one in servers(directory / "server_metrics") for metric in range(one.test.shape[1])
        ],
        "ramps": [ramp(number) for number in range(60)],
    }
    print("              steps  series   error  as now  within 0.1 in interval  width   trend")
    for kind, given in kinds.items():
        series = [scaled(values) for values in given if np.nanstd(scaled(values)) > STEADY]
        for ahead in (15, 30):
            tell(kind, series, ahead)
    tell_leaks()


def scaled(values: Floats) -> Floats:
    """Return values scaled to 0..1."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return (values - low) / max(high - low, 1e-12)


def ramp(number: int) -> Floats:
    """Return 400 steps: flat for 100, then rising, with noise."""
    slope, noise = 0.001 + 0.009 * draw(f"slope {number}"), (0.005, 0.02, 0.05)[number % 3]
    return np.array([slope * max(step - 100, 0) + noise * bell(f"{number} {step}") for step in range(400)])


def bell(identity: str) -> float:
    """Return a number of mean 0 and deviation 1, about normal: the sum of twelve draws."""
    return sum(draw(f"{identity} {part}") for part in range(12)) - 6.0


def tell(kind: str, series: Sequence[Floats], ahead: int) -> None:
    """Print one row: mean error, that of "as now", and how often the interval held what came."""
    rows = []
    for values in series:
        for place in np.linspace(BUCKETS_MAX, len(values) - ahead - 1, PLACES).astype(int).tolist():
            trend = Trend()
            for step in range(place - BUCKETS_MAX, place):
                trend.add(step * BUCKET_MS, float(values[step]))
            said, came = forecast(trend, place * BUCKET_MS, ahead * BUCKET_MS), float(values[place + ahead])
            now = abs(came - float(np.median(values[place - 5 : place])))
            held = said.low - STEADY <= came <= said.high + STEADY
            rows.append((abs(came - said.value), now, held, said.high - said.low, said.slope != 0.0))
    error, now, held, width, trending = np.array(rows, dtype=float).T
    print(
        f"{kind:10}{ahead:6}{len(series):8}{error.mean():8.4f}{now.mean():8.4f}{(error <= CLOSE).mean():12.3f}"
        f"{held.mean():12.3f}{width.mean():8.3f}{trending.mean():8.3f}"
    )


def tell_leaks() -> None:
    """Print how often a leak's time to its limit is said, how far off it is, and how often the interval holds it."""
    errors, held = [], []
    for number in range(LEAKS):
        slope, noise, trend = 0.005 + 0.015 * draw(f"leak {number}"), (0.005, 0.02)[number % 2], Trend()
        for minute in range(LEAK_MINUTES):
            trend.add(minute * BUCKET_MS, 0.2 + slope * minute + noise * bell(f"leak {number} {minute}"))
        now_ms, due_ms = LEAK_MINUTES * BUCKET_MS, LIMIT_MINUTES * BUCKET_MS
        limit = 0.2 + slope * (LEAK_MINUTES + LIMIT_MINUTES)
        found = until(forecast(trend, now_ms, 15 * BUCKET_MS), now_ms, limit)
        if found.expected_ms >= 0:
            errors.append(abs(found.expected_ms - due_ms) / due_ms)
            held.append(found.earliest_ms <= due_ms and (found.latest_ms < 0 or due_ms <= found.latest_ms))
    print(
        f"leaks: {len(errors) / LEAKS:.1%} of {LEAKS} have a time to the limit, {np.mean(errors):.1%} off on average, "
        f"{np.quantile(errors, 0.9):.1%} at the 90th percentile; {np.mean(held):.1%} within the interval"
    )


if __name__ == "__main__":
    main()
