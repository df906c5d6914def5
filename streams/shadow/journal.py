"""What shadow mode keeps: an SQLite file in the data directory, apart from everything that acts.

Position, counts and differences are written in one transaction, so that each fact is counted once, whatever happens.
A **run** is one candidate on one fleet; the same candidate goes on with its run after a restart. The file may be
queried while it is written: tables ``runs``, ``counts`` and ``differences``.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from streams.core.errors import InputError
from streams.core.events import ConfigApplied, Decision
from streams.shadow.divergence import SUBJECTS_MAX, Difference

FILE: Final = "shadow.sqlite"
DIFFERENCES_MAX: Final = 100_000
"""Of all runs together; the oldest leave first, and stay in the counts. About 300 MB."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS runs (
    run INTEGER PRIMARY KEY, fleet TEXT NOT NULL, policy_sha256 TEXT NOT NULL, policy TEXT NOT NULL,
    first_offset INTEGER NOT NULL, next_offset INTEGER NOT NULL, facts INTEGER NOT NULL, missed INTEGER NOT NULL,
    repeats INTEGER NOT NULL, failures INTEGER NOT NULL, incidents_parted INTEGER NOT NULL,
    from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS counts (
    run INTEGER NOT NULL, kind TEXT NOT NULL, change TEXT NOT NULL, decisions INTEGER NOT NULL,
    PRIMARY KEY (run, kind, change)
) STRICT;
CREATE TABLE IF NOT EXISTS differences (
    number INTEGER PRIMARY KEY, run INTEGER NOT NULL, facts_offset INTEGER NOT NULL, now_ms INTEGER NOT NULL,
    change TEXT NOT NULL, first INTEGER NOT NULL, incident TEXT NOT NULL, service TEXT NOT NULL,
    pattern TEXT NOT NULL, kind TEXT NOT NULL, action TEXT NOT NULL, reason TEXT NOT NULL,
    candidate_kind TEXT NOT NULL, candidate_action TEXT NOT NULL, candidate_reason TEXT NOT NULL,
    decision_id TEXT NOT NULL, candidate TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS differences_of ON differences (run, first, incident);
"""


class Step(NamedTuple):
    """What was compared since the last one: facts below ``next_offset``, the last of them appended at ``to_ms``."""

    next_offset: int
    facts: int
    to_ms: int
    counts: Mapping[tuple[str, str], int]
    differences: Iterable[Difference]
    repeats: int
    failures: int


def shadow_dir(data_dir: Path) -> Path:
    """Return where shadow mode keeps its file in a data directory."""
    return data_dir / "shadow"


@contextmanager
def explained(directory: Path) -> Iterator[None]:
    """Raise ``InputError``, with what to do, for an error of the file in a directory: SQLite does not say which."""
    try:
        yield
    except sqlite3.Error as error:
        path = directory / FILE
        raise InputError(
            f"{path}: {error}; if it is damaged, move it away: logmend shadow --policy FILE begins a new one"
        ) from error


class Journal:
    """The journal of one process, for one run at a time."""

    def __init__(self, connection: sqlite3.Connection, lock: int) -> None:
        self._db = connection
        self._lock = lock
        self._run = 0

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open or make the journal. Raises ``InputError`` when another process has it, ``sqlite3.Error`` for damage."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(directory / "shadow.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise InputError(f"another logmend shadow works in {directory}: end it") from error
        connection = sqlite3.connect(directory / FILE, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_TABLES)
        except sqlite3.Error:
            cls(connection, lock).close()
            raise
        return cls(connection, lock)

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._db.close()
        os.close(self._lock)

    def resume(self, fleet: str, candidate: ConfigApplied) -> int | None:
        """Go on with the newest run if it is of this candidate; return its next fact's offset, None if it is not."""
        sql = "SELECT run, fleet, policy_sha256, next_offset FROM runs ORDER BY run DESC LIMIT 1"
        row = self._db.execute(sql).fetchone()
        if row is None or row[1:3] != (fleet, candidate.sha256):
            return None
        self._run = row[0]
        return int(row[3])

    def begin(self, fleet: str, candidate: ConfigApplied, offset: int) -> None:
        """Begin a run with the fact at an offset."""
        sql = "INSERT INTO runs VALUES (NULL, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0)"
        row = (fleet, candidate.sha256, candidate.body.decode(), offset, offset)
        self._run = self._db.execute(sql, row).lastrowid or 0

    def miss(self, next_offset: int) -> None:
        """Note that the facts before an offset can't be compared any more: nothing is known of the state they met."""
        sql = "UPDATE runs SET missed = missed + ? - next_offset, next_offset = ? WHERE run = ?"
        self._db.execute(sql, (next_offset, next_offset, self._run))

    def parted(self) -> list[str]:
        """Return the incidents on which the candidate of this run differed, the newest last."""
        sql = "SELECT incident FROM differences WHERE run = ? AND first = 1 ORDER BY number DESC LIMIT ?"
        return [row[0] for row in self._db.execute(sql, (self._run, SUBJECTS_MAX))][::-1]

    def take(self, step: Step) -> None:
        """Note what was compared: all of it or nothing."""
        rows = [(self._run, *_row(one)) for one in step.differences]
        firsts = sum(one.first for one in step.differences)
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "UPDATE runs SET next_offset = ?, facts = facts + ?, repeats = repeats + ?, failures = failures + ?, "
                "incidents_parted = incidents_parted + ?, to_ms = max(to_ms, ?), "
                "from_ms = CASE from_ms WHEN 0 THEN ? ELSE from_ms END WHERE run = ?",
                (step.next_offset, step.facts, step.repeats, step.failures, firsts, step.to_ms, step.to_ms, self._run),
            )
            self._db.executemany(
                "INSERT INTO counts VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET decisions = decisions + excluded.decisions",
                [(self._run, kind, change, number) for (kind, change), number in step.counts.items()],
            )
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                self._db.executemany(f"INSERT INTO differences VALUES (NULL, {marks})", rows)  # noqa: S608 - marks only
                self._forget()

    def _forget(self) -> None:
        sql = "DELETE FROM differences WHERE number <= (SELECT max(number) FROM differences) - ?"
        self._db.execute(sql, (DIFFERENCES_MAX,))


def _row(one: Difference) -> tuple[object, ...]:
    known, recorded, candidate = one.pair.known, one.pair.recorded, one.pair.candidate
    return (
        known.facts_offset,
        one.now_ms,
        one.pair.change,
        int(one.first),
        known.incident,
        known.service,
        known.pattern,
        *_told(recorded),
        *_told(candidate),
        recorded.id if recorded else "",
        msgspec.json.encode(candidate).decode() if candidate else "",
    )


def _told(decision: Decision | None) -> tuple[str, str, str]:
    if decision is None:
        return ("", "", "")
    return (decision.kind, decision.command.action if decision.command else "", decision.reason)
