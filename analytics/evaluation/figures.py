"""Plots of scores beside labels, written to a file; the format follows from its name (png, svg, pdf)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from analytics.evaluation.data import Flags, Floats
from streams.core.errors import InputError

WIDTH_INCHES = 12.0
PANEL_INCHES = 1.6


class Panel(NamedTuple):
    """One series of a plot: values, the score beside it (0..1), which rows are labelled, and which raised an alarm."""

    title: str
    values: Floats
    score: Floats
    labelled: Flags
    alarms: Flags


def save_panels(path: Path, panels: Sequence[Panel]) -> None:
    """Draw each panel below the other: values grey, score blue, labelled spans shaded, alarms as red marks."""
    figure = Figure(figsize=(WIDTH_INCHES, PANEL_INCHES * max(len(panels), 1)), layout="constrained")
    for axes, panel in zip(figure.subplots(max(len(panels), 1), 1, squeeze=False)[:, 0], panels, strict=False):
        steps = np.arange(len(panel.values))
        axes.plot(steps, panel.values, color="0.6", linewidth=0.6)
        axes.set_title(panel.title, fontsize=8)
        axes.tick_params(labelsize=6)
        beside = axes.twinx()
        beside.plot(steps, panel.score, color="tab:blue", linewidth=0.6)
        beside.set_ylim(0, 1.05)
        beside.tick_params(labelsize=6)
        beside.fill_between(steps, 0, 1, where=panel.labelled.tolist(), color="tab:orange", alpha=0.3, linewidth=0)
        beside.plot(steps[panel.alarms], np.ones(int(panel.alarms.sum())), "rv", markersize=4)
    save(path, figure)


def save(path: Path, figure: Figure) -> None:
    """Write a figure; ``InputError`` when the name has no known format or the place can't be written."""
    try:
        figure.savefig(path, dpi=110)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: {error}") from error
