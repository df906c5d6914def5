"""The figures of a report, each from frames as the views have them. What a column is, is said by the views' SQL."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from analytics.report.rates import rate
from analytics.report.told import Bucket, Growth, Named, Rate, Repair, Strategy

FIXED_TARGET: Final = 0.95
ESCALATED_TARGET: Final = 0.05
"""What is aimed at."""
DAY: Final = timedelta(days=1)
"""So soon after its end an incident of the same service and pattern is the same trouble again, as in ``recurrence``."""
TIMES: Final = (
    (10, "under 10 s"),
    (30, "10 to 30 s"),
    (60, "30 s to 1 min"),
    (120, "1 to 2 min"),
    (300, "2 to 5 min"),
    (900, "5 to 15 min"),
    (3600, "15 min to 1 h"),
    (math.inf, "1 h or more"),
)
"""Spans that repairs are counted in: below how many seconds, and what that is called."""
STEPS: Final = (60, 300, 900, 3_600, 10_800, 21_600, 86_400, 604_800, 2_419_200, 31_449_600)
"""Lengths in seconds that a bucket may have."""
BUCKETS_MAX: Final = 48


def auto_fix(tasks: pl.DataFrame) -> Rate:
    """Return how many of the incidents were fixed; those that are open count as not fixed yet."""
    return rate(_count(tasks, pl.col("fix_successful")), tasks.height, FIXED_TARGET)


def escalation(escalations: pl.DataFrame, incidents: int) -> Rate:
    """Return how many escalations there were for so many incidents."""
    return rate(escalations.height, incidents, ESCALATED_TARGET)


def named(frame: pl.DataFrame, column: str, of: int | None = None) -> tuple[Named, ...]:
    """Return the values of a column by how often each occurs, the most frequent first; shares of all, or ``of``."""
    counted = frame.group_by(column).agg(pl.len().alias("count")).rename({column: "name"})
    return weighed(counted, frame.height if of is None else of)


def weighed(frame: pl.DataFrame, of: int | None = None) -> tuple[Named, ...]:
    """Return names with their counts (columns ``name, count``), the largest first; shares of all, or ``of``."""
    whole = int(frame["count"].sum()) if of is None else of
    rows = frame.sort(["count", "name"], descending=[True, False]).iter_rows(named=True)
    return tuple(
        Named(name=row["name"], count=row["count"], share=row["count"] / whole if whole else None) for row in rows
    )


def growth(patterns: pl.DataFrame) -> Growth:
    """Return what is known of fixes: over all that are shipped or were tried, whenever that was."""
    tried = patterns.filter(pl.col("total_attempts") > 0)
    percent = (100.0 * tried["success_count"] / tried["total_attempts"]).mean()
    return Growth(
        total_patterns=patterns.height,
        avg_successes=_number(patterns["success_count"].mean()),
        avg_attempts=_number(patterns["total_attempts"].mean()),
        avg_success_rate=None if percent is None else round(_number(percent) or 0.0, 1),
    )


def repair(tasks: pl.DataFrame) -> Repair:
    """Return how long the repairs took: as the view ``mttr``, over the incidents of the span."""
    seconds = _repairs(tasks).sort()
    return Repair(
        healed=seconds.len(),
        mean_seconds=_number(seconds.mean()),
        median_seconds=_number(seconds.median()),
        p95_seconds=float(seconds[math.ceil(0.95 * seconds.len()) - 1]) if seconds.len() else None,
        longest_seconds=_number(seconds.max()),
    )


def repair_times(tasks: pl.DataFrame) -> tuple[Named, ...]:
    """Return the repairs by how long they took, the shortest first, from the first span that has any to the last."""
    seconds = _repairs(tasks)
    counts, begin = [], 0.0
    for end, name in TIMES:
        counts.append((name, int(((seconds >= begin) & (seconds < end)).sum())))
        begin = end
    held = [place for place, (_, count) in enumerate(counts) if count]
    shown = counts[held[0] : held[-1] + 1] if held else []
    return tuple(Named(name=name, count=count, share=count / seconds.len()) for name, count in shown)


def followed(tasks: pl.DataFrame) -> pl.DataFrame:
    """Return the incidents with ``recurred``: whether the next one of service and pattern opened within a day."""
    following = pl.col("opened_at").shift(-1).over("service", "pattern")
    return tasks.sort("id").with_columns(recurred=(following <= pl.col("closed_at") + DAY).fill_null(value=False))


def recurrence(tasks: pl.DataFrame) -> Rate:
    """Return how many of the closed incidents came again so far: as the view ``recurrence``."""
    closed = followed(tasks).filter(pl.col("closed_at").is_not_null())
    return rate(_count(closed, pl.col("recurred")), closed.height)


def false_fire(tasks: pl.DataFrame) -> Rate:
    """Return how many of the closed incidents needed nothing: as the view ``false_fire``."""
    closed = tasks.filter(pl.col("closed_at").is_not_null())
    subsided = (pl.col("status") == "subsided") & (pl.col("attempts") == 0) & ~pl.col("answered")
    return rate(_count(closed, subsided | pl.col("called_false")), closed.height)


def strategies(attempts: pl.DataFrame) -> tuple[Strategy, ...]:
    """Return what became of each strategy's actions (rows of ``fix_attempts``), the most used first."""
    rows = (
        attempts.group_by("strategy")
        .agg(
            pl.len().alias("attempts"),
            pl.col("success").sum().cast(pl.Int64).alias("verified"),
            pl.col("success").count().alias("known"),
        )
        .sort(["attempts", "strategy"], descending=[True, False])
        .iter_rows(named=True)
    )
    return tuple(
        Strategy(
            strategy=row["strategy"],
            attempts=row["attempts"],
            unverified=row["attempts"] - row["known"],
            success=rate(row["verified"], row["known"]),
        )
        for row in rows
    )


def over_time(tasks: pl.DataFrame, lessons: pl.DataFrame, span: tuple[datetime, datetime]) -> tuple[Bucket, ...]:
    """Return a span in at most 48 equal parts, with the incidents that were detected and what was learnt in each.

    ``lessons`` are those of all time: ``fixes_known`` counts what had helped by the end of a part, since the log began.
    """
    edges = _edges(*span)
    states = tasks.select(at="detected_at", fixed=pl.col("fix_successful")).filter(pl.col("at") >= edges[0])
    ends = lessons.filter(pl.col("learnt_at") >= span[0])
    first_helped = (
        lessons.filter("success").group_by("pattern", "service_type", "action").agg(pl.col("learnt_at").min())
    )
    found = []
    for begin, end in zip(edges, [*edges[1:], datetime.max], strict=True):  # noqa: DTZ901 - the views' times are naive UTC
        part = states.filter(pl.col("at").is_between(begin, end, closed="left"))
        learnt = ends.filter(pl.col("learnt_at").is_between(begin, end, closed="left"))
        fixed = _count(part, pl.col("fixed"))
        found.append(
            Bucket(
                begin_at=begin,
                fixed=fixed,
                open=int(part["fixed"].null_count()),
                not_fixed=part.height - fixed - int(part["fixed"].null_count()),
                successes=_count(learnt, pl.col("success")),
                failures=_count(learnt, ~pl.col("success")),
                fixes_known=_count(first_helped, pl.col("learnt_at") < end),
            )
        )
    return tuple(found)


def _edges(begin: datetime, end: datetime) -> Sequence[datetime]:
    """Return where the parts of a span begin: at round times, the first at or before the span's."""
    long = (end - begin).total_seconds()
    step = next((step for step in STEPS if long / step <= BUCKETS_MAX - 1), STEPS[-1])  # the first may begin before it
    first = datetime.min + timedelta(seconds=(begin - datetime.min).total_seconds() // step * step)  # noqa: DTZ901 - as above
    count = max(1, math.ceil((end - first).total_seconds() / step))
    return [first + timedelta(seconds=step * place) for place in range(count)]


def _repairs(tasks: pl.DataFrame) -> pl.Series:
    return tasks.filter("healed")["healed_seconds"].drop_nulls()


def _count(frame: pl.DataFrame, condition: pl.Expr) -> int:
    return frame.filter(condition).height


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
