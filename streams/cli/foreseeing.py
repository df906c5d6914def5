"""The commands that measure forecasts of failures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from streams.cli.output import json_option, print_json, print_table
from streams.cli.watching import need_packages

if TYPE_CHECKING:
    from analytics.evaluation.run_to_failure import Foreseen

DIRECTORY: Final = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("run-to-failure")
@click.argument("directory", type=DIRECTORY)
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw calibration and PR (png, svg, pdf)."
)
@click.option("--control", type=DIRECTORY, help="Pods with injected faults; else the directory nezha beside DIRECTORY.")
@json_option
def run_to_failure(directory: Path, plot: Path | None, control: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Forecast engines' failures 15 to 30 cycles ahead, each by engines that it was not learnt from.

    \b
    Example:
      logmend score run-to-failure run_to_failure
      logmend score run-to-failure run_to_failure --plot calibration.svg --json
    """
    need_packages()
    from analytics.evaluation.run_to_failure import score  # noqa: PLC0415 - needs a dependency group of its own

    found = score(directory, control, plot)
    if as_json:
        print_json(found.as_json())
        return
    _tell(found)


def _tell(found: Foreseen) -> None:
    names = found.overall.__struct_fields__
    folds = [[getattr(fold, name) for fold in found.folds] for name in names]
    rows = [
        (name, _figure(getattr(found.overall, name)), _figure(min(spread)), _figure(max(spread)))
        for name, spread in zip(names, folds, strict=True)
    ]
    click.echo(
        f"{found.engines} engines, {found.cycles} scored cycles, {found.engines_unwarned} engines without an alarm"
    )
    print_table(("figure", "all engines", "least of a fold", "most of a fold"), rows)
    click.echo()
    accuracy = f"accuracy {found.always_no_accuracy:.3f}"
    beside: list[tuple[str, ...]] = [("always no", "0", "-", "0", _figure(found.overall.base_rate), accuracy)]
    for name, one in (("best single sensor", found.single_sensor), ("the same, smoothed", found.smoothed_sensor)):
        figures = (one.recall, one.precision, one.false_positive_rate, one.pr_auc)
        beside.append((name, *map(_figure, figures), f"lead {one.lead_cycles_median:.1f}"))
    print_table(("baseline", "recall", "precision", "false positives", "PR-AUC", ""), beside)
    click.echo()
    bins = [(one.cycles, _figure(one.said), _figure(one.happened)) for one in found.calibration]
    print_table(("cycles", "probability said", "share that failed"), bins)
    click.echo()
    control = found.control
    if control is None:
        click.echo("negative control: no directory of pods with injected faults")
        return
    click.echo(
        f"negative control, forecasting {control.injections} injections from {control.minutes} quiet minutes: "
        f"{'at' if control.at_chance else 'ABOVE'} chance, AUC {control.auc:.3f} "
        f"(moved injections: {control.chance_low:.3f} to {control.chance_high:.3f})"
    )


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def wear(file: Path, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Predict failures 30 s ahead on recorded runs of services that wear out, each by runs it was not learnt from.

    \b
    Example:
      logmend score wear wear.jsonl.gz
      logmend score wear wear.jsonl.gz --json
    """
    from analytics.evaluation.wear import score  # noqa: PLC0415 - it loads the whole core

    found = msgspec.to_builtins(score(file))
    if as_json:
        print_json(found)
        return
    warned = found.pop("warned")
    rows = [*found.items(), *((f"warned {name}", share) for name, share in warned.items())]
    print_table(("figure", "value"), [(name, _figure(value)) for name, value in rows])


def _figure(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.4f}" if value < 1 else f"{value:.1f}"
