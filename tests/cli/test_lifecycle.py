"""Epoch, backup, restore and erasure, on a real Kafka with real processes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from click.testing import CliRunner

from streams.cli import main
from streams.ports import Outgoing
from streams.runtime.admin import Admin, create_topics
from streams.runtime.readiness import NAME_VARIABLE, ready_file
from streams.settings import Settings
from tests.cli.test_with_broker import append, read, run
from tests.workers.kit import until

pytestmark = pytest.mark.broker

STAGES = ("eventlog", "decide", "detect")
NEWER = """
import sys
import streams.core.fold as fold
fold.EPOCH = 2
from streams.cli import main
main(sys.argv[1:])
"""
"""The program as of a release whose epoch is 2."""
HEADS = "select seq, sha256, epoch, kind from decisions order by seq"


@pytest.fixture
def fleet(broker: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Return settings of a fleet whose topics exist, given to the command through the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tests.workers.kit.PATIENCE_SECONDS", 120.0)  # three processes start at a time, twice
    home = broker.model_copy(update={"data_dir": tmp_path / "home"})
    for name, value in home.environment().items():
        monkeypatch.setenv(name, value)
    asyncio.run(create_topics(home))
    return home


def environment(settings: Settings, stage: str) -> dict[str, str]:
    """Return what a process of the fleet is given."""
    (settings.data_dir / "run").mkdir(parents=True, exist_ok=True)
    return {
        **settings.environment(),
        NAME_VARIABLE: stage,
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


@contextmanager
def running(settings: Settings, *stages: str, newer: bool = False) -> Iterator[None]:
    """Run stages of this release or of the newer one; the last is the first to end, so that the log has it all."""
    program = ["-c", NEWER] if newer else ["-m", "streams.cli"]
    with ExitStack() as stack:
        for stage in stages:
            process = subprocess.Popen([sys.executable, *program, stage], env=environment(settings, stage))
            stack.callback(process.wait)
            stack.callback(process.terminate)
        until(lambda: all(ready_file(settings.data_dir, stage).exists() for stage in stages))
        yield


def newer(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the newer release to its end."""
    command = [sys.executable, "-c", NEWER, *arguments]
    return subprocess.run(command, env=environment(settings, ""), capture_output=True, text=True, check=False)


def asked(question: str) -> list[dict[str, object]]:
    """Return the answer of the event log; nothing while there is none."""
    result = CliRunner().invoke(main, ["sql", question, "--json"])
    rows: list[dict[str, object]] = json.loads(result.stdout) if result.exit_code == 0 else []
    return rows


def crash(settings: Settings, service: str) -> None:
    """Send a line on which an incident is opened, and wait until that is archived."""
    line = json.dumps({"service": service, "level": "critical", "message": f"{service} caught SIGSEGV, core dumped"})
    asyncio.run(append([Outgoing(settings.logs[0], line.encode(), None, 0)], settings))
    opened = f"select 1 from decisions where kind = 'incident_opened' and service = '{service}'"
    until(lambda: bool(asked(opened)))


def wipe(settings: Settings) -> None:
    """Lose the data directory and all topics."""
    shutil.rmtree(settings.data_dir)

    async def delete() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.brokers)
        await admin.start()
        names = [topic.name for topic in settings.topics.all()]
        await admin.delete_topics(names)
        await admin.close()

    async def left() -> bool:
        async with Admin(settings) as admin:
            return any(state.partitions for state in await admin.describe())

    asyncio.run(delete())
    until(lambda: not asyncio.run(left()))


def whole() -> None:
    """Assert that the event log is whole, also beside Kafka, and leads to its decisions."""
    assert "clean" in run("verify").stdout
    assert "identical" in run("replay", "--verify").stdout


def test_a_backup_of_a_running_fleet_goes_on_after_everything_is_lost(fleet: Settings, tmp_path: Path) -> None:
    """Restored into an empty Kafka, log and chain are whole, and new decisions continue them."""
    copy = tmp_path / "copy"
    with running(fleet, *STAGES):
        crash(fleet, "shop")
        made = json.loads(run("backup", str(copy), "--json").stdout)
    before = asked(HEADS)[: made["decisions"]]
    assert len(before) == made["decisions"] > 0
    assert "not an empty directory" in run("restore", str(copy), status=1).stderr
    wipe(fleet)
    said = json.loads(run("restore", str(copy), "--json").stdout)
    assert f"{fleet.logs[0]}/0" in said["note"]
    assert "clean" in run("verify", "--offline").stdout
    with running(fleet, *STAGES):
        crash(fleet, "cart")
    after = asked(HEADS)
    assert after[: len(before)] == before
    assert len(after) > len(before)
    whole()


def test_a_service_is_erased_while_everything_runs(fleet: Settings) -> None:
    """Its text is gone from the files and from Kafka, that of others is not, and log and decisions are whole."""
    lines = "select service, text from lines order by service"
    with running(fleet, *STAGES):
        crash(fleet, "shop")
        crash(fleet, "cart")
        done = json.loads(run("erase", "--service", "shop", "--reason", "ticket 7", "--yes", "--json").stdout)
        crash(fleet, "mail")
    assert done["texts"] == 1
    told = {str(row["service"]): str(row["text"]) for row in asked(lines)}
    assert told["shop"].startswith("(erased on ")
    assert told["shop"].endswith(": ticket 7)")
    assert "cart caught SIGSEGV" in told["cart"]
    assert not any(b"shop caught" in (record.value or b"") for record in read(fleet, fleet.topics.evidence))
    whole()


def test_an_epoch_changes_on_record_and_an_older_release_refuses(fleet: Settings) -> None:
    """The newer release waits for upgrade, then goes on in the same chain; the older one refuses, and says so."""
    with running(fleet, *STAGES):
        crash(fleet, "shop")
    first = asked(HEADS)
    early = newer(fleet, "decide")
    assert early.returncode != 0
    assert "run logmend upgrade" in early.stdout + early.stderr
    assert "is in epoch 2, and was in epoch 1" in newer(fleet, "upgrade", "--reason", "test").stdout
    assert "already" in newer(fleet, "upgrade").stdout
    shutil.rmtree(fleet.data_dir / "run")
    with running(fleet, *STAGES, newer=True):
        crash(fleet, "cart")
    late = run("upgrade", status=1).stderr
    assert "takes no part: there is no way back; install release" in late
    assert run("halt", status=1).stderr == late
    rows = asked(HEADS)
    assert rows[: len(first)] == first
    assert (rows[len(first)]["kind"], rows[len(first)]["epoch"]) == ("epoch_changed", 2)
    assert "clean" in run("verify").stdout
    replayed = json.loads(newer(fleet, "replay", "--verify", "--json").stdout)
    assert replayed["ok"]
    assert [(one["epoch"], one["decisions"]) for one in replayed["earlier"]] == [(1, len(first))]
    assert "is in epoch 2" in run("replay", status=1).stderr
