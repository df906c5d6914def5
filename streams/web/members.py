"""The pool and the hosts as they are now: from heartbeats, and from what host agents tell."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from streams.core.beside import Heartbeat
from streams.core.events import ProbeReported, Sample
from streams.core.inventory import HOST_KINDS
from streams.web.states import Host, HostProbe, Worker

SILENT_MS: Final = 30_000
HUNG_MS: Final = 60_000
GONE_MS: Final = 300_000
"""Who is silent for that long belongs to the pool no longer; of a worker that said that it stops, ``SILENT_MS``."""
WORKERS_MAX: Final = 5_000
HOSTS_MAX: Final = 1_000
AGENT_SILENT_MS: Final = 90_000
"""Three looks of a host agent."""
HOST_GONE_MS: Final = 86_400_000
"""A host without workers whose agent is silent for that long was taken down, and is nobody's worry any more."""
ROLES: Final = ("architect", "coder", "executor", "critic", "deployer")
SHOWN: Final = frozenset({"cpu", "memory", "disk"})


class _Beat(Struct):
    event: Heartbeat
    stamp_ms: int


class _Look(Struct):
    values: dict[str, float] = {}
    of_ms: dict[str, int] = {}
    probes: dict[str, HostProbe] = {}
    at_ms: int = 0


class Members(Struct):
    """All workers that gave a sign of life lately, and the hosts that they run on."""

    beats: dict[tuple[str, str], _Beat] = field(default_factory=dict)
    looks: dict[str, _Look] = field(default_factory=dict)

    def beat(self, event: Heartbeat, stamp_ms: int) -> None:
        """Take a heartbeat with the broker's stamp; of a worker that is known the later one counts."""
        key = event.host, event.worker
        if key not in self.beats and len(self.beats) >= WORKERS_MAX:
            return
        self.beats[key] = _Beat(event, stamp_ms)
        self._host(event.host)

    def saw(self, sample: Sample) -> bool:
        """Take a reading of a host; False when it is none."""
        if sample.metric not in SHOWN or sample.host != sample.service:
            return False
        look = self._host(sample.service)
        if look is None:
            return False
        if sample.at_ms > look.of_ms.get(sample.metric, 0):
            look.values[sample.metric] = sample.max if sample.metric == "disk" else sample.last
            look.of_ms[sample.metric] = sample.at_ms
        look.at_ms = max(look.at_ms, sample.at_ms)
        return True

    def probed(self, event: ProbeReported) -> bool:
        """Take what a host agent found of its host; False when it is about something else."""
        if event.kind not in HOST_KINDS or event.host != event.service:
            return False
        look = self._host(event.host)
        if look is None:
            return False
        look.probes[event.kind] = HostProbe(kind=event.kind, ok=event.ok, code=event.code, at_ms=event.at_ms)
        look.at_ms = max(look.at_ms, event.at_ms)
        return True

    def forget(self, now_ms: int) -> bool:
        """Let go of who is gone; True when somebody was."""
        old = [key for key, beat in self.beats.items() if now_ms - beat.stamp_ms > _kept_ms(beat.event)]
        for key in old:
            del self.beats[key]
        here = {host for host, _ in self.beats}
        down = [name for name, look in self.looks.items() if name not in here and now_ms - look.at_ms > HOST_GONE_MS]
        for name in down:
            del self.looks[name]
        return bool(old or down)

    def workers(self, now_ms: int) -> list[Worker]:
        """Return the workers by host and id."""
        return [_worker(self.beats[key], now_ms) for key in sorted(self.beats)]

    def hosts(self, now_ms: int) -> list[Host]:
        """Return the hosts by name."""
        return [_host(name, self.looks[name], now_ms) for name in sorted(self.looks)]

    def statuses(self, now_ms: int) -> tuple[str, ...]:
        """Return what a change of time alone may change."""
        return (*(one.status for one in self.workers(now_ms)), *(one.status for one in self.hosts(now_ms)))

    def _host(self, name: str) -> _Look | None:
        look = self.looks.get(name)
        if look is None and len(self.looks) < HOSTS_MAX:
            look = self.looks[name] = _Look()
        return look


def _kept_ms(event: Heartbeat) -> int:
    return SILENT_MS if event.state == "stopping" else GONE_MS


def _worker(beat: _Beat, now_ms: int) -> Worker:
    event, age_ms = beat.event, max(now_ms - beat.stamp_ms, 0)
    status = "healthy" if age_ms <= SILENT_MS else "silent" if age_ms <= HUNG_MS else "hung"
    return Worker(
        id=event.worker,
        role=event.role,
        host=event.host,
        pid=event.pid,
        state=event.state,
        status=status,
        tasks=event.tasks,
        errors=event.errors,
        uptime_ms=max(now_ms - event.started_ms, 0),
        age_ms=age_ms,
        specialist=event.role not in ROLES,
    )


def _host(name: str, look: _Look, now_ms: int) -> Host:
    status = "none" if not look.at_ms else "active" if now_ms - look.at_ms <= AGENT_SILENT_MS else "silent"
    return Host(
        name=name,
        status=status,
        cpu=look.values.get("cpu"),
        memory=look.values.get("memory"),
        disk=look.values.get("disk"),
        at_ms=look.at_ms,
        probes=tuple(look.probes[kind] for kind in sorted(look.probes)),
    )
