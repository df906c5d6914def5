"""The host agent: what it reads, when it calls a limit crossed, what becomes of what it tells."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from analytics.views import EventLog
from streams.catalogue import strategies
from streams.catalogue.metrics import metrics
from streams.codec import decode_inbox
from streams.core.events import ProbeReported
from streams.core.inventory import HOST_KINDS, PROBE_KINDS
from streams.ports import Outgoing, Record, TopicPartition
from streams.runtime.readiness import NAME_VARIABLE, forget_dead, gone, ready
from streams.runtime.supervisor import Supervisor
from streams.settings import Settings
from streams.topics import Topics
from streams.workers import filesystems, readings, watching
from streams.workers.judging import Bound, Judge, Limits, judge_brokers, judge_processes
from streams.workers.processors import Processors
from streams.workers.readings import Reading, own_processes, silent_brokers
from streams.workers.watching import HostWatch, Sight, Watched
from tests.ingest.given import Given
from tests.ingest.metrics.given import taken
from tests.workers.kit import PATIENCE_SECONDS

MOUNTINFO = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 8:1 / / ro,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
28 27 8:2 / /mnt/my\040disk rw shared:2 master:3 - xfs /dev/sdb1 rw
29 27 8:1 /var/lib/x /var/lib/x rw - ext4 /dev/sda1 rw
30 27 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro
31 27 0:40 / /tmp rw - tmpfs tmpfs rw
32 27 8:3 / /cdrom ro - ext4 /dev/sr0 ro
33 27 0:50 /@home /home rw - btrfs /dev/sdc rw,subvol=/@home
34 27 0:51 /@ /srv rw - btrfs /dev/sdc rw,subvol=/@
35 27 0:60 / /net rw - nfs4 server:/x rw
36 27 0:61 / /pool rw - zfs tank rw
a line that makes no sense
"""
KINDS = "nodev\tproc\nnodev\ttmpfs\nnodev\tnfs4\nnodev\tzfs\n\text4\n\txfs\n\tbtrfs\n\tsquashfs\n"


@pytest.mark.parametrize(
    ("limit", "values", "expected"),
    [
        (90, [89.9, 90.0, 90.1], [False, False, True]),
        (90, [91, 89, 91, 86, 85.1, 85, 89, 90, 91], [True] * 5 + [False] * 3 + [True]),
        (90, [84, 89, 84, 89, 84], [False] * 5),
        (0, [0, 1, 0, 0], [False, True, True, True]),
        (100, [100, 100], [False, False]),
    ],
)
def test_a_value_around_its_limit_does_not_flap(limit: float, values: list[float], expected: list[bool]) -> None:
    """What was over its limit is so until it is 5 points below; what was not is not until it is over it."""
    bound = Bound(limit)
    assert [bound.crossed(value) for value in values] == expected


def test_each_file_system_is_judged_by_itself_and_the_worst_is_named() -> None:
    """One full file system fails the probe, with its name, whatever the others do; it is good again when all are."""
    judge = Judge(Limits())

    def disks(**used: float) -> list[tuple[str, bool, str]]:
        return [(*one,) for one in judge.judge([Reading("disk", value, f"/{of}") for of, value in used.items()])]

    assert disks(a=95, b=40) == [("host_disk", False, "used_95 /a")]
    assert disks(a=88, b=89) == [("host_disk", False, "used_88 /a")]
    assert disks(a=84, b=89) == [("host_disk", True, "used_89 /b")]


def test_the_limits_are_those_of_the_table() -> None:
    """Without settings: 90 % of the processors, 85 % of the memory, 90 % of a file system, every 30 s."""
    settings = Settings()
    assert (settings.host_cpu_percent_max, settings.host_memory_percent_max, settings.host_disk_percent_max) == (
        90.0,
        85.0,
        90.0,
    )
    assert settings.host_every_ms == 30_000
    judge = Judge(Limits())
    over = judge.judge([Reading("cpu", 90.1), Reading("memory", 85.1), Reading("disk", 90.1, "/")])
    assert [(one.kind, one.ok) for one in over] == [("host_cpu", False), ("host_memory", False), ("host_disk", False)]
    just = Judge(Limits()).judge([Reading("cpu", 90.0), Reading("memory", 85.0), Reading("disk", 90.0, "/")])
    assert all(one.ok for one in just)


def test_all_that_a_host_reports_counts_as_something() -> None:
    """Each kind of a host is a row of the catalogue, and no service can be given one."""
    assert all(strategies().probe(kind) for kind in HOST_KINDS)
    assert set(HOST_KINDS).isdisjoint(PROBE_KINDS)


def test_real_file_systems_are_told_from_others() -> None:
    """Each writable one on a device once, at its shortest path, also when all is shown read-only to this process."""
    found = filesystems.parse(MOUNTINFO, filesystems.real_kinds(KINDS))
    assert [(mount.path, mount.device) for mount in found] == [
        ("/", "/dev/sda1"),
        ("/mnt/my disk", "/dev/sdb1"),
        ("/pool", "0:61"),
        ("/srv", "/dev/sdc"),
    ]


def test_a_file_system_is_as_full_as_df_says() -> None:
    """The share is of what may be used, so reserved blocks count as used up."""
    rows = subprocess.run(["df", "--output=pcent,ipcent", "/"], capture_output=True, text=True, check=True).stdout
    percents = [int(word.rstrip("%")) for word in rows.splitlines()[1].split() if word != "-"]
    assert abs(filesystems.used_percent("/") - max(percents)) <= 1.5


def test_a_host_shows_itself() -> None:
    """Processors, memory and at least one file system are read, each value one of the twelve and possible."""
    found = readings.readings(Processors())
    assert {"cpu", "memory", "disk"} <= {one.metric for one in found} <= set(metrics().metrics)
    assert all(0 <= one.value <= 100 for one in found if one.metric != "temperature")


async def test_busy_processors_are_seen_from_any_thread() -> None:
    """The share is of the time between two questions, whichever threads ask."""
    processors = Processors()
    give_up = time.monotonic() + 0.5
    while time.monotonic() < give_up:
        pass
    assert await asyncio.to_thread(processors.busy_percent) > 10 / (psutil.cpu_count() or 1)


class Sensor(NamedTuple):
    """A sensor as psutil shows it."""

    label: str
    current: float


def test_sensors_that_show_no_temperature_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """255 and -128 are what a missing sensor shows; chip and label tell the others apart."""
    shown = [Sensor("Core 0", 41.5), Sensor("", 255.0), Sensor("", -128.0)]
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: {"coretemp": shown}, raising=False)
    found = [one for one in readings.readings(Processors()) if one.metric == "temperature"]
    assert found == [Reading("temperature", 41.5, "coretemp Core 0")]


def test_a_process_that_died_is_missed_and_one_that_left_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of a dead process names it until somebody starts it again; one that ended as asked takes its file."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "broker.json").write_text('{"listener": "x:1", "pid": 1, "pid_created": 0.0}')
    (tmp_path / "run" / "decide.json").write_text('{"pid": 4194304, "created": 1.0}')
    monkeypatch.setenv(NAME_VARIABLE, "detect")
    ready(tmp_path)
    assert own_processes(tmp_path) == {"decide": False, "detect": True}
    assert [tuple(one) for one in judge_processes(own_processes(tmp_path))] == [("own_process", False, "down decide")]
    forget_dead(tmp_path)
    assert own_processes(tmp_path) == {"detect": True}
    assert judge_processes(own_processes(tmp_path))[0].ok
    gone(tmp_path)
    assert judge_processes(own_processes(tmp_path)) == []
    assert (tmp_path / "run" / "broker.json").exists()


async def test_a_broker_that_accepts_nobody_is_named() -> None:
    """Each address is tried; one of two that is silent fails the probe and is the code."""
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        silent, count = await silent_brokers(f"127.0.0.1:{port},127.0.0.1:1")
        assert (silent, count) == (["127.0.0.1:1"], 2)
        assert tuple(judge_brokers(silent, count)) == ("broker", False, "silent_1_of_2 127.0.0.1:1")
        assert judge_brokers([], 2).ok


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; fail when it never does."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - it is seen from outside only
            await asyncio.sleep(0.05)


class SlowLog:
    """A log whose broker is away until it is let back; its clock is behind ours by ``skew_ms``."""

    def __init__(self, skew_ms: int = 0) -> None:
        self.back = asyncio.Event()
        self.records: list[Given] = []
        self._skew_ms = skew_ms

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Wait for the broker, then keep the records."""
        await self.back.wait()
        first = len(self.records)
        for record in records:
            stamp = time.time_ns() // 1_000_000 - self._skew_ms
            given = Given(record.value, offset=len(self.records), topic=record.topic, key=record.key, timestamp=stamp)
            self.records.append(given)
        return range(first, len(self.records))

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Record]:
        """Return what was appended there."""
        return self.records[start:end]

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """Return the ends of the log."""
        return 0, len(self.records)

    def probes(self) -> list[ProbeReported]:
        """Return what was reported."""
        events = [decode_inbox(one.value or b"") for one in self.records if one.topic == Topics().inbox_workers]
        return [event for event in events if isinstance(event, ProbeReported)]


def watched(tmp_path: Path, **fields: object) -> Watched:
    """Return a host with a broker that nobody is, looked at ten times a second."""
    return Watched(**{"host": "web1", "data_dir": tmp_path, "brokers": "127.0.0.1:1", "every_ms": 100, **fields})  # type: ignore[arg-type]  # the fields as the caller gives them


async def test_looks_go_on_while_the_broker_is_away(tmp_path: Path) -> None:
    """What was seen meanwhile is told when the broker is back, each look with its own time, the oldest first."""
    log, stop = SlowLog(), asyncio.Event()
    watch = HostWatch(log, Topics(), watched(tmp_path))
    async with asyncio.TaskGroup() as group:
        group.create_task(watch.run(stop))
        await until(lambda: len(watch._sights) >= 7)
        log.back.set()
        await until(lambda: len(log.probes()) >= 30)
        stop.set()
    times = [probe.at_ms for probe in log.probes() if probe.kind == "broker"]
    assert times == sorted(set(times))
    assert all(probe.code == "silent_1_of_1 127.0.0.1:1" for probe in log.probes() if probe.kind == "broker")


async def test_the_canary_is_sent_and_no_end_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line goes to the topic of lines; while the broker is away, who is to end does so without it."""
    monkeypatch.setattr(watching, "TELL_SECONDS", 0.1)
    for away in (False, True):
        log, stop = SlowLog(), asyncio.Event()
        if not away:
            log.back.set()
        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(HostWatch(log, Topics(), watched(tmp_path, canary_seconds=3_600)).run(stop))
            if not away:
                await until(lambda log=log: bool(log.records))  # type: ignore[misc]  # the log of this round
            for _ in range(10):  # until all tasks have begun
                await asyncio.sleep(0)
            stop.set()
        assert [one.topic for one in log.records if one.topic == "logs"] == ["logs"] * (not away)


async def test_times_are_told_in_the_brokers_clock(tmp_path: Path) -> None:
    """A clock that is an hour ahead of the broker's makes no probe of the future."""
    log, stop = SlowLog(skew_ms=3_600_000), asyncio.Event()
    log.back.set()
    async with asyncio.TaskGroup() as group:
        group.create_task(HostWatch(log, Topics(), watched(tmp_path)).run(stop))
        await until(lambda: bool(log.probes()))
        stop.set()
    assert abs(log.probes()[0].at_ms - log.records[0].timestamp) < 60_000


@pytest.mark.parametrize("host", ["web1", "web1.example.org", "ip-10-0-0-17", "DESKTOP-ABC", "node_3"])
def test_what_is_published_is_samples_of_the_hosts_own_service(tmp_path: Path, host: str) -> None:
    """Every point maps to a metric; service and host are the name that the probes have."""
    found = [Reading("cpu", 12.5), Reading("memory", 40.0), Reading("disk", 70.0, "/"), Reading("disk", 90.0, "/srv")]
    sight = Sight(1_700_000_000_000, 1, [*found, Reading("temperature", 41.0, "coretemp")], [])
    watch = HostWatch(SlowLog(), Topics(), watched(tmp_path, host=host))
    outgoing = watch._metrics(TopicPartition("metrics", 0), sight)
    piece = taken(outgoing.value or b"", key=outgoing.key)
    assert (piece.points, piece.unmapped) == (5, 0)
    assert {(sample.service, sample.host) for sample in piece.samples} == {(host, host)}
    assert {sample.metric: sample.max for sample in piece.samples} == {
        "cpu": 12.5,
        "memory": 40.0,
        "disk": 90.0,
        "temperature": 41.0,
    }


@pytest.mark.broker
async def test_a_full_disk_of_the_host_becomes_an_incident(broker: Settings) -> None:
    """With limits of 0 a look becomes a probe, an incident of the host that nobody acts on, and samples in SQL."""
    given = {"host_every_ms": 1_000, "host_cpu_percent_max": 100, "host_memory_percent_max": 100}
    settings = broker.model_copy(update={**given, "host_disk_percent_max": 0.0, "source_partitions": 1})
    async with Supervisor(settings, roles=("detect", "decide", "eventlog", "host")) as supervisor:
        assert all(state.ready for state in supervisor.states)
        with EventLog(settings.data_dir / "log") as log:
            incidents, samples = "FROM incidents WHERE withheld_because = 'known'", "FROM samples"
            await until(lambda: not any(log.query(sql).is_empty() for sql in (incidents, samples)))
    with EventLog(settings.data_dir / "log") as log:
        (incident,) = log.query("SELECT service, host, pattern, attempts, status FROM incidents").rows()
        assert incident == ("test-host", "test-host", "disk_full", 0, "open")
        found = log.query("SELECT DISTINCT service, metric FROM samples").rows()
        assert {("test-host", metric) for metric in ("cpu", "memory", "disk")} <= set(found)
        kinds = log.query("SELECT kind, bool_or(ok) FROM probes GROUP BY kind").rows()  # a busy broker may be late once
        assert dict(kinds) == {
            "host_cpu": True,
            "host_memory": True,
            "host_disk": False,
            "broker": True,
            "own_process": True,
        }
        assert log.query("FROM commands").is_empty()
