"""What questions to a large event log take: ``python -m benchmarks.queries --decisions 10000000``.

An hour and a half of twenty services, in which some break, is made by the real fold and archived by the real writer.
Then that log is repeated with numbers, ids, offsets and times moved on, for ten such fleets side by side, until it has
so many decisions, in segments as large as merged ones. Only the raw bytes beside the typed columns stay those of the
first time, which no view reads.

Every view is asked for the hundred newest rows with all columns, and the questions of ``analytics.queries``, the four
of the sources and some more for what they are. Each is asked ``--rounds`` times over a fresh reader, as ``logmend sql``
does, with its 1 GB and two threads; that the views have to be made first counts. The floor: 95 of 100 take less than
1 s with ten million decisions. What a question took of the processors stands beside it: on a busy machine half of that
is what it would take alone.

    python -m benchmarks.queries                                  1 000 000 decisions
    python -m benchmarks.queries --log DIR --json                 keep the log in DIR, use it if it is there
    python -m benchmarks.queries --decisions 10000000 --out DIR   a plot and raw JSON go to DIR
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from analytics import queries
from analytics.manifest import MANIFEST
from analytics.views import VIEWS, EventLog
from analytics.writer import EventLogWriter
from benchmarks.plots import save
from benchmarks.repeating import repeat
from streams.core.errors import InputError
from streams.core.events import ProbeReported
from streams.core.num import draw
from streams.core.samples import sample
from tests.analytics.ahead import fill, jump, leak
from tests.analytics.consulting import consult
from tests.analytics.crew import work_together
from tests.analytics.history import History
from tests.analytics.people import take_part
from tests.analytics.struggle import struggle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOOR_S: Final = 1.0
MINUTE_MS: Final = 60_000
CALM_MINUTES: Final = 35
SERVICES: Final = tuple(f"app-{number}" for number in range(20))
METRICS: Final = ("cpu", "response_time")
LEAKING: Final = 8
"""Services that leak and crash; the later ones are foreseen from those before."""
QUERIES: Final = (
    queries.lines,
    queries.detections,
    queries.incidents,
    queries.decisions,
    queries.commands,
    queries.healing,
    queries.rejects,
    queries.latency,
)
QUESTIONS: Final = {
    "auto-fix rate": "FROM auto_fix_rate()",
    "escalation rate": "FROM escalation_rate()",
    "phase breakdown": "FROM phase_breakdown()",
    "learning growth": "FROM learning_growth()",
    "auto-fix rate, ever": "FROM auto_fix_rate(days := 36500)",
    "decisions of an incident": "FROM decisions WHERE incident = (SELECT max(incident) FROM commands) ORDER BY seq",
    "open incidents": "FROM incidents WHERE closed_at IS NULL ORDER BY opened_at DESC LIMIT 100",
    "pending escalations": "FROM escalations WHERE status = 'pending' ORDER BY created_at DESC LIMIT 100",
    "health of a service": "FROM service_health WHERE service_name = 'app-3-1' ORDER BY created_at DESC LIMIT 1440",
    "commands by end": "SELECT action, status, ok, count(*) AS n FROM commands GROUP BY ALL ORDER BY n DESC",
    "lines by category": "SELECT category, severity, sum(lines) AS n FROM detections GROUP BY ALL ORDER BY n DESC",
    "error rate by service": "SELECT name, max(errors) AS n FROM rates('service', window_ms := 3600000) GROUP BY ALL",
    "sessions of errors": "FROM sessions(gap_ms := 60000) ORDER BY begin_at DESC LIMIT 100",
}
"""What ``README.md`` and the pages ask, beside ``analytics.queries``."""


class Timed(Struct, frozen=True, kw_only=True):
    """How long a question took each time, in seconds, and how many rows it had; ``said`` is why it had no answer.

    ``processor_seconds`` is the least that all its threads together took of the processors.
    """

    name: str
    seconds: tuple[float, ...]
    processor_seconds: float
    rows: int
    said: str = ""


class Result(Struct, frozen=True, kw_only=True):
    """What was measured, over a log of so many decisions and bytes."""

    decisions: int
    incidents: int
    size_bytes: int
    p50_seconds: float
    p95_seconds: float
    p95_processor_seconds: float
    questions: tuple[Timed, ...]

    @property
    def kept(self) -> bool:
        """Whether the floor holds and everything was answered."""
        return self.p95_seconds < FLOOR_S and not any(one.said for one in self.questions)


def fleet() -> History:
    """Return hours of a fleet: measured every minute, then with some of everything that views tell of."""
    history = History()
    history.begin()
    for minute in range(CALM_MINUTES):
        measure(history, minute)
    work_together(history, "shop", "database_connection")
    consult(history)
    struggle(history, "cart")
    take_part(history)
    for minute in range(CALM_MINUTES, 2 * CALM_MINUTES):
        measure(history, minute)
    history.heal("mail", "database_lock")
    for number in range(LEAKING):
        leak(history, f"leaky-{number}")
    fill(history, "store")
    jump(history, "gate")
    refuse(history)
    return history


def refuse(history: History) -> None:
    """Let probes fail, a pool refuse, lines be shed, and the kill switch hold an action back."""
    failed = ProbeReported(
        host="h1", service="shop", kind="http", ok=False, code="500", at_ms=history.now_ms, latency_ms=9
    )
    history.say(failed, msgspec.structs.replace(failed, service="mail", ok=True, code="200"))
    history.shed(200, 30, 20)
    before = len(history.commands)
    history.see("shop", "process_crash")
    for command in history.commands[before:]:
        history.refuse(command.id, "wrong_hash", seq=command.seq)
    history.halt()
    history.see("mail", "out_of_memory")


def measure(history: History, minute: int) -> None:
    """Append what the services measured in a minute, as one slice, and let it pass."""
    second_ms = history.now_ms - history.now_ms % 1000
    samples = tuple(
        sample(second_ms, service, "h1", metric, 40.0 + 20.0 * draw(f"{service} {metric} {minute}"))
        for service in SERVICES
        for metric in METRICS
    )
    history.fact(history.slice_of("metrics", points=len(samples), samples=samples))
    history.log.now_ms += MINUTE_MS


async def archived(directory: Path) -> None:
    """Archive the fleet's log."""
    history = fleet()
    with EventLogWriter(history.log, history.topics, directory) as writer:
        await writer.flush()


def make(directory: Path, decisions: int) -> None:
    """Write a log of at least so many decisions into a directory."""
    with tempfile.TemporaryDirectory() as short:
        asyncio.run(archived(Path(short)))
        repeat(Path(short), directory, decisions)


def asked() -> Iterator[tuple[str, Callable[[EventLog], int]]]:
    """Yield every question: its name, and what asks it and returns how many rows the answer has."""
    for view in VIEWS:
        yield f"view {view}", lambda log, view=view: log.query(newest(log, view)).height  # type: ignore[misc]  # bound now
    for function in QUERIES:
        yield f"queries.{function.__name__}", lambda log, ask=function: ask(log).height  # type: ignore[misc]  # bound now
    for name, sql in QUESTIONS.items():
        yield name, lambda log, sql=sql: log.query(sql).height  # type: ignore[misc]  # bound now


def newest(log: EventLog, view: str) -> str:
    """Return the question for a view's hundred newest rows, by its first column of time if it has one."""
    log.make([view])
    columns = log.connection.execute(f"DESCRIBE {view}").fetchall()
    times = [name for name, kind, *_ in columns if kind == "TIMESTAMP"]
    return f'FROM {view} ORDER BY "{times[0]}" DESC LIMIT 100' if times else f"FROM {view} LIMIT 100"


def timed(directory: Path, name: str, ask: Callable[[EventLog], int], rounds: int) -> Timed:
    """Ask a question some times, over a fresh reader each."""
    seconds, busy, rows = [], [], 0
    for _ in range(rounds):
        with EventLog(directory) as log:
            begin, begin_busy = time.perf_counter(), time.process_time()
            try:
                rows = ask(log)
            except InputError as error:
                return Timed(name=name, seconds=(), processor_seconds=0.0, rows=0, said=str(error))
            seconds.append(round(time.perf_counter() - begin, 4))
            busy.append(round(time.process_time() - begin_busy, 4))
    return Timed(name=name, seconds=tuple(seconds), processor_seconds=min(busy), rows=rows)


def measured(directory: Path, rounds: int, only: str) -> Result:
    """Ask everything whose name has ``only`` in it."""
    with EventLog(directory) as log:
        decisions = log.query("SELECT count(*) FROM decisions").item()
        incidents = log.query("SELECT count(*) FROM decisions WHERE kind = 'incident_opened'").item()
        size = sum(one.size for stream in log.manifest.streams.values() for one in stream.segments)
    questions = []
    for name, ask in asked():
        if only in name:
            questions.append(timed(directory, name, ask, rounds))
            tell(questions[-1])
    taken = sorted(one for question in questions for one in question.seconds) or [0.0]
    busy = sorted(question.processor_seconds for question in questions) or [0.0]
    return Result(
        decisions=decisions,
        incidents=incidents,
        size_bytes=size,
        p50_seconds=taken[len(taken) // 2],
        p95_seconds=taken[len(taken) * 95 // 100],
        p95_processor_seconds=busy[len(busy) * 95 // 100],
        questions=tuple(questions),
    )


def tell(one: Timed) -> None:
    """Print a line of the table to the standard error, so that JSON can go elsewhere."""
    took = "  ".join(f"{seconds:7.3f}" for seconds in one.seconds)
    print(
        f"{one.name:32}{one.rows:>10}{one.processor_seconds:9.3f}  {took}{one.said[:80]}", file=sys.stderr, flush=True
    )


def write(result: Result, directory: Path) -> None:
    """Write the result, and a plot of how long each question takes."""
    shown = sorted((one for one in result.questions if one.seconds), key=lambda one: median(one.seconds))
    save(directory, "queries", result, partial(plot, result, shown), (9, 1 + 0.18 * len(shown)))


def plot(result: Result, shown: Sequence[Timed], figure: Figure) -> None:
    """Draw a bar for each question, between the least and the most."""
    axis = figure.subplots()
    medians = [median(one.seconds) for one in shown]
    below = [middle - min(one.seconds) for middle, one in zip(medians, shown, strict=True)]
    above = [max(one.seconds) - middle for middle, one in zip(medians, shown, strict=True)]
    axis.barh([one.name for one in shown], medians, xerr=(below, above), color="#4477aa", ecolor="#222222", capsize=2)
    axis.axvline(result.p95_seconds, color="#cc3311", linestyle="--", label=f"p95 {result.p95_seconds:.2f} s")
    axis.axvline(FLOOR_S, color="#222222", label="floor of the p95")
    axis.set_xlabel(f"seconds, of {result.decisions} decisions (median, least and most)")
    axis.margins(y=0.01)
    axis.tick_params(axis="y", labelsize=6)
    axis.legend()


def main() -> None:
    """Measure, print, and end with status 1 when the floor does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--log", type=Path, help="where the log is kept; without it, it is made anew each time")
    parser.add_argument("--only", default="", help="only questions whose name contains this")
    parser.add_argument("--json", action="store_true", help="print the result as JSON too")
    parser.add_argument("--out", type=Path, help="directory for a plot and raw JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        log = given.log or Path(directory)
        if not (log / MANIFEST).exists():
            begin = time.perf_counter()
            make(log, given.decisions)
            print(f"a log of {given.decisions} decisions in {time.perf_counter() - begin:.0f} s", file=sys.stderr)
        result = measured(log, given.rounds, given.only)
    slow = [one.name for one in result.questions if max(one.seconds, default=0.0) >= FLOOR_S or one.said]
    print(f"{result.decisions} decisions, {result.incidents} incidents, {result.size_bytes / 1e6:.0f} MB")
    print(f"p50 {result.p50_seconds:.3f} s, p95 {result.p95_seconds:.3f} s; 1 s and more: {', '.join(slow) or 'none'}")
    print(f"of the processors: p95 {result.p95_processor_seconds:.3f} s")
    if given.out:
        write(result, given.out)
    if given.json:
        answer: dict[str, Any] = {**msgspec.to_builtins(result), "kept": result.kept}
        print(json.dumps(answer, indent=1))
    sys.exit(0 if result.kept else 1)


if __name__ == "__main__":
    main()
