"""What the pool's tests share: commands, a log in files that survives kill -9, services that count their starts."""

from __future__ import annotations

import asyncio
import fcntl
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import msgspec

from streams.catalogue.actions import actions
from streams.codec import decode
from streams.core.base import Event
from streams.core.commands import command_sha256
from streams.core.config import Inventory, canonical
from streams.core.directory import Directory
from streams.core.events import Argument, Command, OutcomeReported
from streams.core.inventory import ServiceSpec
from streams.ports import Fetched, Outgoing, Poller, TopicPartition
from streams.topics import Topics
from streams.workers import proc, running
from streams.workers.frames import Answer, Ended, Frames, Ping, Run, pack
from streams.workers.results import Surroundings
from streams.workers.roles import role_of

HOST = "h1"
TOPICS = Topics()
PATIENCE_SECONDS = 90.0
SERVICE = """
import os, signal, socket, sys, time
options = dict(item.split("=", 1) for item in sys.argv[1:])
if "fails_with" in options and os.path.exists(options["fails_with"]):
    sys.exit(3)
if "deaf" in options:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "forks" in options and os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "port" in options:
    held = socket.create_server(("127.0.0.1", int(options["port"])))
print("up", flush=True)
while True:
    time.sleep(0.05)
"""
STARTED = """#!/bin/sh
echo "${LOGMEND_COMMAND_ID:--}" >> "$1"
shift
exec "$@"
"""
"""Writes a start down as the first thing that a service does: an interpreter may take a while to begin."""


def process_spec(root: Path, name: str = "api", *options: str, **fields: Any) -> ServiceSpec:
    """Return a service of mode auto that writes a line to ``<root>/<name>.starts`` whenever it starts."""
    started, script = root / "started", root / "service.py"
    if not started.exists():  # it may be running: then nobody may write to it
        started.write_text(STARTED, "ascii")
        started.chmod(0o755)
    script.write_text(SERVICE, "utf-8")
    given: dict[str, Any] = {
        "host": HOST,
        "mode": "auto",
        "argv": (str(started), f"{root}/{name}.starts", sys.executable, "-I", "-S", str(script), *options),
        "cwd": str(root),
        "pid_file": str(root / f"{name}.pid"),
        "log_file": str(root / f"{name}.log"),
        "checkpoint_dir": str(root / f"{name}.checkpoints"),
    }
    return ServiceSpec(name=name, **{**given, **fields})


def http_spec(port: int, name: str = "web", **fields: Any) -> ServiceSpec:
    """Return an HTTP service of mode auto with a call that changes something and one that only reads."""
    calls = {"restart": "POST /restart", "status": "GET /status", "slow": "POST /slow", "fail": "POST /fail"}
    given: dict[str, Any] = {"host": HOST, "mode": "auto", "type": "http", "calls": calls}
    return ServiceSpec(name=name, **{**given, "base_url": f"http://127.0.0.1:{port}", **fields})


def command(spec: ServiceSpec, action: str, seq: int = 0, previous_seq: int = -1, **fields: Any) -> Command:
    """Return a command as decide would write it; fields replace its own before it is hashed."""
    arguments = fields.pop("arguments", {})
    given: dict[str, Any] = {
        "id": f"1-{seq}-0",
        "seq": seq,
        "previous_seq": previous_seq,
        "epoch": 1,
        "kind": "recovery",
        "incident": "1-0-0",
        "host": spec.host,
        "service": spec.name,
        "service_type": spec.type,
        "strategy": "restart",
        "action": action,
        "arguments": tuple(Argument(name=name, value=value) for name, value in arguments.items()),
        "target": canonical(spec),
        "repeatable": action in actions() and actions()[action].repeatable,
        "attempt": 1,
        "timeout_ms": 10_000,
        "expires_ms": now_ms() + 60_000,
        "sha256": "",
        "approved_by": "",
    }
    bare = Command(**{**given, **fields})
    return bare if bare.sha256 else msgspec.structs.replace(bare, sha256=command_sha256(bare))


def now_ms() -> int:
    """Return the time."""
    return time.time_ns() // 1_000_000


def starts(root: Path, name: str = "api") -> list[str]:
    """Return which command each start of a service was for (``-``: none)."""
    path = root / f"{name}.starts"
    return path.read_text("ascii").split() if path.exists() else []


def until(holds: Callable[[], object], what: str = "it") -> None:
    """Wait until something holds; fail when it never does. Looking takes a quarter of the time at most."""
    give_up = (began := time.monotonic()) + PATIENCE_SECONDS
    while not holds():
        now = time.monotonic()
        assert now < give_up, f"{what} did not happen in {PATIENCE_SECONDS} s"
        time.sleep(max(0.02, 3 * (now - began)))
        began = time.monotonic()


def end_services(root: Path) -> None:
    """Kill everything that was started for a service whose pid file lies under ``root``."""
    for status in proc.own_processes():
        if proc.environment_of(status.pid).get(running.SERVICE_VARIABLE, "").startswith(str(root)):
            proc.send(status.identity, signal.SIGKILL)


class Executor:
    """A real worker process, spoken to as its manager does. Commands of other roles are run by workers of theirs."""

    def __init__(self, root: Path, role: str = "executor") -> None:
        self._root = root
        self._role = role
        self._others: dict[str, Executor] = {}
        self.around = Surroundings(checkpoints=str(root / "checkpoints"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streams.workers.worker", role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "SECRET_OF_THE_POOL": "x", "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert self.process.stdin
        assert self.process.stdout
        self._inlet, self._outlet = self.process.stdin, self.process.stdout
        self._frames = Frames(Answer)
        self._owed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for other in self._others.values():
            other.__exit__()
        self._inlet.close()
        self._outlet.close()
        self.process.wait()

    @property
    def idle(self) -> bool:
        """Whether the process lives and has answered all that it was sent, and those of other roles too."""
        return not self._owed and self.process.poll() is None and all(one.idle for one in self._others.values())

    def send(self, command: Command, *, dry_run: bool = False, give_up_ms: int = 0) -> None:
        """Hand a command to the worker."""
        run = Run(
            command=command,
            give_up_ms=give_up_ms or now_ms() + 60_000,
            dry_run=dry_run,
            surroundings=self.around,
        )
        self._write(pack(run))

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._write(pack(Ping(1)))

    def _write(self, frame: bytes) -> None:
        self._owed += 1
        self._inlet.write(frame)
        self._inlet.flush()

    def answers(self, count: int = 1) -> list[object]:
        """Return the next answers of the worker."""
        found: list[object] = []
        while len(found) < count:
            data = os.read(self._outlet.fileno(), 65_536)
            assert data, "the worker is gone"
            found += self._frames.feed(data)
        self._owed -= len(found)
        return found

    def run(self, command: Command, *, dry_run: bool = False, give_up_ms: int = 0) -> Ended:
        """Have a command carried out and return its end."""
        role = role_of(command.action)
        if role not in {"", self._role}:
            if role not in self._others:
                self._others[role] = Executor(self._root, role)
            self._others[role].around = self.around
            return self._others[role].run(command, dry_run=dry_run, give_up_ms=give_up_ms)
        self.send(command, dry_run=dry_run, give_up_ms=give_up_ms)
        (ended,) = self.answers()
        assert isinstance(ended, Ended)
        return ended


_event = lru_cache(maxsize=10_000)(decode)


class FileLog:
    """A ``ports.Log`` of one file per topic, shared by processes; a process that dies leaves whole records only.

    ``ahead_ms`` is how far the broker's clock is ahead of ours.
    """

    def __init__(self, root: Path, ahead_ms: int = 0) -> None:
        self.root = root
        self.ahead_ms = ahead_ms
        self._known: dict[str, tuple[int, list[Fetched]]] = {}
        """Of each topic how many bytes were read, and what is in them: many look at it, many times a second."""
        root.mkdir(exist_ok=True)

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append in order."""
        return [self.put(record) for record in records]

    def put(self, record: Outgoing) -> int:
        """Append one record and return its offset."""
        with (self.root / record.topic).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            offset = (self.root / record.topic).read_bytes().count(b"\n")
            line = msgspec.json.encode((offset, now_ms() + self.ahead_ms, record.key, record.value))
            file.write(line + b"\n")
            file.flush()
        return offset

    def records(self, topic: str) -> list[Fetched]:
        """Return every record of a topic."""
        path = self.root / topic
        size, rows = self._known.get(topic, (0, []))
        if path.exists() and path.stat().st_size > size:
            with path.open("rb") as file:
                file.seek(size)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            rows = rows + [
                Fetched(topic, 0, *msgspec.json.decode(line, type=tuple[int, int, bytes | None, bytes | None]))
                for line in whole.splitlines()
            ]
            self._known[topic] = size + len(whole), rows
        return rows

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Fetched]:
        """Return up to five records."""
        return [one for one in self.records(where.topic) if start <= one.offset < end][:5]

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """Return (earliest offset, offset after the last record)."""
        return 0, len(self.records(where.topic))

    async def poll(self, positions: Mapping[TopicPartition, int]) -> list[tuple[TopicPartition, list[Fetched]]]:
        """Return what is new, after a quarter of a second at most."""
        for _ in range(25):
            batch = [(where, self.records(where.topic)[offset:]) for where, offset in positions.items()]
            if any(records for _, records in batch):
                return [(where, records) for where, records in batch if records]
            await asyncio.sleep(0.01)
        return []

    def events(self, topic: str) -> list[Event]:
        """Return what the records of a topic say."""
        return [_event(record.value or b"") for record in self.records(topic)]

    def outcomes(self) -> dict[str, list[OutcomeReported]]:
        """Return all outcomes that were told, by command."""
        found: dict[str, list[OutcomeReported]] = {}
        for event in self.events(TOPICS.inbox_workers):
            if isinstance(event, OutcomeReported):
                found.setdefault(event.command_id, []).append(event)
        return found


class FileView:
    """What the pool sees of the fleet, from a file that the test writes."""

    def __init__(self, root: Path) -> None:
        self.path = root / "view.json"
        self.directory = Directory()

    def write(self, *services: ServiceSpec, halted_by: str = "", epoch: int = 1) -> None:
        """Set inventory, kill switch and epoch."""
        beside = self.path.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode((Inventory(services=services), halted_by, epoch)))
        beside.replace(self.path)

    async def follow(self, poller: Poller) -> None:
        """Read the file for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(0.1)

    async def refresh(self) -> None:
        """Read the file."""
        inventory, halted_by, epoch = msgspec.json.decode(self.path.read_bytes(), type=tuple[Inventory, str, int])
        self.directory.inventory = inventory
        self.directory.halted_by = halted_by
        self.directory.epoch = epoch


@contextmanager
def target() -> Iterator[tuple[int, list[str]]]:
    """Serve HTTP; yield the port and the list of ``METHOD path idempotency-key body`` that came."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            seen.append(f"{self.command} {self.path} {self.headers.get('Idempotency-Key', '')} {body}".strip())
            if self.path == "/slow":
                time.sleep(3.0)
            self.send_response({"/fail": 500, "/moved": 302}.get(self.path, 200))
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
