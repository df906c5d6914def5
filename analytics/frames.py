"""Answers of DuckDB as Polars frames that can be printed."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

import polars as pl

_DAY_S: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()
_FIRST_DAY: Final = date.min.toordinal() - _EPOCH
_LAST_DAY: Final = date.max.toordinal() - _EPOCH
_A_SECOND: Final = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def frame_of(arrow: Any) -> pl.DataFrame:
    """Return an Arrow table or batch as a frame; times that no calendar has, such as infinity, are NULL in it.

    Polars panics when it is asked for one outside of the years 1 to 9999.
    """
    frame = pl.DataFrame(pl.from_arrow(arrow))
    return frame.with_columns(
        _in_calendar(pl.col(name), kind).alias(name) for name, kind in frame.schema.items() if _has_times(kind)
    )


def _has_times(kind: Any) -> bool:
    """Tell whether values of a type are times, or have some in them."""
    if isinstance(kind, pl.List | pl.Array):
        return _has_times(kind.inner)
    if isinstance(kind, pl.Struct):
        return any(_has_times(field.dtype) for field in kind.fields)
    return isinstance(kind, pl.Datetime) or kind == pl.Date


def _in_calendar(value: pl.Expr, kind: Any) -> pl.Expr:
    """Return a value with NULL for each time in it that is outside of the years 1 to 9999."""
    if not _has_times(kind):
        return value
    if isinstance(kind, pl.List):
        return value.list.eval(_in_calendar(pl.element(), kind.inner))
    if isinstance(kind, pl.Array):
        return value.arr.eval(_in_calendar(pl.element(), kind.inner))
    if isinstance(kind, pl.Struct):
        fields = (_in_calendar(pl.field(one.name), one.dtype).alias(one.name) for one in kind.fields)
        return value.struct.with_fields(*fields)
    day = _DAY_S * _A_SECOND[kind.time_unit] if isinstance(kind, pl.Datetime) else 1
    return pl.when(value.to_physical().is_between(_FIRST_DAY * day, (_LAST_DAY + 1) * day, closed="left")).then(value)
