"""A worker that stores an order at each beat in a SQLite file, and logs as Python's logging does."""

from __future__ import annotations

import logging
import signal
import sqlite3
import threading
import time
from contextlib import closing
from types import FrameType
from typing import Final

from lab.services.common import config_path, configured

CONFIG: Final[dict[str, type]] = {"name": str, "database": str, "interval_ms": int, "busy_timeout_ms": int}
SCHEMA: Final = """
create table if not exists orders (id integer primary key, placed_at real not null);
create table if not exists heartbeat (id integer primary key check (id = 1), beat integer not null);
insert or ignore into heartbeat values (1, 0);
"""
ORDERS_KEPT: Final = 1000
LOG: Final = logging.getLogger("shop.worker")


def configure_logging() -> None:
    """Log to standard error in the standard library's text format, in UTC."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")


def store(database: sqlite3.Connection) -> int:
    """Store one order and move the heartbeat on, in one transaction; return the order's number."""
    with database:
        number = database.execute("insert into orders (placed_at) values (?)", (time.time(),)).lastrowid or 0
        database.execute("delete from orders where id <= ?", (number - ORDERS_KEPT,))
        database.execute("update heartbeat set beat = beat + 1 where id = 1")
    return number


def beat(database: sqlite3.Connection) -> None:
    """Do one beat's work; what SQLite refuses is logged with its stack, and tried again at the next beat."""
    try:
        number = store(database)
    except sqlite3.OperationalError:
        LOG.exception("cannot store the order")
    else:
        LOG.info("stored order %d", number)


def run(database: sqlite3.Connection, interval_s: float) -> None:
    """Beat until SIGTERM or SIGINT."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    while not stop.wait(interval_s):
        beat(database)


def main() -> None:
    """Run the worker until it is told to stop."""
    configure_logging()
    path = config_path()
    config = configured(path, CONFIG, lambda why: LOG.critical("%s", why))
    with closing(sqlite3.connect(config["database"], timeout=config["busy_timeout_ms"] / 1000)) as database:
        database.executescript(SCHEMA)
        LOG.info("working on %s", config["database"])
        run(database, config["interval_ms"] / 1000)
    LOG.info("stopped")


if __name__ == "__main__":
    main()
