"""Faults of limits: memory, descriptors, sessions, places and locks that others use up."""

from __future__ import annotations

import time
from typing import Final

from lab.faults.base import Fault
from lab.furnish import API_MEMORY_MB, GATE_PLACES, SEARCH_FILES_MAX
from lab.health import get
from lab.site import API, DB, GATE, SEARCH, WORKER

REPORT_MB: Final = 8
REPORTS_PER_S: Final = 25.0


class DatabaseLock(Fault):
    """A stray process holds an exclusive transaction on the worker's SQLite file and never ends it."""

    name = "database_lock"
    service = WORKER
    pattern = "database_lock"
    heals = "process.kill_blocker"
    tells = "a stray process holds the worker's database locked"

    def _break(self) -> None:
        self._pid()
        self._let_in("lock", str(self.site.database))
        self._await_rogue()


class Sessions(Fault):
    """A stray client opens all sessions that the database allows, and leaves them idle."""

    name = "sessions"
    service = DB
    pattern = "database_connection"
    heals = "process.end_idle_sessions"
    tells = "a stray client's idle sessions use up the database's limit"

    def _break(self) -> None:
        self._pid()
        self._let_in("sessions", str(self.site.ports[DB]))
        self._await_rogue()


class Leak(Fault):
    """Ever more reports are asked of the API, whose cache keeps them all, until its memory limit is reached."""

    name = "leak"
    service = API
    pattern = "out_of_memory"
    heals = "process.restart"
    tells = "the API's memory grows until every answer is a MemoryError"

    def _break(self) -> None:
        self._pid()
        self._until_broken(4 * API_MEMORY_MB // REPORT_MB, self._report)

    def _report(self, number: int) -> bool:
        time.sleep(1 / REPORTS_PER_S)
        target = f"/reports?key=q{number}-{time.time_ns()}&mb={REPORT_MB}"
        return status_of(self.site.ports[API], target) != 200 and not self.is_healthy()


class Descriptors(Fault):
    """Facets are asked for, and from then on each search leaves files open, until there is no descriptor left."""

    name = "descriptors"
    service = SEARCH
    pattern = "resource_exhaustion"
    heals = "process.restart"
    tells = "the search has too many open files to accept a connection"

    def _break(self) -> None:
        self._pid()
        status_of(self.site.ports[SEARCH], "/facets")
        self._until_broken(SEARCH_FILES_MAX, lambda _: status_of(self.site.ports[SEARCH], "/search?q=shop") != 200)


class Places(Fault):
    """Pages without a number are asked for until the gate, which never gives their places back, has none left."""

    name = "places"
    service = GATE
    pattern = "service_unavailable"
    heals = "process.restart"
    tells = "the gate answers 503 to everybody"

    def _break(self) -> None:
        self._pid()
        self._until_broken(2 * GATE_PLACES, lambda _: status_of(self.site.ports[GATE], "/page") == 503)


def status_of(port: int, target: str) -> int:
    """Return the status of an answer; 0 when there is none."""
    try:
        return get(port, target)[0]
    except OSError:
        return 0
