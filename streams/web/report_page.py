"""A report as one page that asks nobody for anything, and the words that it and the terminal use."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from markupsafe import Markup

from analytics.report.told import Bucket, Cause, Growth, Named, Rate, Report
from streams.web.plots import columns, steps
from streams.web.screens import ROOM, environment
from streams.web.shown import figure, spoken

STYLES: Final = ("logmend.css", "report.css")
MINUTE_S: Final = 60.0
ROWS_MAX: Final = 12
"""Of names with counts, these many are shown; how many more there are is said."""
ASKED: Final = (
    "FROM auto_fix_rate(days := 7)",
    "FROM escalation_rate(days := 7)",
    "FROM phase_breakdown(days := 7)",
    "FROM learning_growth()",
)
"""The four questions, as macros of the event log."""


def page(report: Report) -> str:
    """Return a report as HTML: one file, without script, that loads nothing (its policy forbids it to)."""
    style = "\n".join((ROOM / "static" / name).read_text("utf-8") for name in STYLES)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    buckets = report.over_time
    return (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            style=Markup(style),  # noqa: S704 - our own files
            style_sha256=digest,
            incidents=columns([(one.fixed, one.not_fixed, one.open) for one in buckets], ("good", "bad", "calm")),
            outcomes=columns([(one.successes, one.failures) for one in buckets], ("good", "bad")),
            known=steps([one.fixes_known for one in buckets]),
            axis=axis(buckets, report.until_at),
            asked=ASKED,
            rows_max=ROWS_MAX,
            count_of=count_of,
            growth_told=growth_told,
            interval=interval,
            minute=minute,
            most=most,
            nothing=nothing,
            percent=percent,
            preceded=preceded,
            seconds=seconds,
            span=span,
            tone=tone,
            verdict=verdict,
            widest=widest,
        )
    )


def minute(moment: datetime) -> str:
    """Return a time for people, to the minute."""
    return moment.strftime("%Y-%m-%d %H:%M")


def span(report: Report) -> str:
    """Return of what time a report tells."""
    begin = "the beginning" if report.since_at.year <= 1970 else minute(report.since_at)
    return f"From {begin} to {minute(report.until_at)} UTC"


def nothing(report: Report) -> str:
    """Return what to say of a span in which nothing happened."""
    if report.newest_at is None:
        return "The event log is empty: nothing was ever decided here. Run logmend demo or logmend up."
    newest = f"The newest decision of the log is of {minute(report.newest_at)} UTC; --since looks farther back."
    if report.since_at > report.until_at:
        return f"That time is still to come: nothing can have happened in it. {newest}"
    return f"Nothing happened in that time: no incident, no error line, no action. {newest}"


def percent(share: float | None) -> str:
    """Return a share of 1 in percent, with one decimal."""
    return "none yet" if share is None else f"{share * 100:.1f} %"


def count_of(one: Rate) -> str:
    """Return how many of how many."""
    return f"{one.count} of {one.of}"


def interval(one: Rate) -> str:
    """Return the 95 % interval of a rate in percent; nothing where there is none."""
    return "" if one.low is None or one.high is None else f"{one.low * 100:.1f} to {one.high * 100:.1f} %"


def verdict(one: Rate) -> str:
    """Return a rate's target and whether it is met: a target above one half is a least, one below it a most."""
    if one.target is None:
        return ""
    asked = f"{'at least' if one.target > 0.5 else 'at most'} {one.target * 100:.0f} %"
    return asked if one.share is None else f"{asked}: {'met' if _met(one) else 'missed'}"


def tone(one: Rate) -> str:
    """Return the colour of a rate that has a target."""
    return "" if one.target is None or one.share is None else "good" if _met(one) else "bad"


def _met(one: Rate) -> bool:
    share, target = one.share or 0.0, one.target or 0.0
    return share >= target if target > 0.5 else share <= target


def seconds(value: float | None) -> str:
    """Return how long something took."""
    if value is None:
        return "none yet"
    return f"{value:.1f} s" if value < MINUTE_S else spoken(value * 1000)


def growth_told(growth: Growth) -> str:
    """Return what is known of fixes, in a sentence."""
    known = f"{growth.total_patterns} fixes known"
    if growth.avg_success_rate is None:
        return f"{known}, none tried yet"
    each = f"{figure(growth.avg_successes)} successes in {figure(growth.avg_attempts)} attempts each on average"
    return f"{known}, {each}; those that were tried help in {growth.avg_success_rate:.1f} %"


def most(rows: Sequence[Named]) -> str:
    """Return the first of some names with its share; they are sorted."""
    return f"{rows[0].name}, {percent(rows[0].share)}" if rows else "none yet"


def widest(rows: Sequence[Named]) -> int:
    """Return the largest count of some rows, at least 1."""
    return max([1, *(one.count for one in rows)])


def preceded(cause: Cause) -> list[str]:
    """Return what preceded a cause, a sentence each; one that says so when nothing stands out."""
    if not cause.before:
        return ["nothing more often than by chance"]
    return [
        f"{one.what}: before {one.seen} of {cause.openings} (by chance {figure(one.expected)}, p = {one.chance:.2g})"
        for one in cause.before
    ]


def axis(buckets: Sequence[Bucket], until: datetime) -> tuple[str, str, str]:
    """Return where the pictures over time begin and end, and how long each of their columns is, in words."""
    begin = buckets[0].begin_at
    step = buckets[1].begin_at - begin if len(buckets) > 1 else max(until - begin, timedelta(minutes=1))
    return minute(begin), minute(until), spoken(step.total_seconds() * 1000)
