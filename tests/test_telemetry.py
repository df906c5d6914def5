"""What Logmend says about itself: metric names, bounded labels, log events."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams import telemetry
from streams.core.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, hook = list(root.handlers), root.level, threading.excepthook
    yield
    threading.excepthook = hook
    root.handlers[:], root.level = handlers, level


def _value(name: str, **labels: str) -> float:
    return telemetry.REGISTRY.get_sample_value(name, labels) or 0.0


def test_every_metric_has_our_prefix_and_help() -> None:
    """Each metric begins with logmend_, is lower case and says what it is."""
    families = list(telemetry.REGISTRY.collect())
    assert families
    for family in families:
        assert re.fullmatch(r"logmend_[a-z_]+", family.name)
        assert family.documentation.endswith(".")


def test_what_happened_is_counted() -> None:
    """A call adds to the metric of the thing that happened."""
    before = _value("logmend_lines_total", source="counted")
    telemetry.lines_read("counted", 3, 120)
    assert _value("logmend_lines_total", source="counted") == before + 3


def test_a_models_first_answer_is_an_increase() -> None:
    """Whoever counts answers sees none beside the first requests in vain, so that the first one makes a difference."""
    telemetry.model_asked("slow", "timed_out", 0)
    assert telemetry.REGISTRY.get_sample_value("logmend_model_requests_total", {"provider": "slow", "code": ""}) == 0.0


def test_a_label_from_outside_is_bounded() -> None:
    """However many reasons come, the label takes a limited number and the rest count as other."""
    for number in range(2 * telemetry.LABEL_VALUES_MAX):
        telemetry.rejected("bounded", f"reason {number}")
    series = [
        sample.labels["reason"]
        for family in telemetry.REGISTRY.collect()
        if family.name == "logmend_rejects"
        for sample in family.samples
        if sample.labels["source"] == "bounded"
    ]
    assert "other" in series
    assert len(set(series)) <= telemetry.LABEL_VALUES_MAX + 1


async def test_tasks_of_the_loop_are_counted() -> None:
    """A task that has not ended is one more, and none any more once it has."""
    telemetry.loop_runs(asyncio.get_running_loop())
    before = _value("logmend_tasks")
    task = asyncio.create_task(asyncio.sleep(60))
    assert _value("logmend_tasks") == before + 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert _value("logmend_tasks") == before


def test_a_log_event_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    """An event is one line of JSON that names it and carries its fields."""
    telemetry.configure_logging()
    telemetry.lines_lost("logs", 1, 10, 20)
    event = json.loads(capsys.readouterr().err)
    assert (event["event"], event["from_offset"], event["level"]) == ("lines_lost", 10, "error")


def test_repeated_events_are_limited(capsys: pytest.CaptureFixture[str]) -> None:
    """A storm of one event writes at most a few lines in each second it lasts."""
    telemetry.configure_logging()
    for _ in range(1_000):
        telemetry.handled("test", "again")
    lines = capsys.readouterr().err.splitlines()
    seconds = {json.loads(line)["time"][:19] for line in lines}
    assert 0 < len(lines) <= telemetry.EVENTS_PER_SECOND_MAX * len(seconds)


def test_what_a_person_can_put_right_has_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """A process that ends by a wrong input says so in a line; one that ends by a fault of ours shows where."""
    telemetry.configure_logging()
    telemetry.process_failed("detect", InputError("no broker at b:1"))
    telemetry.process_failed("detect", KeyError("x"))
    wrong, fault = map(json.loads, capsys.readouterr().err.splitlines())
    assert (wrong["error"], "traceback" in wrong, "KeyError" in fault["traceback"]) == ("no broker at b:1", False, True)


def test_a_librarys_message_becomes_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    """What a library logs comes out in the same form, and its chatter does not come out at all."""
    telemetry.configure_logging()
    logging.getLogger("aiokafka.conn").info("chatter")
    logging.getLogger("aiokafka.conn").warning("gone")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["text"] == "gone"


def test_a_taken_metrics_port_is_named() -> None:
    """A metrics port that is in use gives one line that names the setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="LOGMEND_METRICS_PORT"):
        telemetry.serve(taken.getsockname()[1])


def test_every_public_name_is_told_of() -> None:
    """Whatever a module of telemetry offers for use is found under its one name."""
    offered = {
        node.name
        for path in Path(telemetry.__file__).parent.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    assert offered - {"say"} == {name for name in telemetry.__all__ if name.islower()}


def test_how_full_the_disk_is_comes_with_each_scrape(tmp_path: Path) -> None:
    """Room and size are those of the file system of a data directory that may not be there yet."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    telemetry.serve(port, data_dir=tmp_path / "not" / "yet")
    free, size = _value("logmend_disk_free_bytes"), _value("logmend_disk_size_bytes")
    assert 0 < free <= size
    assert size == shutil.disk_usage(tmp_path).total


def test_every_function_of_telemetry_is_called() -> None:
    """What nobody calls would be a metric that never moves, and a panel that stays empty."""
    public = {name for name in telemetry.__all__ if name.islower()}
    called = {
        node.func.attr
        for room in ("streams", "analytics", "lab", "benchmarks")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "telemetry"
    }
    assert public
    assert public <= called, f"never called: {', '.join(sorted(public - called))}"


def test_a_thread_that_fails_is_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    """What ends a thread of a library is told like everything else, not printed over several lines."""
    telemetry.configure_logging()
    thread = threading.Thread(target={}.pop, args=("gone",), name="of a library")
    thread.start()
    thread.join()
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(one["event"], one["thread"], one["error"]) for one in told] == [
        ("thread_failed", "of a library", "'gone'")
    ]
