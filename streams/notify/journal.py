"""What is to be told, and to whom it was told already: an SQLite file that survives any crash.

Position in the log, what is known of open incidents, and what follows for each channel are written in one transaction.
So a notice is in the journal once for each channel, whatever happens, and stays there until the channel has taken it.
What was taken, and not noted before a crash, is sent again under the same id.

Times are seconds of this host's clock. A message whose time lies further ahead than any pause is due: the clock was set
back.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from streams.core.errors import InputError
from streams.notify.cases import Case
from streams.notify.notice import DIGEST, Channel, Message, Notice
from streams.runtime.journals import FILE_NAME, open_alone

MINUTE_S: Final = 60.0
DIGEST_MAX: Final = 200
"""Notices of one digest; more make another one."""
AHEAD_MAX_S: Final = 7_200.0
KEPT_S: Final = 30 * 86_400.0
WAITING, TOLD, DEAD = "waiting", "told", "dead"

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS position (topic TEXT PRIMARY KEY, next_offset INTEGER, last_seq INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS cases (incident TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS notices (id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, channel TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL,
    made_s REAL NOT NULL, due_s REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS messages_due ON messages (channel, state, due_s);
CREATE INDEX IF NOT EXISTS messages_made ON messages (channel, made_s);
CREATE TABLE IF NOT EXISTS parts (
    channel TEXT NOT NULL, notice TEXT NOT NULL, message INTEGER NOT NULL, PRIMARY KEY (channel, notice)
) STRICT;
CREATE INDEX IF NOT EXISTS parts_of ON parts (message);
"""


class Position(NamedTuple):
    """Where reading goes on, and the number of the newest decision that was taken."""

    next_offset: int
    last_seq: int


class Due(NamedTuple):
    """A message whose time has come: its place in the journal, how often it was tried, when it was made."""

    number: int
    tries: int
    made_s: float
    message: Message


class Counts(NamedTuple):
    """Messages that wait, and those that were given up within the last 30 days."""

    waiting: int
    dead: int


def journal_dir(data_dir: Path) -> Path:
    """Return where the journal of a data directory is."""
    return data_dir / "notify"


class Journal:
    """The journal of one process. ``burst`` is how many messages a channel gets within a minute."""

    def __init__(self, connection: sqlite3.Connection, lock: int, burst: int) -> None:
        self._db = connection
        self._lock = lock
        self._burst = burst

    @classmethod
    def open(cls, directory: Path, burst: int) -> Self:
        """Open or make the journal. Raises as ``open_alone``."""
        busy = f"another logmend notify works in {directory}: end it"
        connection, lock = open_alone(directory, _TABLES, busy)
        return cls(connection, lock, burst)

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._db.close()
        os.close(self._lock)

    def position(self, topic: str) -> Position | None:
        """Return where reading goes on; None for a topic that was never read."""
        row = self._db.execute("SELECT next_offset, last_seq FROM position WHERE topic = ?", (topic,)).fetchone()
        return Position(*row) if row else None

    def cases(self) -> list[Case]:
        """Return what is known of open incidents, the oldest first."""
        rows = self._db.execute("SELECT body FROM cases ORDER BY rowid")
        return [msgspec.msgpack.decode(body, type=Case) for (body,) in rows]

    def begin_anew(self, topic: str) -> None:
        """Forget the place in a topic, the incidents, and what was told: another log may have the same ids."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM position WHERE topic = ?", (topic,))
            self._db.execute("DELETE FROM cases")
            self._db.execute("DELETE FROM messages WHERE state <> ?", (WAITING,))
            self._forget_parts()

    def take(
        self,
        topic: str,
        position: Position,
        cases: Mapping[str, Case | None],
        notices: Iterable[Notice],
        channels: Iterable[Channel],
        now_s: float,
    ) -> None:
        """Note how far was read, what incidents have become, and who is to be told what: all of it or nothing."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT OR REPLACE INTO position VALUES (?, ?, ?)", (topic, *position))
            for incident, case in cases.items():
                if case is None:
                    self._db.execute("DELETE FROM cases WHERE incident = ?", (incident,))
                else:
                    sql = "INSERT INTO cases VALUES (?, ?) ON CONFLICT DO UPDATE SET body = excluded.body"
                    self._db.execute(sql, (incident, msgspec.msgpack.encode(case)))
            for notice in notices:
                row = (notice.id, msgspec.msgpack.encode(notice))
                self._db.execute("INSERT OR IGNORE INTO notices VALUES (?, ?)", row)
                for channel in channels:
                    if channel.takes(notice):
                        self._put(channel, notice, now_s)

    def _put(self, channel: Channel, notice: Notice, now_s: float) -> None:
        """Have a channel told: at once, or in a digest (else later) when it was told too much within a minute."""
        known = self._db.execute("SELECT 1 FROM parts WHERE channel = ? AND notice = ?", (channel.name, notice.id))
        if known.fetchone():
            return
        sql = "SELECT count(*), coalesce(max(due_s), 0) FROM messages WHERE channel = ? AND made_s > ?"
        made, last_s = self._db.execute(sql, (channel.name, now_s - MINUTE_S)).fetchone()
        if made < self._burst:
            number = self._message(notice.id, channel, now_s, now_s)
        elif channel.bundles:
            number = self._digest(channel, now_s) or self._message(
                f"{DIGEST}{notice.id}", channel, now_s, now_s + MINUTE_S
            )
        else:
            number = self._message(notice.id, channel, now_s, max(now_s, last_s) + MINUTE_S / self._burst)
        self._db.execute("INSERT INTO parts VALUES (?, ?, ?)", (channel.name, notice.id, number))

    def _message(self, message_id: str, channel: Channel, now_s: float, due_s: float) -> int:
        row = (message_id, channel.name, WAITING, 0, now_s, due_s)
        sql = "INSERT INTO messages (id, channel, state, tries, made_s, due_s) VALUES (?, ?, ?, ?, ?, ?)"
        return self._db.execute(sql, row).lastrowid or 0

    def _digest(self, channel: Channel, now_s: float) -> int:
        """Return a digest that was never tried and has room; 0 when there is none."""
        sql = (
            "SELECT number FROM messages AS m WHERE channel = ? AND state = ? AND tries = 0 AND due_s > ? "
            "AND id GLOB ? AND (SELECT count(*) FROM parts WHERE message = m.number) < ?"
        )
        row = self._db.execute(sql, (channel.name, WAITING, now_s, f"{DIGEST}*", DIGEST_MAX)).fetchone()
        return int(row[0]) if row else 0

    def due(self, channel: str, now_s: float) -> Due | None:
        """Return the message of a channel that waited longest since its time came; None when there is none."""
        sql = (
            "SELECT number, id, tries, made_s FROM messages WHERE channel = ? AND state = ? "
            "AND (due_s <= ? OR due_s > ?) ORDER BY due_s, number LIMIT 1"
        )
        row = self._db.execute(sql, (channel, WAITING, now_s, now_s + AHEAD_MAX_S)).fetchone()
        if row is None:
            return None
        number, message_id, tries, made_s = row
        sql = "SELECT body FROM parts JOIN notices ON id = notice WHERE message = ? ORDER BY parts.rowid"
        notices = [msgspec.msgpack.decode(body, type=Notice) for (body,) in self._db.execute(sql, (number,))]
        return Due(number, tries, made_s, Message(id=message_id, notices=tuple(notices)))

    def wait_s(self, channel: str, now_s: float) -> float:
        """Return in how many seconds the next message of a channel is due, a minute at most."""
        sql = "SELECT min(due_s) FROM messages WHERE channel = ? AND state = ?"
        (due_s,) = self._db.execute(sql, (channel, WAITING)).fetchone()
        return MINUTE_S if due_s is None else min(max(due_s - now_s, 0.0), MINUTE_S)

    def told(self, number: int) -> None:
        """Note that a message was delivered."""
        self._db.execute("UPDATE messages SET state = ?, tries = tries + 1 WHERE number = ?", (TOLD, number))

    def failed(self, number: int, due_s: float) -> None:
        """Note that a message was not delivered, and when it is tried again."""
        self._db.execute("UPDATE messages SET tries = tries + 1, due_s = ? WHERE number = ?", (due_s, number))

    def give_up(self, number: int) -> None:
        """Note that a message is not tried any more."""
        self._db.execute("UPDATE messages SET state = ?, tries = tries + 1 WHERE number = ?", (DEAD, number))

    def waiting(self, kind: str) -> int:
        """Return how many messages of all channels of a kind wait."""
        sql = "SELECT count(*) FROM messages WHERE channel GLOB ? AND state = ?"
        return int(self._db.execute(sql, (f"{kind}:*", WAITING)).fetchone()[0])

    def tidy(self, now_s: float) -> None:
        """Forget what was told or given up 30 days ago."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM messages WHERE state <> ? AND made_s < ?", (WAITING, now_s - KEPT_S))
            self._forget_parts()

    def _forget_parts(self) -> None:
        self._db.execute("DELETE FROM parts WHERE message NOT IN (SELECT number FROM messages)")
        self._db.execute("DELETE FROM notices WHERE id NOT IN (SELECT notice FROM parts)")


def counts(directory: Path) -> Counts:
    """Return what a journal says, also while a process works with it; zeros where there is none.

    Raises ``InputError`` when it can't be read.
    """
    path = directory / FILE_NAME
    if not path.exists():
        return Counts(0, 0)
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            found = dict(connection.execute("SELECT state, count(*) FROM messages GROUP BY state").fetchall())
    except sqlite3.Error as error:
        raise InputError(f"{path} can't be read: {error}") from error
    return Counts(found.get(WAITING, 0), found.get(DEAD, 0))
