"""Where a measurement leaves what it found: all figures as JSON, and a plot beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(directory: Path, name: str, found: object, plot: Callable[[Figure], None], size: tuple[float, float]) -> None:
    """Write ``found`` to ``name.json``, and to ``name.png`` what ``plot`` draws on a figure (``size`` in inches).

    Says what to install when there is nothing to plot with.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - only who asks for a plot needs it
    except ImportError:
        print('no plot: pip install "matplotlib>=3.10"')
        return
    figure = Figure(figsize=size, layout="constrained")
    plot(figure)
    figure.savefig(directory / f"{name}.png", dpi=110)
