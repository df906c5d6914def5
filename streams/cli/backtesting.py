"""What would have been decided under a changed policy, and what that would have been worth."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import msgspec

from analytics.backtest.bootstrap import Interval
from analytics.backtest.differing import WORDED, Differing, Said
from analytics.backtest.estimates import Effect
from analytics.backtest.run import Backtest, Candidate
from analytics.backtest.run import backtest as tried
from streams.catalogue import strategies
from streams.cli import files
from streams.cli.home import log_directory
from streams.cli.output import json_option, print_json, print_table
from streams.cli.times import since_option
from streams.core.fold import Fold
from streams.settings import Settings

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
SHOWN_MAX: Final = 50


@click.command()
@click.option("--policy", "file", type=FILE, required=True, help="The TOML file, as `logmend apply` takes it.")
@since_option
@json_option
def backtest(file: Path, since_ms: int, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Fold the recorded facts again with FILE in force, and show every decision that would differ.

    FILE is a policy, rules, an inventory or lessons. The first differing decision of each incident is exact; those
    after it rest on what followed from what was really done (downstream). From choices that the log made by chance
    follows what the others would have been worth; where it can't be known, that is said.

    \b
    Example:
      logmend backtest --policy policy.toml
      logmend backtest --policy policy.toml --since 7d --json
    """
    value = files.read_checked(file)
    candidate = Candidate.of(files.kind_of(value), value)
    found = tried(log_directory(Settings.load()), lambda: Fold.new(strategies()), candidate, since_ms=since_ms)
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _tell(found)


def _tell(found: Backtest) -> None:
    exact = [one for one in found.differing if not one.downstream]
    headings = ("time", "incident", "service", "recorded", f"with this {found.kind}", "why")
    print_table(headings, [_row(one) for one in exact[:SHOWN_MAX]])
    if len(exact) > SHOWN_MAX:
        click.echo(f"... and {found.counts.differing - SHOWN_MAX} more: see --json")
    counts = found.counts
    click.echo(
        f"{counts.differing} of {counts.decisions} decisions differ ({found.share_differing:.2%}), in "
        f"{counts.incidents_differing} of {counts.incidents} incidents; {counts.downstream} more are downstream of "
        f"these, {counts.other_figures} are the same for other figures"
    )
    _tell_effect(found.effect, found.unsettled)
    for note in found.notes:
        click.echo(f"note: {note}")


def _row(one: Differing) -> tuple[str, ...]:
    at = datetime.fromtimestamp(one.append_ms / 1000, UTC).isoformat(sep=" ", timespec="seconds")
    return at, one.incident, one.service, _said(one.recorded), _said(one.candidate), one.why


def _said(one: Said | None) -> str:
    if one is None:
        return "-"
    reason = f"({one.reason})" if one.reason and one.kind not in WORDED else ""
    return " ".join(part for part in (one.kind, one.action or one.strategy, reason) if part)


def _tell_effect(effect: Effect, unsettled: int) -> None:
    known = f"of {effect.draws} with a known outcome ({unsettled} without)"
    if effect.logged_share is None:
        click.echo(f"verified success: no choice counts, {known}")
    else:
        click.echo(
            f"verified success: {effect.logged_share:.1%} of {effect.counted} choices that count, {known}; "
            f"the candidate's differ in {effect.changed}"
        )
    if effect.changed and effect.estimates:
        click.echo(
            f"effective sample size {effect.effective:.0f}; the {effect.moved} in which it chooses otherwise are worth "
            f"{effect.worth:.0f} of its own; largest weight {effect.weight_max:.3g}"
        )
        rows = [
            (name.upper(), _interval(one.share), _interval(one.effect, "+")) for name, one in effect.estimates.items()
        ]
        print_table(("estimate", "with it (95 %)", "effect (95 %)"), rows)
    for flag in effect.flags:
        click.echo(f"warning: {flag}")


def _interval(one: Interval, sign: str = "") -> str:
    return f"{one.value:{sign}.1%} [{one.low:{sign}.1%}, {one.high:{sign}.1%}]"
