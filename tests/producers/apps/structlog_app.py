"""An application with structlog, rendering JSON on stdout; what it said, before it was rendered, on stderr."""

from __future__ import annotations

import json
import sqlite3
import sys
from datetime import datetime

import structlog
from structlog.typing import EventDict, WrappedLogger

REFUSED = "connect() to 10.0.0.7:8443 failed (111: Connection refused)"


def truth(_: WrappedLogger, method: str, said: EventDict) -> EventDict:
    """Write what is about to be rendered."""
    at_ms = int(datetime.fromisoformat(said["timestamp"]).timestamp() * 1000)
    sys.stderr.write(json.dumps({"at_ms": at_ms, "level": said["level"].upper(), "message": said["event"]}) + "\n")
    return said


def store() -> None:
    """Fail."""
    raise sqlite3.OperationalError("database is locked")


def main() -> None:
    """Log an order that goes wrong in several ways."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            truth,
            structlog.processors.JSONRenderer(),
        ]
    )
    log = structlog.get_logger().bind(service="orders")
    log.debug("order 17 read", order=17)
    log.info("order 17 stored in 12 ms", order=17)
    log.warning("order 18 is late", order=18)
    log.error(REFUSED)
    try:
        store()
    except sqlite3.OperationalError:
        log.exception("order 19 not stored", order=19)
    log.critical("write failed: No space left on device")


if __name__ == "__main__":
    main()
