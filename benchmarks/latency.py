"""D7: how long a critical line takes to become a command, at a steady rate of lines, by the broker's own stamps.

Everything that ``logmend up`` runs runs here, as processes of their own beside an embedded broker: detect, decide,
dispatch, the pool with its workers, host, event log, web, advice. Lines come at ``--rate`` a second in four partitions
(W1's lines, of which 6 % match a pattern; their 64 services are in no inventory, so these are decided on and not acted
on). Among them, at moments drawn at random, are critical ones: one line each, of a service in mode auto that is healed
by an HTTP call which the pool makes and a server here answers.

What is measured, for each critical line: from the stamp that the broker gave it to the stamp of its command
(``LogAppendTime``, one clock, milliseconds); found by the command's header (its decision), the decision's causes (the
line) and its facts offset (the slice). Parts: line to slice (shipped, fetched, matched, acknowledged), slice to
decision, decision to command.

So that each line has a command, each is of a service of its own: one line, one incident, one command; no cool-down, no
budget of a service and no incident that is open already may swallow it. What remains is lifted by the applied policy:
the budget of all commands an hour (60 by default), the blast radius and the breaker. Everything else is the default.
With 10 a second the fold holds hundreds of incidents before the end, which no real fleet has: that cost is in the
figures. The first seconds are warm-up, at the same rate, and not counted.

    python -m benchmarks.latency                        60 s at 10 000 lines a second
    python -m benchmarks.latency --seconds 30 --out results
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import psutil
from msgspec import Struct

from benchmarks.plots import save
from benchmarks.recovery import HOST, serving
from benchmarks.steady import Appended, Plan, producing, send
from streams.agents.dispatch import DECISIONS_OFFSET
from streams.codec import decode_command, decode_decision, decode_fact, encode
from streams.core.config import Config, Inventory, Policy, canonical, sha256
from streams.core.events import ConfigApplied, Coordinate, Decision, Slice
from streams.core.inventory import ServiceSpec
from streams.core.slices import Ledger, Verdict
from streams.ports import Outgoing, Record, TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.kafka import KafkaLog
from streams.runtime.supervisor import ROLES
from streams.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATE: Final = 10_000
SECONDS: Final = 60.0
WARM_SECONDS: Final = 5.0
CRITICAL_PER_SECOND: Final = 10.0
P99_MS_MAX: Final = 50.0
UP: Final = (*ROLES, "web", "advise")
"""What ``logmend up`` runs."""
WAIT_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.2
PARTS: Final = ("line to slice", "slice to decision", "decision to command", "total")


class Quantiles(Struct, frozen=True):
    """Milliseconds of one part of the way."""

    p50: float
    p99: float
    p999: float
    max: float


class Way(Struct, frozen=True):
    """The way of one critical line, by broker stamps (ms since 1970)."""

    service: str
    appended_ms: int
    slice_ms: int
    decided_ms: int
    commanded_ms: int

    def parts(self) -> tuple[int, ...]:
        """Return milliseconds in the order of ``PARTS``."""
        return (
            self.slice_ms - self.appended_ms,
            self.decided_ms - self.slice_ms,
            self.commanded_ms - self.decided_ms,
            self.commanded_ms - self.appended_ms,
        )


class Result(Struct, frozen=True, kw_only=True):
    """What was measured. ``critical`` lines are those after the warm-up; ``swallowed`` ones got no command of theirs.

    ``processors`` is the share of one processor that each process takes while lines come, its children with it.
    """

    lines: int
    lines_in_slices: int
    lines_per_second: int
    sender_late_ms: float
    critical: int
    swallowed: int
    parts: dict[str, Quantiles]
    processors: dict[str, float]
    load_average: float

    @property
    def whole(self) -> bool:
        """Whether every line is in a slice, and every critical one has its command."""
        return self.lines == self.lines_in_slices and not self.swallowed

    @property
    def kept(self) -> bool:
        """Whether the limit of the specification holds, and what was counted is all there was."""
        return self.whole and self.parts["total"].p99 < P99_MS_MAX


def quantiles(milliseconds: Sequence[float]) -> Quantiles:
    """Return the quantiles of durations: the smallest value that so many are at most, never one between two."""
    ordered = sorted(milliseconds) or [0.0]

    def at(share: float) -> float:
        return float(ordered[min(int(share * len(ordered)), len(ordered) - 1)])

    return Quantiles(at(0.5), at(0.99), at(0.999), float(ordered[-1]))


# ------------------------------------------------------------------------------------------------- what is applied


def policy() -> Policy:
    """Return the default policy without what counts over all services: here they break by the second."""
    return Policy(budget_total=10**6, blast_radius_share=1.0, breaker_failures=10**6)


def inventory(names: Sequence[str], address: str) -> Inventory:
    """Return services that are healed by an HTTP call."""
    return Inventory(
        services=tuple(
            ServiceSpec(
                name=name, host=HOST, type="http", mode="auto", base_url=address, calls={"restart": "POST /restart"}
            )
            for name in names
        )
    )


async def apply(log: KafkaLog, settings: Settings, *values: Config) -> None:
    """Apply policy and inventory as people do; return when they are in force."""
    for value in values:
        body = canonical(value)
        kind = type(value).__name__.lower()
        event = ConfigApplied(kind=kind, sha256=sha256(body), author="benchmark", body=body)
        await log.append([Outgoing(settings.topics.inbox_people, encode(event))])
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        missing = len(values)
        while missing > 0:
            await asyncio.sleep(LOOK_SECONDS)
            missing = len(values) - sum(one.kind == "config_applied" for one in await decisions(log, settings))


@asynccontextmanager
async def healer() -> AsyncIterator[str]:
    """Yield the address of a server that answers every call with 204."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


# ------------------------------------------------------------------------------------------------------- what is read


async def records(log: KafkaLog, topic: str, start: int = 0) -> list[Record]:
    """Read a topic of one partition from an offset to its end."""
    where, found = TopicPartition(topic, 0), list[Record]()
    _, end = await log.bounds(where)
    while start < end and (read := await log.read(where, start, end)):
        found += read
        start = read[-1].offset + 1
    return found


async def decisions(log: KafkaLog, settings: Settings) -> list[Decision]:
    """Read all decisions."""
    return [decode_decision(record.value or b"") for record in await records(log, settings.topics.decisions)]


async def lines_in_slices(log: KafkaLog, settings: Settings, enough: int) -> int:
    """Count the lines of the accepted slices of ``logs`` until there are enough, or no more come for a while."""
    ledger, position, lines, deadline = Ledger(), 0, 0, time.monotonic() + WAIT_SECONDS_MAX
    while lines < enough and time.monotonic() < deadline:
        for record in await records(log, settings.topics.facts, position):
            position = record.offset + 1
            fact = decode_fact(record.value or b"")
            if ledger.judge(fact) is Verdict.ACCEPTED and isinstance(fact, Slice) and fact.source in settings.logs:
                lines += fact.lines
        await asyncio.sleep(LOOK_SECONDS)
    return lines


async def ways(log: KafkaLog, settings: Settings, critical: Mapping[str, Appended]) -> list[Way]:
    """Return the way of each critical line that has a command; ``SystemExit`` when a command is of another line."""
    topics = settings.topics
    facts_ms = {record.offset: record.timestamp for record in await records(log, topics.facts)}
    decided = {record.offset: record for record in await records(log, topics.decisions)}
    found: dict[str, Way] = {}
    for record in await records(log, topics.commands):
        service = decode_command(record.value or b"").service
        if service not in critical or service in found:
            continue
        line, of = critical[service], decided[int(dict(record.headers)[DECISIONS_OFFSET])]
        decision = decode_decision(of.value or b"")
        stood = Coordinate(topic=settings.logs[0], partition=line.partition, offset=line.offset, index=0)
        if decision.causes != (stood,):
            raise SystemExit(f"the command for {service} comes of {decision.causes}, its line is {stood}")
        found[service] = Way(service, line.at_ms, facts_ms[decision.facts_offset], of.timestamp, record.timestamp)
    return list(found.values())


# ---------------------------------------------------------------------------------------------------------- measuring


def spent(settings: Settings) -> dict[str, float]:
    """Return the seconds of processor time that each process of a data directory took so far, and this one."""
    pids = {file.stem: json.loads(file.read_bytes())["pid"] for file in (settings.data_dir / "run").glob("*.json")}
    return {name: _seconds(psutil.Process(pid)) for name, pid in {**pids, "sender": os.getpid()}.items()}


def _seconds(process: psutil.Process) -> float:
    everybody = [process] if process.pid == os.getpid() else [process, *process.children(recursive=True)]
    times = [one.cpu_times() for one in everybody]
    return sum(one.user + one.system for one in times)


async def run(
    settings: Settings, rate: int, seconds: float, critical: int, warm_seconds: float
) -> tuple[Result, list[Way]]:
    """Measure on a broker and processes that run already; the topics are new."""
    names = [f"critical-{number:05}" for number in range(critical + round(critical * warm_seconds / seconds))]
    async with KafkaLog(settings) as log, healer() as address, producing(settings.brokers) as producer:
        await apply(log, settings, policy(), inventory(names, address))
        topic, partitions = settings.logs[0], settings.source_partitions
        warm = await send(
            producer, topic, Plan(rate, warm_seconds, partitions, len(names) - critical), names[critical:]
        )
        before = spent(settings)
        sent = await send(producer, topic, Plan(rate, seconds, partitions, critical), names)
        after, load = spent(settings), os.getloadavg()[0]
        counted = await lines_in_slices(log, settings, warm.lines + sent.lines) - warm.lines
        found = await _all_ways(log, settings, sent.critical)
    columns = zip(*(way.parts() for way in found), strict=True) if found else ((),) * len(PARTS)
    result = Result(
        lines=sent.lines,
        lines_in_slices=counted,
        lines_per_second=round(sent.lines / sent.seconds),
        sender_late_ms=round(sent.late_ms, 1),
        critical=len(sent.critical),
        swallowed=len(sent.critical) - len(found),
        parts={name: quantiles(column) for name, column in zip(PARTS, columns, strict=True)},
        processors={name: round((after[name] - before[name]) / sent.seconds, 3) for name in before},
        load_average=round(load, 2),
    )
    return result, found


async def _all_ways(log: KafkaLog, settings: Settings, critical: Mapping[str, Appended]) -> list[Way]:
    """Return the ways once all critical lines have one, or no more come for a while."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    found: list[Way] = []
    while len(found) < len(critical) and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
        found = await ways(log, settings, critical)
    return found


async def measure(rate: int, seconds: float, critical: int) -> tuple[Result, list[Way]]:
    """Start everything that ``logmend up`` runs, and measure."""
    with tempfile.TemporaryDirectory(prefix="logmend-latency-", ignore_cleanup_errors=True) as directory:
        settings = Settings(data_dir=Path(directory), host=HOST, dry_run=False, canary_seconds=0)
        async with EmbeddedBroker(settings) as broker:
            settings = settings.model_copy(update={"brokers": broker.address})
            await create_topics(settings)
            async with serving(settings, UP):
                return await run(settings, rate, seconds, critical, WARM_SECONDS)


def print_table(found: Result) -> None:
    """Print the quantiles of each part."""
    print(f"{'ms':>20} {'p50':>7} {'p99':>7} {'p99.9':>7} {'max':>7}")
    for name, one in found.parts.items():
        print(f"{name:>20} {one.p50:7.0f} {one.p99:7.0f} {one.p999:7.0f} {one.max:7.0f}")
    print(f"{found.critical} critical lines, {found.swallowed} without a command; bar: p99 of all < {P99_MS_MAX:g} ms")
    print(f"{found.lines} lines, {found.lines_in_slices} in slices, {found.lines_per_second} a second")
    print("processors:", ", ".join(f"{name} {share:.2f}" for name, share in found.processors.items()))
    print(f"sender late by {found.sender_late_ms} ms at most; load average {found.load_average}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 when the limit is not kept or something is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.latency", description=(__doc__ or "").split("\n\n", 1)[0]
    )
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--rate", type=int, default=RATE, help="lines a second")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path, help="a directory for latency.json (each line's way) and latency.png")
    given = parser.parse_args(arguments)
    found, every = asyncio.run(measure(given.rate, given.seconds, round(given.seconds * CRITICAL_PER_SECOND)))
    if given.json:
        print(msgspec.json.encode(found).decode())
    else:
        print_table(found)
    if given.out:
        whole = {**msgspec.to_builtins(found), "ways": msgspec.to_builtins(every)}
        save(given.out, "latency", whole, partial(plot, found, every), (8, 5))
    return 0 if found.kept else 1


def plot(found: Result, every: Sequence[Way], figure: Figure) -> None:
    """Draw how many lines are at most so late."""
    axes = figure.subplots()
    for number, name in enumerate(PARTS):
        ordered = sorted(way.parts()[number] for way in every)
        axes.step(ordered, [(place + 1) / len(ordered) for place in range(len(ordered))], where="post", label=name)
    axes.axvline(P99_MS_MAX, color="0.6", linestyle="--", linewidth=0.8)
    axes.axhline(0.99, color="0.6", linestyle="--", linewidth=0.8)
    axes.set(xscale="symlog", xlabel="ms", ylabel="share of critical lines", title=f"{found.lines_per_second} lines/s")
    axes.legend()


if __name__ == "__main__":
    sys.exit(main())
