"""Answers of DuckDB as Polars frames that can be printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import count
from typing import Any, Final

import duckdb
import polars as pl
from duckdb.sqltypes import DuckDBPyType

_TIMES: Final = frozenset({"date", *(f"timestamp{unit}" for unit in ("", "_s", "_ms", "_ns", " with time zone"))})
"""By the names that DuckDB has for types, as all below."""
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


def holdable(answer: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Return an answer as a frame can hold it: each column has a name of its own, and a type as ``_held`` says."""
    names, columns = _apart(answer.columns), []
    for place, (name, kind) in enumerate(zip(names, answer.types, strict=True), start=1):
        held = _held(kind)
        columns.append((f"#{place}" if held == str(kind) else f"CAST(#{place} AS {held})") + f" AS {_quoted(name)}")
    if names == answer.columns and not any(column.startswith("CAST") for column in columns):
        return answer
    return answer.project(", ".join(columns))


def _held(kind: DuckDBPyType) -> str:
    """Return the type that a column is given: text where an INTERVAL or a MAP of times is in it, no whole seconds."""
    inside = set(_ids(kind))
    if "interval" in inside or ("map" in inside and inside & _TIMES):
        return "VARCHAR"
    return _in_microseconds(kind) if "timestamp_s" in inside else str(kind)


def _ids(kind: DuckDBPyType) -> Iterator[str]:
    """Yield what a type is and what all types in it are."""
    yield kind.id
    for _, part in _parts(kind):
        yield from _ids(part)


def _parts(kind: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    """Return the types that a type is made of, with the names of a STRUCT's."""
    if kind.id not in {"list", "array", "struct", "map", "union"}:
        return []
    return [(name, part) for name, part in kind.children if isinstance(part, DuckDBPyType)]


def _in_microseconds(kind: DuckDBPyType) -> str:
    """Return a type with TIMESTAMP for each TIMESTAMP_S in it, but for those in a UNION."""
    parts = [(name, _in_microseconds(part)) for name, part in _parts(kind)]
    match kind.id:
        case "timestamp_s":
            return "TIMESTAMP"
        case "list":
            return f"{parts[0][1]}[]"
        case "array":
            return f"{parts[0][1]}[{dict(kind.children)['size']}]"
        case "struct":
            return f"STRUCT({', '.join(f'{_quoted(name)} {part}' for name, part in parts)})"
    return str(kind)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _apart(names: Sequence[str]) -> list[str]:
    """Return names of which none is there twice: a later one gets the next free number, as in ``x_1``."""
    taken, apart = set(names), list[str]()
    for name in names:
        numbered = (f"{name}_{number}" for number in count(1))
        apart.append(next(one for one in numbered if one not in taken) if name in apart else name)
        taken.add(apart[-1])
    return apart
