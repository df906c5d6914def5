"""What preceded the openings of recurring causes, and whether that is more than chance.

An event is a precursor of a cause when it was recorded within ``WINDOW`` before the cause opened. By chance an opening
has it with the share of the time that lies within ``WINDOW`` after such an event; of all openings, as many as seen or
more have it with the binomial tail of that share. Openings within ``WINDOW`` of the one before are no trial of their
own and left out. What is told has a tail below ``CHANCE_MAX`` divided by the number of pairs of a cause and an event,
also of those that never met (C. Bonferroni), so in at most one report of twenty something is told that is none. It
precedes: that it causes, nobody says.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from analytics.report.measures import followed
from analytics.report.rates import chance_of
from analytics.report.told import Cause, Precursor

WINDOW: Final = timedelta(minutes=10)
CHANCE_MAX: Final = 0.05
CAUSES_MAX: Final = 10
"""Of the causes that come again, these many are looked at, the most frequent ones."""
PRECURSORS_MAX: Final = 3
SEEN_MIN: Final = 2
"""What was seen once preceded nothing yet."""
KINDS: Final = {
    "incident_opened": "incident",
    "commanded": "action",
    "config_applied": "applied",
    "halted": "kill switch",
    "resumed": "kill switch off",
    "lines_lost": "lines lost",
    "anomaly_began": "anomaly",
    "rate_surged": "surge of",
    "template_new": "new template",
    "template_surging": "surge of template",
    "template_vanished": "missing template",
    "alerted": "alert",
    "exhaustion_expected": "exhaustion expected of",
}
"""Kinds of decisions that something else may follow from, and what they are called."""


def causes(tasks: pl.DataFrame, events: pl.DataFrame, span: tuple[datetime, datetime]) -> tuple[Cause, ...]:
    """Return the causes that came more than once, the most frequent first, with what preceded them.

    ``tasks`` as ``reading.TASKS`` has them, ``events`` as ``reading.EVENTS``: ``seq, kind, service, what, at``.
    """
    opened = followed(tasks).with_columns(cause=_cause("pattern", "service"))
    counted = (
        opened.group_by("cause", "service", "pattern")
        .agg(pl.len().alias("incidents"), pl.col("recurred").sum().cast(pl.Int64))
        .filter(pl.col("incidents") > 1)
        .sort(["incidents", "cause"], descending=[True, False])
        .head(CAUSES_MAX)
    )
    alone = pl.col("opened_at") - pl.col("opened_at").shift(1).over("cause") < WINDOW
    trials = opened.filter(~alone.fill_null(value=False)).select("id", "cause", "opened_at").join(counted, on="cause")
    told = _precursors(trials, _events(events), span)
    openings = dict(trials.group_by("cause").agg(pl.len()).iter_rows())
    return tuple(
        Cause(
            service=row["service"],
            pattern=row["pattern"],
            incidents=row["incidents"],
            recurred=row["recurred"],
            openings=openings[row["cause"]],
            before=tuple(told.get(row["cause"], ())[:PRECURSORS_MAX]),
        )
        for row in counted.iter_rows(named=True)
    )


def _cause(what: str, service: str) -> pl.Expr:
    return pl.concat_str(pl.col(what), pl.lit(" on "), pl.col(service))


def _events(events: pl.DataFrame) -> pl.DataFrame:
    """Return events with ``key``, what they are in words, and ``opens``, the cause of the incident that they open.

    Of those that are the same within a minute, the first one stands for all.
    """
    kind = pl.col("kind").replace_strict(KINDS, default=None, return_dtype=pl.String)
    place = pl.when(pl.col("service") == "").then(pl.lit("")).otherwise(pl.lit(" on ") + pl.col("service"))
    return (
        events.sort("seq")
        .with_columns(
            key=(kind + " " + pl.col("what").fill_null("")).str.strip_chars() + place,
            opens=pl.when(pl.col("kind") == "incident_opened").then(_cause("what", "service")),
            minute=pl.col("at").dt.truncate("1m"),
        )
        .unique(["key", "minute"], keep="first", maintain_order=True)
    )


def _precursors(
    trials: pl.DataFrame, events: pl.DataFrame, span: tuple[datetime, datetime]
) -> dict[str, list[Precursor]]:
    """Return what preceded the openings in ``trials``, by cause, the least likely first."""
    near = trials.join_where(
        events,
        pl.col("seq") < pl.col("id"),
        pl.col("at") <= pl.col("opened_at"),
        pl.col("at") > pl.col("opened_at") - WINDOW,
    ).filter(pl.col("opens").is_null() | (pl.col("opens") != pl.col("cause")))
    pairs = (
        near.group_by("cause", "key")
        .agg(pl.col("id").n_unique().alias("seen"))
        .join(trials.group_by("cause").agg(pl.len().alias("of")), on="cause")
        .join(_by_chance(events, span), on="key")
        .sort("cause", "key")
    )
    looked_at = trials["cause"].n_unique() * events["key"].n_unique()
    found: dict[str, list[Precursor]] = {}
    for row in pairs.iter_rows(named=True):
        told = _judged(row, looked_at)
        if told is not None:
            found.setdefault(row["cause"], []).append(told)
    return {cause: sorted(told, key=lambda one: one.chance) for cause, told in found.items()}


def _judged(row: dict[str, Any], looked_at: int) -> Precursor | None:
    """Return what is told of a pair of cause and event, one of so many; None where chance would do."""
    chance = chance_of(row["seen"], row["of"], row["share"])
    if row["seen"] < SEEN_MIN or chance > CHANCE_MAX / looked_at:
        return None
    return Precursor(what=row["key"], seen=row["seen"], expected=row["of"] * row["share"], chance=chance)


def _by_chance(events: pl.DataFrame, span: tuple[datetime, datetime]) -> pl.DataFrame:
    """Return the ``share`` of a span that lies within ``WINDOW`` after an event, by its ``key``."""
    begin, end = span
    until = pl.min_horizontal(
        pl.col("at") + WINDOW, pl.col("at").shift(-1).over("key", order_by="at").fill_null(end), pl.lit(end)
    )
    covered = (until - pl.max_horizontal(pl.col("at"), pl.lit(begin))).dt.total_milliseconds().clip(0)
    whole_ms = max(1, int((end - begin).total_seconds() * 1000))
    return events.with_columns(covered=covered).group_by("key").agg((pl.col("covered").sum() / whole_ms).alias("share"))
