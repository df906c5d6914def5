"""What `logmend report` tells: in a terminal, as JSON, as a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec

from analytics.outfile import whole
from analytics.report.reading import report as report_of
from analytics.report.told import Cause, Named, Rate, Report
from streams.cli.asking import open_log
from streams.cli.output import print_json, print_table
from streams.settings import Settings
from streams.web.report_page import (
    count_of,
    growth_told,
    interval,
    most,
    nothing,
    page,
    percent,
    preceded,
    seconds,
    span,
    verdict,
)


def tell(since_ms: int, out: Path | None, *, force: bool, as_json: bool) -> None:
    """Print a report of the time since then as text or JSON; with ``out`` write it as a page, instead of the text."""
    now = datetime.now(UTC).replace(tzinfo=None)
    since = datetime(1970, 1, 1) + timedelta(milliseconds=since_ms)  # noqa: DTZ001 - the views' times are UTC without a zone
    with open_log(Settings.load()) as log:
        found = report_of(log, since, now)
    if out is not None:
        with whole(out, force=force) as part:
            part.write_text(page(found), "utf-8")
        click.echo(f"{out}: {out.stat().st_size} bytes", err=True)
    if as_json:
        print_json({"empty": found.empty, **msgspec.to_builtins(found)})
    elif out is None:
        _tell(found)


def _tell(found: Report) -> None:
    click.echo(f"{span(found)}: {found.incidents} incidents, {found.open} of them open")
    if found.empty:
        click.echo(nothing(found))
        return
    _head("Questions")
    print_table(("figure", "value", "of", "95 % interval", "target"), [_rate_row(*one) for one in _rates(found)])
    print_table(("figure", "value"), _figures(found))
    _tell_named("Escalations by status", "status", found.escalations)
    _tell_named("Fixed in", "phase", found.phases)
    _tell_named("Incidents by category", "category", found.categories)
    _tell_named("Error lines by service", "service", found.services)
    _tell_strategies(found)
    _tell_causes(found.causes)


def _head(text: str) -> None:
    click.echo(f"\n{click.style(text, bold=True)}")


def _rates(found: Report) -> Sequence[tuple[str, Rate]]:
    return (
        ("fixed (auto-fix rate)", found.auto_fix),
        ("escalated", found.escalation),
        ("came again within a day", found.recurrence),
        ("needed nothing (false fire)", found.false_fire),
    )


def _rate_row(name: str, one: Rate) -> Sequence[Any]:
    return (name, percent(one.share), count_of(one), interval(one), verdict(one))


def _figures(found: Report) -> Iterable[Sequence[Any]]:
    repair = found.repair
    yield "time to repair, median", seconds(repair.median_seconds)
    yield "time to repair, 95 % within", seconds(repair.p95_seconds)
    yield "learning", growth_told(found.growth)
    yield "most frequent category", most(found.categories)
    yield "service with most error lines", most(found.services)


def _tell_named(title: str, heading: str, rows: Sequence[Named]) -> None:
    if rows:
        _head(title)
        print_table((heading, "count", "share"), [(one.name, one.count, percent(one.share)) for one in rows])


def _tell_strategies(found: Report) -> None:
    if not found.strategies:
        return
    _head("Success by strategy")
    rows = [
        (one.strategy, one.attempts, percent(one.success.share), count_of(one.success), interval(one.success))
        for one in found.strategies
    ]
    print_table(("strategy", "actions", "verified", "of known", "95 % interval"), rows)


def _tell_causes(causes: Sequence[Cause]) -> None:
    if not causes:
        return
    _head("What comes again, and what preceded it")
    rows = [
        (f"{one.pattern} on {one.service}", one.incidents, one.recurred, "; ".join(preceded(one))) for one in causes
    ]
    print_table(("cause", "incidents", "within a day", "in the ten minutes before"), rows)
