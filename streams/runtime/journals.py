"""SQLite files that survive any crash, each of one process at a time."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Final

from streams.core.errors import InputError

FILE_NAME: Final = "journal.sqlite"


def open_alone(directory: Path, tables: str, busy: str) -> tuple[sqlite3.Connection, int]:
    """Open or make the journal of a directory; return the connection, and the descriptor that is closed after it.

    ``tables`` is SQL that makes what is not there. What is committed is on disk. Raises ``InputError`` with ``busy``
    when another process has it, and in one line when it is damaged or can't be written.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(directory / "journal.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _connected(directory / FILE_NAME, tables), lock
    except BlockingIOError as error:
        os.close(lock)
        raise InputError(busy) from error
    except sqlite3.Error as error:
        os.close(lock)
        raise InputError(f"{directory / FILE_NAME} can't be used: {error}; restore it, or move it away") from error


def _connected(path: Path, tables: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(tables)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
