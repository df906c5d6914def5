"""An application with Python's ``logging``: ``plain`` or ``json`` (python-json-logger) on stdout, the truth on stderr.

The second stream is what the test believes: each record's own time, level and message, not its rendering.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import sys
from typing import IO

from pythonjsonlogger.json import JsonFormatter

PLAIN = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
REFUSED = "connect() to 10.0.0.7:8443 failed (111: Connection refused)"


class Truth(logging.Handler):
    """Writes what a record is, before any formatter renders it."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write one JSON object for the record."""
        said = {"at_ms": int(record.created * 1000), "level": record.levelname, "message": record.getMessage()}
        self._stream.write(json.dumps(said) + "\n")


def formatter(kind: str) -> logging.Formatter:
    """Return the formatter that a deployment would set up."""
    if kind == "plain":
        return logging.Formatter(PLAIN)
    return JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", static_fields={"service": "orders"})


def store() -> None:
    """Fail."""
    raise sqlite3.OperationalError("database is locked")


def main(kind: str) -> None:
    """Log an order that goes wrong in several ways."""
    out = logging.StreamHandler(sys.stdout)
    out.setFormatter(formatter(kind))
    logging.basicConfig(level=logging.DEBUG, handlers=[out, Truth(sys.stderr)])
    logging.Formatter.default_msec_format = "%s,%03d"
    log = logging.getLogger("orders.store")
    log.debug("order 17 read")
    log.info("order 17 stored in 12 ms")
    log.warning("order 18 is late")
    log.error(REFUSED)
    try:
        store()
    except sqlite3.OperationalError:
        log.exception("order 19 not stored")
    log.critical("write failed: No space left on device")


if __name__ == "__main__":
    main(sys.argv[1])
