"""How log events are written: one JSON object a line on stderr, at most a few of one kind a second."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import Final

EVENTS_PER_SECOND_MAX: Final = 5
CHATTY_LOGGERS: Final = ("aiokafka", "faust", "mode", "asyncio", "kafka")
LOG: Final = logging.getLogger("logmend")


class _JsonLines(logging.Formatter):
    """One JSON object a line: time, level, event, and the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None)
        entry: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage() if fields is not None else "library",
        }
        entry.update(fields or {"logger": record.name, "text": record.getMessage()[:500]})
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class _RateLimit(logging.Filter):
    """Passes ``EVENTS_PER_SECOND_MAX`` records a second of one logger or event; a dead broker makes 200 lines/s."""

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[str, tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        fields: dict[str, object] | None = getattr(record, "fields", None)
        key = record.name if fields is None else str(record.msg)
        second, count = self._windows.get(key, (int(record.created), 0))
        if int(record.created) == second:
            self._windows[key] = (second, count + 1)
            return count < EVENTS_PER_SECOND_MAX
        if fields is not None and count > EVENTS_PER_SECOND_MAX:
            fields["dropped"] = count - EVENTS_PER_SECOND_MAX
        self._windows[key] = (int(record.created), 1)
        return True


def configure_logging(level: int = logging.INFO) -> None:
    """Send log events to stderr as JSON lines and quiet the libraries; call it again after Faust's start."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    handler.addFilter(_RateLimit())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    LOG.setLevel(level)
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    threading.excepthook = _thread_failed


def _thread_failed(args: threading.ExceptHookArgs) -> None:
    """Say that a thread of a library ended by an exception, as one line of JSON like everything else."""
    info = (args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
    name = args.thread.name if args.thread else ""
    LOG.error("thread_failed", exc_info=info, extra={"fields": {"thread": name, "error": f"{args.exc_value}"}})


def say(level: int, event: str, **fields: object) -> None:
    """Write an event with its fields."""
    LOG.log(level, event, extra={"fields": fields})
