"""The real edge of the actions' contract suite: a worker process, and the world told from what is there.

Processes, files, switches, jobs and requests are real. systemd, docker and Kubernetes are programs of those names that
note how they are called and keep what they are told: the same program under three names.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from streams.core.events import Command, OutcomeReported
from streams.core.inventory import ServiceSpec
from streams.workers import checkpoints, running
from streams.workers.checks import check
from streams.workers.frames import Ended
from streams.workers.journal import Journal, Position
from streams.workers.orders import RefusedError
from streams.workers.results import Surroundings
from streams.workers.running import Running
from tests.contract.actions_cases import SERVICE, End, World
from tests.contract.actions_fake import moment_of
from tests.workers.kit import Executor, until

PROGRAM = f"""#!{sys.executable} -IS
import json, os, sys, time
here = os.path.dirname(os.path.abspath(sys.argv[0]))
with open(here + "/calls", "a") as file:
    file.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
if os.path.exists(here + "/hangs"):
    time.sleep(60)
with open(here + "/state.json") as file:
    state = json.load(file)
options = dict(word.partition("=")[::2] for word in sys.argv[1:] if word.startswith("--"))
verb, *names = [word for word in sys.argv[1:] if not word.startswith("-")]
if verb == "rollout":
    verb = names[0]
if verb in ("start", "restart"):
    state["begun"] += verb == "restart" or not state["running"]
    state["running"] = True
elif verb == "stop":
    state["running"] = False
elif verb in ("reload", "kill"):
    state["reloaded"] += 1
elif verb == "undo":
    state["revision"] = 3 - state["revision"]
elif verb == "annotate":
    state["noted"] = int(names[1].partition("=")[2])
elif verb == "get":
    print(state["replicas"], state["noted"] or "", end="")
elif verb == "scale":
    replicas = int(options["--replicas"])
    state["begun"] += replicas > 0 and not state["replicas"]
    state["replicas"], state["running"] = replicas, replicas > 0
else:
    sys.exit("no such verb: " + verb)
with open(here + "/state.json", "w") as file:
    json.dump(state, file)
"""
JOB = 'import sys\nwith open(sys.argv[1] + "/jobs", "a") as file:\n    file.write("x")\n'
BLOCKER = (
    'import socket, time\nheld = socket.create_server(("127.0.0.1", 0))\n'
    "print(held.getsockname()[1], flush=True)\ntime.sleep(600)\n"
)
NAMES = ("systemctl", "docker", "kubectl")
KEPT_BY_PROGRAM = ("running", "begun", "reloaded", "replicas", "noted", "revision")


class Blocker:
    """A stranger on a port."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", BLOCKER], stdout=subprocess.PIPE, start_new_session=True
        )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    def lives(self) -> bool:
        """Say whether it still holds the port."""
        return self.process.poll() is None

    def end(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


class Real:
    """A host with one service, below ``root``. ``seen`` are the requests that its HTTP server has got.

    Without a worker nothing is run on it here: it is only arranged and looked at.
    """

    def __init__(self, root: Path, worker: Executor | None, seen: list[str]) -> None:
        self.root = root
        self.tools = root / "tools"
        self.blocker: Blocker | None = None
        self._worker = worker
        self._seen = seen
        self._seen_before = len(seen)
        self._journal: Journal | None = None
        self._service: subprocess.Popen[bytes] | None = None
        self._write()

    def _write(self) -> None:
        self.tools.mkdir()
        for name in NAMES:
            (self.tools / name).write_text(PROGRAM, "utf-8")
            (self.tools / name).chmod(0o755)
        (self.root / "service.py").write_text(SERVICE, "utf-8")
        (self.root / "job.py").write_text(JOB, "utf-8")

    @property
    def around(self) -> Surroundings:
        """What a worker is told of this host."""
        return Surroundings(checkpoints=str(self.root / "checkpoints"), tool_path=str(self.tools))

    def arrange(self, spec: ServiceSpec, before: World) -> None:
        """Bring the world about that is before an action."""
        self.spec = spec
        (self.tools / "state.json").write_text(json.dumps({name: getattr(before, name) for name in KEPT_BY_PROGRAM}))
        if before.switch:
            (self.root / "switch").write_text(f"{before.switch}\n")
        if before.log:
            (self.root / "orders.log").write_text(before.log)
        for number in range(before.caches):
            (self.root / "cache").mkdir(exist_ok=True)
            (self.root / "cache" / str(number)).write_bytes(b"x" * 1024)
        if before.kept:
            (self.root / "orders.toml").write_text("good")
            checkpoints.take(spec, self.root)
        if before.config:
            (self.root / "orders.toml").write_text(before.config)
        if before.running and spec.type == "process":
            self._launch(spec)

    def _launch(self, spec: ServiceSpec) -> None:
        marks = {running.SERVICE_VARIABLE: spec.pid_file}
        self._service = subprocess.Popen(spec.argv, env=marks, start_new_session=True)
        until((self.root / "begun").exists, "the start of the service")
        found = running.leftovers(spec)[0]
        running.record(spec, Running(found.identity, ""))

    def end(self) -> None:
        """End what was begun here (services are ended by the fixture of the directory)."""
        if self.blocker:
            self.blocker.end()
        if self._service:
            self._service.kill()
            self._service.wait()
        if self._journal:
            self._journal.close()

    def run(self, command: Command, *, dry_run: bool = False) -> End:
        """Have a real worker carry a command out."""
        assert self._worker
        self._worker.around = self.around
        before = self.world()
        ended = _end(self._worker.run(command, dry_run=dry_run))
        if self.spec.type == "process":
            self._wait(before, ended.code)
        return ended

    def _wait(self, before: World, code: str) -> None:
        """Give a process the time to begin, or to hear of a signal: only then is it told that it did."""
        if code == "started":
            until(lambda: self.world().begun > before.begun, "the start of the service")
        if code == "reloaded":
            until(lambda: self.world().reloaded > before.reloaded, "the signal")

    def deliver(self, command: Command) -> End:
        """Do as the pool does: take it into the journal, check it, have it done, write down its end."""
        if self._journal is None:
            self._journal = Journal.open(self.root / "pool")
            self._journal.begin(Position(0, -1, 0))
        for entry in self._journal.receive([(command.seq, command)], command.seq + 1, command.seq):
            try:
                check(entry.command, moment_of(self.spec))
                self._journal.start(command.id)
                ended = self.run(command)
            except RefusedError as error:
                ended = End("refused", ok=False, code=error.code, effect="none")
            self._journal.end(_outcome(command, ended))
        told = self._journal.outcome_of(command.id)
        assert told
        return End(told.status, told.ok, told.code, told.effect)

    def world(self) -> World:
        """Look at everything that an action may change."""
        managed = json.loads((self.tools / "state.json").read_text())
        if self.spec.type == "process":
            begun, reloaded = (len(self._read(name)) for name in ("begun", "reloaded"))
            managed |= {"running": running.find(self.spec) is not None, "begun": begun, "reloaded": reloaded}
        return World(
            **managed,
            switch=self._read("switch").strip(),
            config=self._read("orders.toml"),
            kept=len([path for path in (self.root / "kept").glob("*") if path.name.isdigit()]),
            caches=len(list((self.root / "cache").glob("*"))),
            log=self._read("orders.log"),
            older=self._read("orders.log.1"),
            jobs=len(self._read("jobs")),
            requests=len([one for one in self._seen[self._seen_before :] if one.startswith("POST")]),
            blocked=self.blocker is not None and self.blocker.lives(),
            healthy=not any(probe.target.endswith("/fail") for probe in self.spec.probes),
        )

    def calls(self) -> list[list[str]]:
        """Return how the programs were called."""
        return [json.loads(line) for line in self._read("tools/calls").splitlines()]

    def _read(self, name: str) -> str:
        path = self.root / name
        return path.read_text("utf-8") if path.exists() else ""


def _end(ended: Ended) -> End:
    return End(ended.status, ended.result.ok, ended.result.code, ended.result.effect)


def _outcome(command: Command, ended: End) -> OutcomeReported:
    return OutcomeReported(
        command_id=command.id,
        command_seq=command.seq,
        host=command.host,
        worker="executor_001",
        status=ended.status,
        ok=ended.ok,
        code=ended.code,
        effect=ended.effect,
        started_ms=0,
        finished_ms=0,
        skew_ms=0,
    )
