"""The demo and the lab as people see them: a live table on a terminal, plain lines elsewhere, a summary at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from lab.report import DemoReport, FaultRow, Question
from lab.score import LabReport, Measured
from lab.timeline import Story

STEPS: Final = (
    ("injected", "injected_ms"),
    ("detected", "detected_ms"),
    ("decided", "decided_ms"),
    ("works again", "recovered_ms"),
    ("verified", "verified_ms"),
)

WIDE: Final = 200
"""Columns of the summary where there is no terminal."""


class Display(Protocol):
    """What the demo tells while it runs."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        ...

    def phase(self, text: str) -> None:
        """Say what is being done now."""
        ...

    def update(self, stories: Iterable[Story], lines: int, lines_total: int, decisions: int) -> None:
        """Show how things stand."""
        ...


class Silent:
    """Shows nothing: for ``--json`` and for tests."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def phase(self, text: str) -> None:
        """Nothing."""

    def update(self, stories: Iterable[Story], lines: int, lines_total: int, decisions: int) -> None:
        """Nothing."""


class Plain(Silent):
    """One line for each thing that happens, with the seconds since the start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._said: set[tuple[str, int, str]] = set()

    def phase(self, text: str) -> None:
        """Print a line."""
        self._console.print(f"{time.monotonic() - self._began:6.1f} s  {text}", highlight=False, markup=False)

    def update(self, stories: Iterable[Story], lines: int, lines_total: int, decisions: int) -> None:  # noqa: ARG002 - the live display shows them
        """Print each step of a story once."""
        for story in stories:
            for name, field in STEPS:
                if getattr(story, field) and (story.fault, story.run, name) not in self._said:
                    self._said.add((story.fault, story.run, name))
                    self.phase(f"{story.fault} ({story.service}): {name}{_with(story, name)}")


class Rich:
    """A bar for the lines and a table for the faults, redrawn four times a second."""

    def __init__(self, console: Console) -> None:
        self._text = ""
        self._decisions = 0
        self._progress = Progress(TextColumn("lines"), BarColumn(), MofNCompleteColumn(), console=console)
        self._bar = self._progress.add_task("lines", total=None)
        self._faults = Table()
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def phase(self, text: str) -> None:
        """Show it above the table."""
        self._text = text

    def update(self, stories: Iterable[Story], lines: int, lines_total: int, decisions: int) -> None:
        """Redraw."""
        self._progress.update(self._bar, completed=lines, total=lines_total)
        self._decisions = decisions
        self._faults = table(("fault", "service", *(name for name, _ in STEPS)), map(_live_cells, stories))

    def _render(self) -> Group:
        bars = [self._progress] if self._progress.tasks[0].total else []
        return Group(Text(f"{self._text} · {self._decisions} decisions"), *bars, self._faults)


def of(console: Console, *, silent: bool) -> Silent | Plain | Rich:
    """Return the display that fits the console."""
    if silent:
        return Silent()
    return Rich(console) if console.is_terminal else Plain(console)


def _with(story: Story, name: str) -> str:
    if name == "detected":
        return f" as {story.pattern}"
    return f": {', '.join(story.actions)}" if name == "decided" else ""


def _live_cells(story: Story) -> tuple[str, ...]:
    if not story.injected_ms:
        return (story.fault, story.service, story.note or "waiting", "", "", "", "")
    later = (getattr(story, field) for _, field in STEPS[1:])
    return (story.fault, story.service, "●", *(_seconds(story.seconds(moment)) for moment in later))


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> Table:
    """Return a table without lines; cells are plain text, whatever is in them."""
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(str(cell)) for cell in row))
    return made


def summary(console: Console, report: DemoReport) -> None:
    """Print the report; where there is no terminal, no line is folded."""
    if not console.is_terminal:
        console = Console(file=console.file, width=WIDE)
    console.print()
    console.print(table(("", ""), _figures(report), "What happened"))
    console.print()
    columns = ("fault", "service", "seen as", "done", "detected", "decided", "works", "verified", "")
    console.print(table(columns, (_fault_cells(row, halted=report.halted) for row in report.faults), "Faults"))
    for question in report.questions:
        console.print()
        _print_question(console, question)
    console.print()
    console.print(Text("Look further:"))
    for command in report.look_further:
        console.print(Text(f"  {command}"), soft_wrap=True)
    console.print()
    console.print(Text(_verdict(report), style="bold green" if report.ok else "bold red"))


def measurement(console: Console, report: LabReport) -> None:
    """Print what a measurement of the lab came to, a row for each fault and run."""
    if not console.is_terminal:
        console = Console(file=console.file, width=WIDE)
    columns = ("fault", "pattern", "service", "seen as", "done", "detected", "decided", "works", "verified", "")
    console.print()
    console.print(table(columns, (_measured_cells(one, report) for one in report.faults), "Faults"))
    stand_ins = {one.fault: one.stand_in for one in report.faults if one.stand_in}
    if stand_ins:
        console.print()
        console.print(table(("", ""), ((f"{name} *", text) for name, text in stand_ins.items()), "* with a stand-in"))
    console.print()
    console.print(Text(_share(report), style="bold green" if report.ok else "bold red"))


def _measured_cells(one: Measured, report: LabReport) -> tuple[str, ...]:
    moments = (one.detected_seconds, one.decided_seconds, one.recovered_seconds, one.verified_seconds)
    good = "healed" if report.mode == "healing" else "stayed broken"
    name = f"{one.fault} *" if one.stand_in else one.fault
    cells = (name, one.pattern, one.service, ", ".join(one.seen), ", ".join(one.actions))
    return (*cells, *(_seconds(moment) or "-" for moment in moments), good if one.good else f"NOT {good}: {one.note}")


def _share(report: LabReport) -> str:
    what = {
        "healing": "healed and verified",
        "halted": "left broken with the kill switch on",
        "control": "left broken without Logmend",
    }[report.mode]
    return (
        f"{report.good} of {report.injected} faults {what}: {report.share:.1%}, 95 % interval {report.low:.1%} to "
        f"{report.high:.1%} (Wilson), in {report.seconds:.0f} s; verified {report.verify_after_seconds:g} s after the "
        f"action and {report.stay_away_seconds:g} s without the symptom."
    )


def _figures(report: DemoReport) -> list[tuple[str, str]]:
    latency = "no decision came from a line"
    if report.line_to_decision_ms_p50 is not None:
        latency = f"median {report.line_to_decision_ms_p50} ms, p99 {report.line_to_decision_ms_p99} ms"
    return [
        ("lines", f"{report.lines:,}"),
        ("lines/s of the burst", f"{report.lines_per_second:,}" if report.lines_per_second else "no burst"),
        ("line to decision", latency),
        ("detections by category", _listed(report.detections)),
        ("detections by severity", _listed(report.severities)),
        ("incidents", _listed(report.incidents)),
        ("decisions", _listed(report.decisions)),
        ("commands by strategy", _listed(report.commands)),
        ("rejects by reason", _listed(report.rejects)),
        ("in the log before", f"{report.decisions_before:,} decisions"),
    ]


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _fault_cells(row: FaultRow, *, halted: bool) -> tuple[str, ...]:
    moments = (row.detected_seconds, row.decided_seconds, row.recovered_seconds, row.verified_seconds)
    if halted:
        verdict = "stayed broken" if row.stayed_broken else row.note
    else:
        verdict = "healed" if row.healed else f"NOT healed: {row.note}"
    cells = (row.fault, row.service, row.pattern, ", ".join(row.actions))
    return (*cells, *(_seconds(moment) or "-" for moment in moments), verdict)


def _print_question(console: Console, question: Question) -> None:
    console.print(Text(question.question, style="bold"))
    console.print(Text(f"  {question.sql}", style="dim"), soft_wrap=True)
    console.print(table(question.columns, question.rows))


def _verdict(report: DemoReport) -> str:
    if report.halted:
        stayed = sum(row.stayed_broken for row in report.faults)
        return f"Kill switch on: {stayed} of {len(report.faults)} faults stayed broken, in {report.seconds:.0f} s."
    healed = sum(row.healed for row in report.faults)
    return f"{healed} of {len(report.faults)} faults healed and verified, in {report.seconds:.0f} s."
