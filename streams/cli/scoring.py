"""The command that prints all scores in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from streams.cli.output import json_option, print_json, print_table
from streams.cli.watching import need_packages, score_of
from streams.ingest import quiet as quieting
from streams.ingest import replacing
from streams.ingest import score as lines

HEADLINES: Final[dict[str, tuple[str, ...]]] = {
    "lines": (
        "recall_strict",
        "recall_lenient",
        "false_positive_rate",
        "severity_within_one",
        "category_accuracy",
        "macro_f1",
    ),
    "lines, all names replaced": ("recall_strict", "recall_lenient", "false_positive_rate"),
    "quiet": ("lines", "detections", "per_1000"),
    "nab": ("standard", "random_standard", "window_precision", "window_recall", "false_alarms_per_day"),
    "servers": ("vus_pr", "segment_recall", "false_alarms_per_server_day", "delay_steps_median"),
    "faults": ("recall_at_1_per_pod_day", "delay_minutes_median"),
    "run-to-failure": (
        "recall",
        "precision",
        "false_positive_rate",
        "pr_auc",
        "base_rate",
        "brier",
        "brier_base",
        "lead_cycles_median",
    ),
    "wear": (
        "accuracy",
        "always_no_accuracy",
        "false_positive_rate",
        "recall",
        "brier",
        "brier_base",
        "lead_seconds_median",
        "vectors_to_85",
    ),
}
"""What is shown of each score; ``--json`` prints all of it."""


@click.command("all")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@json_option
def everything(directory: Path, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Measure everything that DIRECTORY has labelled data for, in one table; takes some minutes.

    \b
    It looks for classification.jsonl, fpr/, nab/, server_metrics/, nezha/, run_to_failure/ and wear.jsonl.gz.

    \b
    Example:
      logmend score all data
      logmend score all data --json
    """
    need_packages()
    found: dict[str, Any] = {}
    for name, measure in _measures(directory):
        if measure is None:
            click.echo(f"{name}: no data", err=True)
            continue
        click.echo(f"{name} ...", err=True)
        found[name] = measure()
    if as_json:
        print_json(found)
        return
    rows = [(name, figure, _shown(found[name][figure])) for name in found for figure in HEADLINES[name]]
    print_table(("score", "figure", "value"), rows)


def _measures(directory: Path) -> Iterator[tuple[str, Callable[[], Any] | None]]:
    """Yield each score's name, and how to make it where there is data for it."""
    labelled, benign = directory / "classification.jsonl", sorted((directory / "fpr").glob("*"))
    for name, change in (("lines", None), ("lines, all names replaced", replacing.replaced)):
        yield name, partial(_lines, labelled, change) if labelled.exists() else None
    yield "quiet", partial(_quiet, benign) if benign else None
    for name, part in (("nab", "nab"), ("servers", "server_metrics"), ("faults", "nezha")):
        at = directory / part
        yield name, partial(score_of, name, at, None) if at.exists() else None
    engines = directory / "run_to_failure"
    yield "run-to-failure", partial(_engines, engines) if engines.exists() else None
    worn = directory / "wear.jsonl.gz"
    yield "wear", partial(_wear, worn) if worn.exists() else None


def _lines(file: Path, change: Callable[[str], str] | None) -> Any:
    return lines.lines(file, change=change).as_json()


def _quiet(files: list[Path]) -> Any:
    return quieting.quiet(files, {}).as_json()


def _engines(directory: Path) -> Any:
    from analytics.evaluation.run_to_failure import score  # noqa: PLC0415 - needs a dependency group of its own

    return score(directory, None, None).as_json()


def _wear(file: Path) -> Any:
    from analytics.evaluation.wear import score  # noqa: PLC0415 - it loads the whole core

    return msgspec.to_builtins(score(file))


def _shown(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
