"""Labelled series from disk: NAB's series, servers' metrics, pods with injected faults. Layouts: the room's README."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from streams.core.errors import InputError

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

DAY_MS: Final = 86_400_000
STEP_MS: Final = {"omi": 300_000, "machine": 60_000}
"""Time between two rows of a server, by the part of its name before the first hyphen."""
DEFAULT_STEP_MS: Final = 60_000
POD_METRICS: Final = (
    "CpuUsageRate(%)",
    "MemoryUsageRate(%)",
    "SyscallRead",
    "SyscallWrite",
    "NetworkReceiveBytes",
    "NetworkTransmitBytes",
    "PodServerLatencyP90(s)",
    "PodServerLatencyP99(s)",
    "PodWorkload(Ops)",
)
"""What is measured of a pod itself; the success rate is constant, and what the node does is shared by its pods."""


class Series(NamedTuple):
    """One labelled series: times in ms (ascending), values, and windows as (first ms, last ms), both inclusive."""

    name: str
    at_ms: Times
    values: Floats
    windows: tuple[tuple[int, int], ...]


class Server(NamedTuple):
    """One server: rows are time steps, columns metrics; a flag per test row says whether operators saw an incident."""

    name: str
    step_ms: int
    train: Floats
    test: Floats
    label: Flags


class Fault(NamedTuple):
    """One injected fault."""

    at_ms: int
    pod: str
    kind: str


class Pod(NamedTuple):
    """What was measured of one pod: times in ms (ascending), rows of ``POD_METRICS``; NaN where nothing was."""

    name: str
    at_ms: Times
    values: Floats


class Day(NamedTuple):
    """One day of a shop of micro-services, and what was injected into it."""

    name: str
    pods: tuple[Pod, ...]
    faults: tuple[Fault, ...]


def instant_ms(text: str) -> int:
    """Return a time like ``2014-04-10 07:15:00[.000000]`` (UTC) in ms since 1970; ``InputError`` for another text."""
    try:
        return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError as error:
        raise InputError(f"no time: {text!r}; expected one like 2014-04-10 07:15:00") from error


def nab(directory: Path) -> list[Series]:
    """Read every ``<group>/<name>.csv.gz`` (timestamp, value) that ``windows.json`` names, in its order."""
    windows: dict[str, list[list[str]]] = read_json(directory / "windows.json")
    series = []
    for name, spans in windows.items():
        rows = table(directory / f"{name}.gz")
        at_ms = np.array([instant_ms(text) for text in rows["timestamp"]], dtype=np.int64)
        labelled = tuple((instant_ms(first), instant_ms(last)) for first, last in spans)
        series.append(Series(name, at_ms, floats(rows, ["value"])[:, 0], labelled))
    return series


def servers(directory: Path) -> list[Server]:
    """Read every ``<name>_{train,test,label}.csv.gz`` (no header) of a directory, by name."""
    found = []
    for path in named(directory, "*_test.csv.gz"):
        name = path.name.removesuffix("_test.csv.gz")
        train, test, label = (_matrix(directory / f"{name}_{part}.csv.gz") for part in ("train", "test", "label"))
        if len(label) != len(test):
            raise InputError(f"{path}: {len(test)} rows, but {len(label)} labels")
        step_ms = STEP_MS.get(name.partition("-")[0], DEFAULT_STEP_MS)
        found.append(Server(name, step_ms, train, test, label[:, 0] > 0))
    return found


def days(directory: Path) -> list[Day]:
    """Read every ``<day>_faults.csv.gz`` with its ``<day>_fault_list.json``; joined on the readable time."""
    return [_day(path) for path in named(directory, "*_faults.csv.gz")]


def _day(path: Path) -> Day:
    name = path.name.removesuffix("_faults.csv.gz")
    rows = table(path).sort("Time", maintain_order=True)
    pods = []
    for pod in sorted(set(rows["PodName"])):
        own = rows.filter(pl.col("PodName") == pod)
        at_ms = np.array([instant_ms(text) for text in own["Time"]], dtype=np.int64)
        pods.append(Pod(pod, at_ms, floats(own, POD_METRICS)))
    listed: list[dict[str, str]] = read_json(path.with_name(f"{name}_fault_list.json"))
    faults = [Fault(instant_ms(one["inject_time"]), one["inject_pod"], one["inject_type"]) for one in listed]
    return Day(name, tuple(pods), tuple(faults))


def named(directory: Path, pattern: str) -> list[Path]:
    """Return the files of a directory that match, by name; ``InputError`` when there are none."""
    found = sorted(directory.glob(pattern))
    if not found:
        raise InputError(f"{directory}: no file {pattern}")
    return found


def table(path: Path, *, header: bool = True, separator: str = ",") -> pl.DataFrame:
    """Read a file of separated values, gzip or not, each column as text."""
    content = _bytes(path)
    return pl.read_csv(content, has_header=header, separator=separator, infer_schema=False)


def floats(rows: pl.DataFrame, columns: Iterable[str]) -> Floats:
    """Return columns as numbers, a row each; what is no number is NaN."""
    chosen = rows.select(pl.col(name).cast(pl.Float64, strict=False).fill_null(float("nan")) for name in columns)
    return np.ascontiguousarray(chosen.to_numpy(), dtype=np.float64)


def read_json(path: Path) -> Any:
    """Read a JSON document."""
    try:
        return json.loads(_bytes(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: no JSON: {error}") from error


def _matrix(path: Path) -> Floats:
    rows = table(path, header=False)
    return floats(rows, rows.columns)


def _bytes(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
