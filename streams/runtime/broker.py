"""The embedded Kafka: one KRaft node of ours, whose data outlives it.

Nothing of the host's is used but a directory and two ports on 127.0.0.1: the jars come through a Maven resolver, Java
from a package. See README.md in this room for how it is owned and how it ends.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from msgspec import Struct
from msgspec import json as msgspec_json

from streams import telemetry
from streams.core.errors import InputError
from streams.runtime import broker_config, ownership
from streams.runtime.address import address_file, write_address, write_whole
from streams.runtime.broker_config import JAVA_ENVIRONMENT
from streams.runtime.jars import kafka_jars, run_to_end
from streams.runtime.java_archive import usable_archive
from streams.runtime.tether import tethered
from streams.settings import Settings

HOST: Final = "127.0.0.1"
PREFERRED_PORT: Final = 9092
DISK_FREE_MIN: Final = 512 * 1024**2
START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 15.0
FORMAT_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.05
PORTS_TRIED_MAX: Final = 5
"""How often other ports are tried when somebody takes the chosen ones before the broker does."""

TAKEN: Final = "its port is taken: set LOGMEND_BROKER_PORT to a free one"
CAUSES: Final = (
    ("No space left on device", "the disk is full: free some space, or set LOGMEND_DATA_DIR to another disk"),
    ("Address already in use", TAKEN),
    ("OutOfMemoryError", "it ran out of memory"),
    ("Permission denied", "it may not write there: check the owner of the directory"),
    ("AccessDeniedException", "it may not write there: check the owner of the directory"),
)

Progress = Callable[[str], None]


class _Ports(Struct, frozen=True):
    """The ports of the last start, which clients may remember."""

    broker: int = PREFERRED_PORT
    controller: int = PREFERRED_PORT + 1


class _TakenError(InputError):
    """Somebody took a port between its choice and the broker's start."""


class EmbeddedBroker:
    """Starts, watches and stops the broker of one data directory. May be started again after it stopped or died."""

    def __init__(self, settings: Settings, progress: Progress | None = None) -> None:
        self._settings = settings
        self._home = settings.data_dir / "kafka"
        self._progress: Progress = progress or (lambda _: None)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = -1
        self.address = ""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def running(self) -> bool:
        """Whether the broker's process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the broker; 0 when none was started."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Return when the broker serves on ``address``. Raises ``InputError`` in one line when it can't."""
        began = time.monotonic()
        self._prepare_directory()
        if self._lock < 0:
            self._lock = await ownership.acquire(self._settings.data_dir)
        try:
            await self._start_owned()
        except BaseException:
            await self.stop()
            raise
        telemetry.broker_up(self.address, round(time.monotonic() - began, 3))

    async def stop(self) -> None:
        """End the broker in order (SIGTERM, after 15 s SIGKILL) and let go of the directory."""
        if self._process is not None:
            self._process.terminate()
            await self._ended(STOP_TIMEOUT_S)
        self.kill()

    def kill(self) -> None:
        """End the broker at once, as a crash would, and let go of the directory."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            address_file(self._settings.data_dir).unlink(missing_ok=True)
            telemetry.broker_down("stopped", expected=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def died(self) -> str:
        """Return when the broker's process has ended by itself, with the cause in one line."""
        while self.running:  # noqa: ASYNC110 - a Popen belongs to no loop, so nothing could set an event
            await asyncio.sleep(4 * POLL_S)
        cause = self._cause()
        telemetry.broker_down(cause, expected=False)
        return cause

    def _prepare_directory(self) -> None:
        directory = self._settings.data_dir
        if any(character in str(directory) for character in ",\\\n$"):
            raise InputError(f"LOGMEND_DATA_DIR is {str(directory)!r}; allowed: a path without , \\ $ and line ends")
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._home.mkdir(exist_ok=True)
            with contextlib.suppress(PermissionError):  # somebody else's is as they want it
                self._home.chmod(0o700)  # it holds what producers sent, secrets too
            for path in (directory / "run", self._home / "tmp", self._home / "data"):
                path.mkdir(exist_ok=True)
            free = shutil.disk_usage(directory).free
        except OSError as error:
            raise InputError(f"{directory}: {error.strerror}: set LOGMEND_DATA_DIR to a writable directory") from error
        if free < DISK_FREE_MIN:
            raise InputError(
                f"the disk of {directory} has {free >> 20} MB free and the broker needs {DISK_FREE_MIN >> 20}: "
                "free some space, or set LOGMEND_DATA_DIR to another disk"
            )

    async def _start_owned(self) -> None:
        self._progress("looking for Kafka (the first time it is downloaded, 45 MB, and prepared)")
        jars = await kafka_jars()
        for left in reversed(range(PORTS_TRIED_MAX)):
            try:
                await self._start_on(self._choose_ports(), jars)
                break
            except _TakenError:
                if self._settings.broker_port or not left:
                    raise
        write_address(self._settings.data_dir, self.address, self.pid)

    async def _start_on(self, ports: _Ports, jars: Sequence[Path]) -> None:
        """Return when the broker serves on these ports."""
        self._sweep()
        properties = self._write_configuration(ports)
        if not (self._home / "data" / "meta.properties").exists():
            self._progress("formatting the log directory")
            await self._format(jars, properties)
        self._progress(f"starting Kafka on {HOST}:{ports.broker}")
        archive = usable_archive(jars)
        self._spawn(broker_config.java(jars, self._home, "kafka.Kafka", str(properties), archive=archive))
        self.address = f"{HOST}:{ports.broker}"
        await self._serving(ports.broker)

    def _sweep(self) -> None:
        """Remove what a killed broker left: unpacked native libraries; put its log aside."""
        shutil.rmtree(self._home / "tmp", ignore_errors=True)
        (self._home / "tmp").mkdir()
        with contextlib.suppress(FileNotFoundError):
            (self._home / "broker.log").replace(self._home / "broker.log.1")

    def _choose_ports(self) -> _Ports:
        """Take the setting's port or fail; else the last start's if it is free, else any."""
        remembered = self._home / "ports.json"
        last = _Ports()
        with contextlib.suppress(OSError, ValueError):
            last = msgspec_json.decode(remembered.read_bytes(), type=_Ports)
        wanted = self._settings.broker_port
        if wanted and not _is_free(wanted):
            raise InputError(f"port {wanted} is taken: set LOGMEND_BROKER_PORT to a free one, or to 0")
        broker = wanted or (last.broker if _is_free(last.broker) else _any_port())
        fits = last.controller != broker and _is_free(last.controller)
        ports = _Ports(broker, last.controller if fits else _any_port())
        write_whole(remembered, msgspec_json.encode(ports))
        return ports

    def _write_configuration(self, ports: _Ports) -> Path:
        properties = self._home / "server.properties"
        text = broker_config.server_properties(self._home / "data", ports.broker, ports.controller)
        write_whole(properties, text.encode())
        logging = broker_config.logging_properties(self._home / "broker.log")
        write_whole(self._home / "log4j2.properties", logging.encode())
        return properties

    async def _format(self, jars: Sequence[Path], properties: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        arguments = ("format", "--ignore-formatted", f"--cluster-id={cluster}", "-c", str(properties))
        command = broker_config.java(
            jars, self._home, "kafka.tools.StorageTool", *arguments, archive=usable_archive(jars)
        )
        status, _, problem = await run_to_end(command, FORMAT_TIMEOUT_S, JAVA_ENVIRONMENT)
        if status:
            raise InputError(f"Kafka's directory {self._home / 'data'} can't be formatted: {problem}")

    def _spawn(self, command: list[str]) -> None:
        """Start Java in a session of its own (a terminal's Ctrl-C is ours to pass on), holding our lock's file."""
        with (self._home / "output.log").open("wb") as output:
            self._process = subprocess.Popen(
                tethered(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=JAVA_ENVIRONMENT,
                pass_fds=(self._lock,),
                start_new_session=True,
            )

    async def _serving(self, port: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.running:
                cause = self._cause()
                kind = _TakenError if cause == TAKEN else InputError
                raise kind(f"the embedded broker did not start: {cause}")
            if self._listens(port) and await _has_broker(self.address):
                return
            await asyncio.sleep(POLL_S)
        raise InputError(f"the embedded broker did not serve within {START_TIMEOUT_S:.0f} s: {self._cause()}")

    def _listens(self, port: int) -> bool:
        """Whether it is our process that listens there: another broker may have taken the port just before."""
        with contextlib.suppress(psutil.Error):
            sockets = psutil.Process(self.pid).net_connections("tcp")
            return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in sockets)
        return False

    async def _ended(self, seconds: float) -> None:
        for _ in range(int(seconds / POLL_S)):
            if not self.running:
                return
            await asyncio.sleep(POLL_S)

    def _cause(self) -> str:
        """Say from what it wrote why the broker ended."""
        texts = [_tail(self._home / name) for name in ("broker.log", "output.log")]
        for sign, cause in CAUSES:
            if any(sign in text for text in texts):
                return cause
        lines = [line for text in texts for line in text.splitlines() if " ERROR " in line or " FATAL " in line]
        return f"{lines[-1][:200] if lines else 'it was killed'}; see {self._home / 'broker.log'}"


def _tail(path: Path, size_bytes: int = 65_536) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size_bytes))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def _has_broker(address: str) -> bool:
    """Whether the node answers and knows of itself, so that topics can be made."""
    client = AIOKafkaClient(bootstrap_servers=address, request_timeout_ms=5_000)
    try:
        await client.bootstrap()
        return bool(client.cluster.brokers())
    except KafkaError:
        return False
    finally:
        await client.close()
