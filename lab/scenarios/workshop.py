"""A toolchain of six components (SEED_TABLES section 7), and the ways in which its components are broken for real."""

from __future__ import annotations

import http.client
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from msgspec import Struct
from msgspec.structs import replace

from lab import control, outside
from lab.company import Company
from lab.faults.base import Fault, FaultError
from lab.health import get
from lab.outside import WELL, behave
from lab.scenarios.own import break_down, company, process
from lab.services.component import ANALYSIS
from lab.services.search import packed
from lab.site import Site, free_ports
from streams.core.inventory import ProbeSpec, ServiceSpec, Switch
from streams.workers.clock import now_ms
from streams.workers.files import write_whole

COMPONENTS: Final = (
    "versioning",
    "build_pipeline",
    "runtime",
    "developer_tools",
    "shader_pipeline",
    "orchestrator",
)
STORE_OF: Final = "versioning"
"""It keeps its notes in a database of its own, the module store."""
MIRRORS: Final = ("mirror-a", "mirror-b")
JOB_SECONDS_MAX: Final = 0.9
"""Who wants a job done goes elsewhere after this."""
SLOW_MS: Final = 500
OPEN_FILES_MAX: Final = 48
SESSIONS_MAX: Final = 12
CUT_BYTES: Final = 40
"""Of a configuration: no whole JSON object."""
PROBE_MS: Final = 1_000
PROBE_TIMEOUT_MS: Final = 800
ARTEFACTS: Final = {f"artefact-{number}": f"v{number}" for number in range(50)}
PROGRAM: Final = b"from lab.services.component import main\n\nmain()\n"


class Component(Struct, frozen=True, kw_only=True):
    """A component as the lab knows it: its inventory entry, and the files and ports that it is broken by."""

    site: Site
    spec: ServiceSpec
    store_port: int

    @property
    def name(self) -> str:
        """What it is called."""
        return self.spec.name

    @property
    def program(self) -> Path:
        """The file that is run."""
        return Path(self.spec.argv[1])

    @property
    def configuration(self) -> Path:
        """The file with its configuration."""
        return Path(self.spec.config_files[0])

    @property
    def artefacts(self) -> Path:
        """The file with the checksum."""
        return Path(self.spec.config_files[1])

    def works(self) -> bool:
        """Have one job done, as those who use the component do, and say whether it was done in time."""
        began = time.monotonic()
        number = str(now_ms() % 1_000_000)
        try:
            status, body = get(self.spec.port, f"/job?number={number}")
            done = status == 200 and json.loads(body)["done"] == number
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            return False
        return done and time.monotonic() - began < JOB_SECONDS_MAX

    def say(self, path: str) -> int:
        """Return the status of an answer; 0 when there is none."""
        try:
            return get(self.spec.port, path)[0]
        except OSError:
            return 0


class Workshop(Struct, kw_only=True):
    """The six components of a run, with their peers beyond the fleet."""

    components: dict[str, Component] = {}
    peers: dict[str, int] = {}
    _peers: subprocess.Popen[bytes] | None = None

    def invited(self, site: Site) -> Company:
        """Make the files of all components on a fresh site."""
        names = [f"{name}-{peer}" for name in COMPONENTS for peer in (*MIRRORS, "analysis")]
        ports = free_ports(len(names) + len(COMPONENTS) + 1)
        self.peers = dict(zip(names, ports, strict=False))
        own = dict(zip((*COMPONENTS, "store"), ports[len(names) :], strict=True))
        self.components = {name: _component(site, name, own, self.peers) for name in COMPONENTS}
        specs = [one.spec for one in self.components.values()]
        serves = company(site, specs, serves=lambda: all(one.works() for one in self.components.values()))

        def start() -> None:
            self._peers = outside.started(site, self.peers)
            serves.start()

        def stop() -> None:
            serves.stop()
            if self._peers is not None:
                outside.end(self._peers)
                self._peers = None

        return Company(specs=serves.specs, start=start, stop=stop)


def _component(site: Site, name: str, ports: Mapping[str, int], peers: Mapping[str, int]) -> Component:
    home = site.root / name
    home.mkdir(parents=True, exist_ok=True)
    store = _store(home, ports["store"]) if name == STORE_OF else {}
    switches = {
        "mirror": Switch(kind="upstream", file=str(home / "mirror.switch"), values=MIRRORS),
        "analysis": Switch(kind="feature", file=str(home / "analysis.switch"), values=ANALYSIS),
    }
    artefacts = home / "artefacts.index"
    write_whole(artefacts, packed(ARTEFACTS))
    for switch in switches.values():
        write_whole(Path(switch.file), f"{switch.values[0]}\n".encode())
    config = {
        "port": ports[name],
        "artefacts": str(artefacts),
        "mirror_switch": switches["mirror"].file,
        "analysis_switch": switches["analysis"].file,
        "mirrors": {mirror: peers[f"{name}-{mirror}"] for mirror in MIRRORS},
        "analysis_port": peers[f"{name}-analysis"],
        "store": store,
        "slow_ms": SLOW_MS,
        "open_files_max": OPEN_FILES_MAX,
    }
    tool = (sys.executable, "-m", "lab.tools.end_idle_sessions", str(home / "store.json"))
    spec = process(
        site,
        name,
        "lab.services.component",
        config,
        port=ports[name],
        config_files=(str(home / "config.json"), str(artefacts)),
        checkpoint_dir=str(home / "checkpoints"),
        switches=switches,
        tools={"end_idle_sessions": tool} if store else {},
        probes=_probes(ports[name]),
    )
    program = home / "program.py"
    write_whole(program, PROGRAM)
    spec = replace(spec, argv=(sys.executable, str(program), "--config", spec.config_files[0]))
    return Component(site=site, spec=spec, store_port=ports["store"])


def _probes(port: int) -> tuple[ProbeSpec, ...]:
    url = f"http://127.0.0.1:{port}/health"
    return (
        ProbeSpec(kind="process", every_ms=PROBE_MS),
        ProbeSpec(kind="http", target=url, every_ms=PROBE_MS, timeout_ms=PROBE_TIMEOUT_MS),
    )


def _store(home: Path, port: int) -> dict[str, Any]:
    store = {
        "port": port,
        "sessions_max": SESSIONS_MAX,
        "secrets": {"tool": "tool", "shop": "shop", "admin": secrets.token_hex(16)},
    }
    write_whole(home / "store.json", json.dumps(store).encode(), 0o600)
    return store


# ---------------------------------------------------------------------------------------------------- how it is broken


class Breakage(Fault):
    """One way to break one component; each has a name of its own, as there are several of a kind."""

    kind: ClassVar[str]
    category: ClassVar[str]

    def __init__(self, component: Component, number: int) -> None:
        super().__init__(component.site)
        self.component = component
        self.name = f"{number:02} {self.kind}"  # type: ignore[misc]  # of a run's many, not of the class
        self.service = component.name  # type: ignore[misc]  # as above

    def is_healthy(self) -> bool:
        """Say whether the component does its jobs in time."""
        return self.component.works()

    def undo(self, caller: str) -> None:
        """Take the cause away and start the component anew; only for what was not healed."""
        self._note("undo", caller)
        self._mend()
        for action in ("process.stop", "process.rollback_config"):
            control.act_on(self.site, self.component.spec, action)

    def roll_out(self) -> None:
        """Stop and start the component, as who changes its configuration does."""
        for action in ("process.stop", "process.start"):
            control.act_on(self.site, self.component.spec, action)

    def cut_configuration(self) -> None:
        """Leave of the component's configuration a beginning that makes no sense."""
        path = self.component.configuration
        path.write_bytes(path.read_bytes()[:CUT_BYTES])

    def _mend(self) -> None:
        self.tidy("undo")

    def _set_back(self) -> bool:
        """Let the peers behave and put both switches back."""
        for peer in (*MIRRORS, "analysis"):
            behave(self.site, f"{self.service}-{peer}", WELL)
        moved = False
        for switch in self.component.spec.switches.values():
            path, normal = Path(switch.file), f"{switch.values[0]}\n"
            if path.read_text("ascii") != normal:
                write_whole(path, normal.encode())
                moved = True
        return moved

    def _pid(self) -> int:
        pid = control.pid_at(self.component.spec)
        if pid is None:
            raise FaultError(f"{self.name}: {self.service} does not run, so there is nothing to break")
        return pid


class SlowAnalysis(Breakage):
    """What analyses the component's jobs takes its time, and every job waits for it."""

    kind = pattern = "performance_degradation"
    category = "performance"
    heals = "process.degrade"
    tells = "jobs take longer than anybody waits"

    def _break(self) -> None:
        behave(self.site, f"{self.service}-analysis", "slow")


class MirrorDown(Breakage):
    """The mirror that the component fetches from hangs up."""

    kind = pattern = "service_dependency"
    category = "dependency"
    heals = "process.fallback"
    tells = "the component's first mirror is down"

    def _break(self) -> None:
        behave(self.site, f"{self.service}-{MIRRORS[0]}", "down")


class FilesLeftOpen(Breakage):
    """The component watches files from now on, and leaves some open with each job, up to its limit."""

    kind = pattern = "resource_exhaustion"
    category = "resource"
    heals = "process.restart"
    tells = "the component has too many open files"

    def _break(self) -> None:
        self._until_broken(OPEN_FILES_MAX, self._watch)

    def _watch(self, _number: int) -> bool:
        self.component.say("/watch")
        return not self.is_healthy()


class Damaged(Breakage):
    """Bytes in the middle of the component's artefacts are overwritten."""

    kind = pattern = "data_corruption"
    category = "disk"
    heals = "process.rollback_config"
    tells = "the component's artefacts are not what was written"

    def _break(self) -> None:
        path = self.component.artefacts
        data = bytearray(path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 16] = bytes(16)
        path.write_bytes(data)


class Crashed(Breakage):
    """The component gets a SIGSEGV."""

    kind = pattern = "process_crash"
    category = "process"
    heals = "process.restart"
    tells = "the component's process dies"

    def _break(self) -> None:
        break_down(self.site, self.component.spec, signal.SIGSEGV)


class Misconfigured(Breakage):
    """The component's configuration is cut in half, and the component restarted."""

    kind = pattern = "configuration_error"
    category = "configuration"
    heals = "process.rollback_config"
    tells = "the component does not start: its configuration makes no sense"

    def _break(self) -> None:
        self._pid()
        self.cut_configuration()
        self.roll_out()


class StoreFull(Breakage):
    """A client opens all sessions of the module store, and leaves them idle."""

    kind = pattern = "database_connection"
    category = "database"
    heals = "process.end_idle_sessions"
    tells = "a client's idle sessions use up the module store's limit"

    def _break(self) -> None:
        self._let_in("sessions", str(self.component.store_port))
        self._await_rogue()


KINDS: Final[dict[str, type[Breakage]]] = {
    kind.kind: kind for kind in (SlowAnalysis, MirrorDown, FilesLeftOpen, Damaged, Crashed, Misconfigured, StoreFull)
}
