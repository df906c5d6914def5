"""One service that wears out, or does not: seconds of its metrics as an exporter beside it would send them.

A service is really used, really worn (memory that a cache keeps, sessions that nobody ends, a volume that fills up),
and whether it still does its work is found out by using it. What is told is what a client of the service and the
kernel can see; nothing of the course that was drawn is in it.
"""

from __future__ import annotations

import os
import random
import socket
import time
from abc import ABC, abstractmethod
from contextlib import closing, suppress
from typing import Any, ClassVar, Final

from msgspec import Struct

from lab import control
from lab.furnish import API_MEMORY_MB, SESSIONS_MAX
from lab.health import get, is_healthy
from lab.site import API, CACHE, DB, Site
from lab.tools.end_idle_sessions import ask
from streams.workers.proc import PROC

SECONDS_MAX: Final = 170
FAILED_LOOKS: Final = 2
"""Looks in a row at which a service did not work before it counts as failed: a single one may be a pause."""
AFTERWARDS_S: Final = 4
BALLAST_BYTES: Final = 32_768
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
COURSES: Final = {"exhaustion": 0.6, "stops": 0.15, "burst": 0.15, "quiet": 0.1}
"""What happens to a service, and how often: wear until it fails; wear that ends before; more load; nothing."""


class Course(Struct, frozen=True, kw_only=True):
    """What will happen: wear from ``onset_s`` on, ``seconds`` from none to all, up to ``stops_at`` (a share)."""

    name: str
    onset_s: int
    seconds: float
    stops_at: float
    requests_per_s: float

    def worn(self, second: int) -> float:
        """Return the share of the resource that is used up after so many seconds."""
        return min(max(second - self.onset_s, 0) / self.seconds, self.stops_at)

    def requests(self, second: int) -> float:
        """Return how many requests a second come on average."""
        more = 5.0 if self.name == "burst" and self.onset_s <= second < self.onset_s + 25 else 1.0
        return self.requests_per_s * more


class Recorded(Struct, frozen=True, kw_only=True):
    """A run: the service's type of wear, its course, when it failed (ms since 1970, 0: never), and what was told.

    ``queue_limit`` is what the inventory would say of it.
    """

    name: str
    wear: str
    course: str
    queue_limit: int
    failed_ms: int
    records: tuple[dict[str, float | int | str], ...]


def drawn(chance: random.Random) -> Course:
    """Return a course by chance."""
    name = chance.choices(tuple(COURSES), tuple(COURSES.values()))[0]
    stops_at = {"exhaustion": 1.5, "stops": chance.uniform(0.35, 0.75)}.get(name, 0.0)
    return Course(
        name=name,
        onset_s=chance.randint(25, 60),
        seconds=chance.uniform(40.0, 100.0),
        stops_at=stops_at,
        requests_per_s=chance.uniform(2.0, 6.0),
    )


class Wear(ABC):
    """A way to wear a service of its own kind out, and what can be measured of that."""

    name: ClassVar[str]
    service: ClassVar[str]
    queue_limit: ClassVar[int] = 0

    def __init__(self, site: Site) -> None:
        self.site = site
        self.pid = control.pid_of(site, self.service) or 0
        self._busy_ticks = self._ticks()

    @abstractmethod
    def use(self) -> bool:
        """Use the service once, as a customer; whether it did its work. ``OSError`` or ``ValueError``: it did not."""

    @abstractmethod
    def wear(self, share: float) -> None:
        """See to it that this share of the resource is used up."""

    @abstractmethod
    def measure(self) -> dict[str, float]:
        """Return what of the resource is in use, by name of metric."""

    @abstractmethod
    def end(self) -> None:
        """Let go of what was used up."""

    def cpu(self) -> float:
        """Return the processor time since the last call, in percent of a second of one core."""
        before, self._busy_ticks = self._busy_ticks, self._ticks()
        return max(100.0 * (self._busy_ticks - before) / TICKS_PER_S, 0.0)

    def _ticks(self) -> int:
        with suppress(OSError):
            fields = (PROC / str(self.pid) / "stat").read_bytes().rpartition(b") ")[2].split()
            return int(fields[11]) + int(fields[12])
        return 0


class Memory(Wear):
    """Reports that the API's cache keeps, up to its limit of address space."""

    name, service = "memory", API

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._held_mb = 0
        self._free_mb = API_MEMORY_MB - self._used_mb()

    def use(self) -> bool:
        """Ask for an order."""
        return get(self.site.ports[API], f"/orders/{time.time_ns() % 1_000_000}")[0] == 200

    def wear(self, share: float) -> None:
        """Ask for as many reports, of a megabyte each, as make up the share of what was free."""
        while self._held_mb < share * self._free_mb:
            self._held_mb += 1
            get(self.site.ports[API], f"/reports?key=worn-{self._held_mb}&mb=1")

    def end(self) -> None:
        """Nothing: the memory is the service's."""

    def measure(self) -> dict[str, float]:
        """Return the share of its address space that is in use."""
        return {"memory": 100.0 * self._used_mb() / API_MEMORY_MB}

    def _used_mb(self) -> float:
        with suppress(OSError):
            pages = (PROC / str(self.pid) / "statm").read_bytes().split()[0]
            return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20
        return 0.0


class Sessions(Wear):
    """Sessions of the database that a client opens and never ends."""

    name, service = "sessions", DB
    queue_limit = SESSIONS_MAX

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._held: list[socket.socket] = []

    def use(self) -> bool:
        """Store a value."""
        return ask(self.site.ports[DB], "shop", "shop", f"PUT number {time.time_ns() % 1_000_000}") == ["OK"]

    def wear(self, share: float) -> None:
        """Open sessions up to the share of the limit, and leave them idle."""
        while len(self._held) < min(share, 1.0) * SESSIONS_MAX:
            session = socket.create_connection(("127.0.0.1", self.site.ports[DB]), 2.0)
            session.sendall(b"LOGIN shop shop\n")
            if not session.recv(64).startswith(b"OK"):
                session.close()
                return
            self._held.append(session)

    def measure(self) -> dict[str, float]:
        """Return how many sessions are in use."""
        return {"queue_depth": float(len(self._held))}

    def end(self) -> None:
        """End the sessions."""
        for session in self._held:
            session.close()


class Volume(Wear):
    """Files of others on the cache's volume."""

    name, service = "disk", CACHE

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._entries = site.volume("a") / "entries"
        found = os.statvfs(self._entries)
        self._size = found.f_blocks * found.f_frsize
        self._files = 0

    def use(self) -> bool:
        """Keep an entry and read it again."""
        key = f"order-{time.time_ns() % 40}"
        stored = get(self.site.ports[CACHE], f"/put?key={key}&value=7")[0] == 200
        return stored and get(self.site.ports[CACHE], f"/get?key={key}")[0] == 200

    def wear(self, share: float) -> None:
        """Write files up to the share of the volume."""
        with suppress(OSError):
            while self._files * BALLAST_BYTES < share * self._size:
                (self._entries / f"ballast-{self._files}").write_bytes(bytes(BALLAST_BYTES))
                self._files += 1

    def measure(self) -> dict[str, float]:
        """Return the share of the volume that is in use."""
        found = os.statvfs(self._entries)
        return {"disk": 100.0 * (1.0 - found.f_bavail / found.f_blocks)}

    def end(self) -> None:
        """Nothing: the volume is unmounted with the site."""


WEARS: Final[tuple[type[Wear], ...]] = (Memory, Sessions, Volume)


def record(site: Site, kind: type[Wear], course: Course, name: str, chance: random.Random) -> Recorded:
    """Use and wear a started service for up to ``SECONDS_MAX`` seconds, and return what was measured."""
    worn = kind(site)
    records: list[dict[str, Any]] = []
    failed_ms = broken = 0
    began = time.monotonic()
    with closing(_Ending(worn)):
        for second in range(SECONDS_MAX):
            time.sleep(max(began + second - time.monotonic(), 0.0))
            with suppress(OSError, ValueError):
                worn.wear(course.worn(second))
            at_ms = time.time_ns() // 1_000_000
            works = is_healthy(site, kind.service)
            records.append(
                {"ts": at_ms, "service": name, **_second(worn, course.requests(second), chance, works=works)}
            )
            broken = 0 if works else broken + 1
            if broken == FAILED_LOOKS and not failed_ms:
                failed_ms = records[-FAILED_LOOKS]["ts"]
            if broken >= FAILED_LOOKS + AFTERWARDS_S:
                break
    return Recorded(
        name=name,
        wear=kind.name,
        course=course.name,
        queue_limit=kind.queue_limit,
        failed_ms=failed_ms,
        records=tuple(records),
    )


def _second(worn: Wear, requests_per_s: float, chance: random.Random, *, works: bool) -> dict[str, float]:
    """Use the service for most of a second; return its metrics."""
    took_ms: list[float] = []
    failures = 0
    began = time.monotonic()
    for _ in range(max(round(chance.gauss(requests_per_s, requests_per_s**0.5)), 1)):
        if time.monotonic() - began > 0.8:
            break
        asked = time.monotonic()
        try:
            failures += not worn.use()
        except (OSError, ValueError):
            failures += 1
        took_ms.append((time.monotonic() - asked) * 1000.0)
    figures = {
        "cpu": worn.cpu(),
        "response_time": sum(took_ms) / len(took_ms),
        "throughput": float(len(took_ms)),
        "error_rate": 100.0 * failures / len(took_ms),
        "availability": 100.0 if works else 0.0,
        **worn.measure(),
    }
    return {metric: round(value, 3) for metric, value in figures.items()}


class _Ending:
    """Lets go of what was used up when a run ends, however it ends."""

    def __init__(self, worn: Wear) -> None:
        self.close = worn.end
