from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from lab import display
from lab.report import DemoReport, FaultRow, Question, to_json
from lab.timeline import Story

ROW = FaultRow(
    fault="crash",
    seen=("process_crash",),
    service="shop-worker",
    pattern="process_crash",
    actions=("process.restart",),
    detected_seconds=0.1,
    decided_seconds=0.2,
    recovered_seconds=0.6,
    verified_seconds=9.8,
    healed=True,
    stayed_broken=False,
    note="",
)
REPORT = DemoReport(
    ok=True,
    halted=False,
    seconds=70.0,
    lines=39_419,
    lines_per_second=20_000,
    line_to_decision_ms_p50=12.5,
    line_to_decision_ms_p99=40.0,
    detections={"process": 3},
    severities={"critical": 3},
    incidents={"healed": 1},
    decisions={"verified": 1},
    decisions_before=60,
    commands={"restart": 1},
    rejects={},
    faults=(ROW,),
    questions=(Question(question="What [happened]?", sql="SELECT 1", columns=("a",), rows=((1,),)),),
    look_further=("logmend why 1-2-3",),
)


def printed(report: DemoReport) -> str:
    """Return the summary as text, 200 columns wide."""
    console = Console(file=io.StringIO(), width=200)
    display.summary(console, report)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    "words",
    ["39,419", "20,000", "process 3", "critical 3", "verified 1", "restart 1", "12.5 ms", "none", "60 decisions"],
)
def test_the_summary_has_every_figure(words: str) -> None:
    """Lines, rate, detections, decisions, commands, latency and rejects are all there."""
    assert words in printed(REPORT)


def test_the_summary_tells_each_faults_way() -> None:
    """A fault's row has what it was seen as, what was done, its four moments and the verdict."""
    row = next(line for line in printed(REPORT).splitlines() if line.startswith("crash"))
    assert row.split() == [
        *("crash", "shop-worker", "process_crash", "process.restart"),
        *("0.1", "s", "0.2", "s", "0.6", "s", "9.8", "s", "healed"),
    ]


def test_questions_are_printed_as_they_stand() -> None:
    """Question, SQL and answer are text, not markup."""
    text = printed(REPORT)
    assert "What [happened]?" in text
    assert "SELECT 1" in text


def test_a_fault_that_was_not_healed_says_why() -> None:
    """The verdict of a fault that stayed broken is its note."""
    broken = msgspec.structs.replace(ROW, healed=False, note="not detected")
    assert "NOT healed: not detected" in printed(msgspec.structs.replace(REPORT, faults=(broken,)))


def test_the_report_is_json() -> None:
    """The report survives the way through JSON."""
    assert msgspec.json.decode(to_json(REPORT))["faults"][0]["verified_seconds"] == 9.8


def test_plain_progress_tells_each_step_once() -> None:
    """Without a terminal every step of a fault is one line, however often it is shown."""
    console = Console(file=io.StringIO(), width=200)
    story = Story(fault="crash", service="shop-worker", injected_ms=1, detected_ms=2, pattern="process_crash")
    with display.of(console, silent=False) as shown:
        shown.update([story], 0, 10, 0)
        shown.update([story], 5, 10, 1)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert [line.partition(" s  ")[2] for line in lines] == [
        "crash (shop-worker): injected",
        "crash (shop-worker): detected as process_crash",
    ]


def test_live_progress_shows_faults_and_lines() -> None:
    """On a terminal the table has the fault and the bar the lines."""
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    story = Story(fault="crash", service="shop-worker", injected_ms=1000, detected_ms=1500)
    with display.of(console, silent=False) as shown:
        shown.phase("injecting faults")
        shown.update([story], 5, 10, 3)
    assert isinstance(console.file, io.StringIO)
    assert all(words in console.file.getvalue() for words in ("crash", "0.5 s", "5/10", "3 decisions"))
