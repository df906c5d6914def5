"""Pictures of a report, as coordinates of SVG that is stretched to any width: no text is in them, it stands beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

HEIGHT: Final = 100.0
GAP: Final = 0.15
"""Of a column's place stays free on both sides together."""


class Bar(Struct, frozen=True, kw_only=True):
    """A rectangle, in the picture's units."""

    x: str
    y: str
    width: str
    height: str
    tone: str


class Columns(Struct, frozen=True, kw_only=True):
    """Stacked columns, one unit wide each and 100 high; ``top`` is the count that 100 stands for."""

    width: int
    top: int
    bars: tuple[Bar, ...]


class Line(Struct, frozen=True, kw_only=True):
    """A line through steps, one unit wide each and 100 high; ``top`` is the count that 100 stands for."""

    width: int
    top: int
    points: str


def columns(rows: Sequence[Sequence[int]], tones: Sequence[str]) -> Columns:
    """Return columns of counts, a row a column, from the bottom upwards in the order of ``tones``."""
    top = max([1, *(sum(row) for row in rows)])
    bars = []
    for place, row in enumerate(rows):
        above = 0
        for count, tone in zip(row, tones, strict=True):
            above += count
            if count:
                bars.append(
                    Bar(
                        x=f"{place + GAP / 2:.3f}",
                        y=f"{HEIGHT * (1 - above / top):.2f}",
                        width=f"{1 - GAP:.3f}",
                        height=f"{HEIGHT * count / top:.2f}",
                        tone=tone,
                    )
                )
    return Columns(width=max(1, len(rows)), top=top, bars=tuple(bars))


def steps(counts: Sequence[int]) -> Line:
    """Return a line that keeps each count for the width of one unit."""
    top = max([1, *counts])
    heights = [f"{HEIGHT * (1 - count / top):.2f}" for count in counts]
    points = [f"{place},{height} {place + 1},{height}" for place, height in enumerate(heights)]
    return Line(width=max(1, len(counts)), top=top, points=" ".join(points))
