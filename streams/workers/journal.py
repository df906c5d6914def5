"""What this host has been asked to do and how far it came: an SQLite file that survives any crash.

A command goes ``received`` -> ``started`` -> ``ended`` -> ``reported``; only ``started`` goes back, to ``received``,
when it may be repeated. Every step is on disk before what follows from it happens: a command is ``started`` before its
worker hears of it, an outcome is ``ended`` before it is told. The position in the commands topic moves in the
transaction that takes the commands in.

Beside the commands stand the specialists that are held here, from before their process begins to their last report, and
the reports that nobody was told yet. A manager that comes after a crash finds who was lost.

``received``, ``reported`` and the ends of errands (which are never ``started``) are written without waiting for the
disk: SQLite's log keeps their order, the next step that waits takes them along, and if power fails before it, what is
lost is read, told, or run, once more.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from streams.codec import encode
from streams.core.events import Command, OutcomeReported
from streams.core.reports import FindingReported, SpecialistReported
from streams.runtime.journals import open_alone

RECEIVED: Final = "received"
STARTED: Final = "started"
ENDED: Final = "ended"
REPORTED: Final = "reported"
CHAIN_UNKNOWN: Final = -2
"""The last seq when the topic's beginning was deleted before we read it: the next record begins the chain."""
KEPT_MAX: Final = 10_000
"""Reported commands that are kept; the position alone keeps older ones from being run again."""
TIDY_EVERY: Final = 64
"""SQLite's log is moved into the file after so many outcomes were told, when nobody waits for it: it takes 20 ms."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS position (
    only INTEGER PRIMARY KEY CHECK (only = 1), next_offset INTEGER, last_seq INTEGER, born_offset INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS commands (
    id TEXT PRIMARY KEY, seq INTEGER NOT NULL, offset INTEGER NOT NULL, body BLOB NOT NULL, state TEXT NOT NULL,
    tries INTEGER NOT NULL, outcome BLOB
) STRICT;
CREATE INDEX IF NOT EXISTS commands_by_state ON commands (state, seq);
CREATE TABLE IF NOT EXISTS specialists (spawn_id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS reports (number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, body BLOB NOT NULL) STRICT;
"""


class Position(NamedTuple):
    """Where reading goes on, the last command's seq, and where the topic ended when this journal was made."""

    next_offset: int
    last_seq: int
    born_offset: int


class Entry(NamedTuple):
    """A command that is not over: how far it came, and how often it was started."""

    command: Command
    offset: int
    state: str
    tries: int


class Report(NamedTuple):
    """What is to be told beside outcomes, framed, and under which key; ``number`` is its place among all."""

    number: int
    key: str
    body: bytes


class Journal:
    """The journal of one host; one process at a time has it open."""

    def __init__(self, connection: sqlite3.Connection, lock: int) -> None:
        self._db = connection
        self._lock = lock
        self._untidy = 0

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open or make the journal. Raises as ``open_alone``."""
        busy = f"another pool works in {directory}: end it, or set another data_dir"
        connection, lock = open_alone(directory, _TABLES, busy)
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return cls(connection, lock)

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._db.close()
        os.close(self._lock)

    def position(self) -> Position | None:
        """Return where reading goes on; None for a new journal."""
        row = self._db.execute("SELECT next_offset, last_seq, born_offset FROM position").fetchone()
        return Position(*row) if row else None

    def begin(self, position: Position) -> None:
        """Set the position of a new journal, or of one whose place in the topic was deleted."""
        self._db.execute("INSERT OR REPLACE INTO position VALUES (1, ?, ?, ?)", position)

    def receive(self, commands: Sequence[tuple[int, Command]], next_offset: int, last_seq: int) -> list[Entry]:
        """Take commands in (offset and command) and move the position; return those that were not known already."""
        new = []
        with _Unhurried(self._db):
            for offset, command in commands:
                row = (command.id, command.seq, offset, msgspec.msgpack.encode(command), RECEIVED)
                if self._db.execute("INSERT OR IGNORE INTO commands VALUES (?, ?, ?, ?, ?, 0, NULL)", row).rowcount:
                    new.append(Entry(command, offset, RECEIVED, 0))
            self._db.execute("UPDATE position SET next_offset = ?, last_seq = ?", (next_offset, last_seq))
        return new

    def unfinished(self) -> list[Entry]:
        """Return what was received or started and has no end, in order of seq."""
        rows = self._db.execute(
            "SELECT body, offset, state, tries FROM commands WHERE state IN (?, ?) ORDER BY seq", (RECEIVED, STARTED)
        )
        return [Entry(msgspec.msgpack.decode(body, type=Command), *rest) for body, *rest in rows]

    def start(self, command_id: str) -> bool:
        """Write down that a command is about to take effect; False when it may not: it is started or over."""
        return self._move("state = ?, tries = tries + 1", (STARTED,), command_id, (RECEIVED,))

    def hand_back(self, command_id: str, *, blamed: bool = True) -> bool:
        """Put a started command back, to be run again.

        A try that ended for what was not ``blamed`` on it does not count, but that there was one is remembered.
        """
        tries = "tries" if blamed else "max(tries - 1, 1)"
        return self._move(f"state = ?, tries = {tries}", (RECEIVED,), command_id, (STARTED,))

    def end(self, outcome: OutcomeReported, findings: Sequence[FindingReported] = ()) -> bool:
        """Write down how a command ended, and what it found; False when it has an end already, which then stands."""
        body = msgspec.msgpack.encode(outcome)
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            ended = self._move("state = ?, outcome = ?", (ENDED, body), outcome.command_id, (RECEIVED, STARTED))
            for finding in findings if ended else ():
                self._say(finding.service, finding)
        return ended

    def end_errands(self, outcomes: Sequence[OutcomeReported]) -> int:
        """Write down how errands ended, which may run again; return how many had no end already."""
        rows = [(ENDED, msgspec.msgpack.encode(one), one.command_id, RECEIVED) for one in outcomes]
        with _Unhurried(self._db):
            return self._db.executemany(
                "UPDATE commands SET state = ?, outcome = ? WHERE id = ? AND state = ?", rows
            ).rowcount

    # ----------------------------------------------------------------------------------------- specialists, reports

    def hold(self, spawn: Command, report: SpecialistReported) -> None:
        """Write down a specialist whose process is about to begin, and what is to be told of it."""
        with _Unhurried(self._db):
            self._db.execute(
                "INSERT OR REPLACE INTO specialists VALUES (?, ?)", (spawn.id, msgspec.msgpack.encode(spawn))
            )
            self._say(spawn.service, report)

    def note(self, spawn: Command, report: SpecialistReported, *, gone: bool = False) -> None:
        """Write down what is to be told of a specialist; it is not held any more when it is ``gone``."""
        with _Unhurried(self._db):
            if gone:
                self._db.execute("DELETE FROM specialists WHERE spawn_id = ?", (spawn.id,))
            self._say(spawn.service, report)

    def held(self) -> list[Command]:
        """Return the spawn commands of the specialists that are held, or were when the last manager died."""
        rows = self._db.execute("SELECT body FROM specialists").fetchall()
        return sorted((msgspec.msgpack.decode(body, type=Command) for (body,) in rows), key=lambda spawn: spawn.seq)

    def _say(self, key: str, event: SpecialistReported | FindingReported) -> None:
        self._db.execute("INSERT INTO reports (key, body) VALUES (?, ?)", (key, encode(event)))

    def untold(self) -> list[Report]:
        """Return the reports that nobody has been told, in their order."""
        rows = self._db.execute("SELECT number, key, body FROM reports ORDER BY number")
        return [Report(*row) for row in rows]

    def told(self, last: int) -> None:
        """Forget the reports up to a number: they are in the inbox."""
        with _Unhurried(self._db):
            self._db.execute("DELETE FROM reports WHERE number <= ?", (last,))

    # --------------------------------------------------------------------------------------------------- outcomes

    def service_of(self, command_id: str) -> str:
        """Return the service that a known command is for; ``""`` for an unknown one."""
        row = self._db.execute("SELECT body FROM commands WHERE id = ?", (command_id,)).fetchone()
        return msgspec.msgpack.decode(row[0], type=Command).service if row else ""

    def unreported(self) -> list[OutcomeReported]:
        """Return the outcomes that nobody has been told, in order of seq."""
        rows = self._db.execute("SELECT outcome FROM commands WHERE state = ? ORDER BY seq", (ENDED,))
        return [msgspec.msgpack.decode(body, type=OutcomeReported) for (body,) in rows]

    def reported(self, command_ids: Iterable[str]) -> None:
        """Write down that outcomes are in the inbox, and forget the oldest of many."""
        with _Unhurried(self._db):
            self._db.executemany("UPDATE commands SET state = ? WHERE id = ?", [(REPORTED, one) for one in command_ids])
            self._db.execute(
                "DELETE FROM commands WHERE state = ? AND seq <= (SELECT max(seq) FROM commands) - ?",
                (REPORTED, KEPT_MAX),
            )
        self._untidy += 1
        if self._untidy >= TIDY_EVERY:
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._untidy = 0

    def outcome_of(self, command_id: str) -> OutcomeReported | None:
        """Return how a command ended; None when it has not, or is not known."""
        row = self._db.execute("SELECT outcome FROM commands WHERE id = ?", (command_id,)).fetchone()
        return msgspec.msgpack.decode(row[0], type=OutcomeReported) if row and row[0] else None

    def _move(self, change: str, values: tuple[object, ...], command_id: str, states: tuple[str, ...]) -> bool:
        marks = ", ".join("?" * len(states))
        statement = f"UPDATE commands SET {change} WHERE id = ? AND state IN ({marks})"  # noqa: S608 - literals of ours
        return self._db.execute(statement, (*values, command_id, *states)).rowcount == 1


class _Unhurried:
    """A transaction that does not wait for the disk: all of it or nothing, and nothing before what came first."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def __enter__(self) -> None:
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._db.execute("ROLLBACK" if kind else "COMMIT")
        self._db.execute("PRAGMA synchronous = FULL")
