"""The commands that measure the detection of anomalies."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import click

from streams.cli.output import json_option, print_json, print_table
from streams.core.errors import InputError

DIRECTORY: Final = click.Path(exists=True, file_okay=False, path_type=Path)
NEEDED: Final = ("numpy", "sklearn", "matplotlib")


def scoring(command: Callable[..., None]) -> click.Command:
    """Make a command of the directory with the data, ``--plot`` and ``--json``."""
    plot = click.option(
        "--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw scores beside labels (png, svg, pdf)."
    )
    return click.command()(click.argument("directory", type=DIRECTORY)(plot(json_option(command))))


@scoring
def nab(**given: Any) -> None:
    r"""Detect anomalies of single series; NAB's standard profile, the threshold chosen on all other series.

    \b
    Example:
      logmend score nab nab
      logmend score nab nab --plot nab.png --json
    """
    _tell("nab", "series", **given)


@scoring
def servers(**given: Any) -> None:
    r"""Detect incidents of servers from all their metrics; PCA, KMeansAD and isolation forest beside it.

    \b
    Example:
      logmend score servers server_metrics
      logmend score servers server_metrics --plot servers.png --json
    """
    _tell("servers", "servers", **given)


@scoring
def faults(**given: Any) -> None:
    r"""Detect faults injected into pods at one false alarm per pod-day; a robust z-score beside it.

    \b
    Example:
      logmend score faults nezha
      logmend score faults nezha --plot faults.png --json
    """
    _tell("faults", "kinds", **given)


def need_packages() -> None:
    """Raise ``InputError`` naming the packages of the dependency group ``evaluation`` that are not installed."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(
            f"{', '.join(missing)} not installed: install the dependency group evaluation of pyproject.toml"
        )


def score_of(what: str, directory: Path, plot: Path | None) -> dict[str, Any]:
    """Return what ``logmend score nab``, ``servers`` or ``faults`` says of a directory; draw into ``plot``."""
    need_packages()
    module = import_module(f"analytics.evaluation.scoring_{what}")
    answer: dict[str, Any] = module.score(directory, plot).as_json()
    return answer


def _tell(what: str, parts: str, *, directory: Path, plot: Path | None, as_json: bool) -> None:
    """Measure, and print the figures, then one row for each of the ``parts``."""
    answer = score_of(what, directory, plot)
    if as_json:
        print_json(answer)
        return
    print_table(("figure", "value"), [(name, _shown(value)) for name, value in answer.items() if name != parts])
    click.echo()
    rows = answer[parts]
    print_table(list(rows[0]), [[_shown(value) for value in row.values()] for row in rows])


def _shown(value: Any) -> str:
    match value:
        case float():
            return f"{value:.3f}"
        case list():
            return " ".join(str(one) for one in value)
    return str(value)
