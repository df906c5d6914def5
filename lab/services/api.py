"""An HTTP API that logs JSON lines, answers orders, and keeps every rendered report in a cache. It has two real bugs.

The cache never evicts: with enough different reports the process reaches its own address-space limit (``RLIMIT_AS``),
and from then on whatever needs memory ends in a real ``MemoryError``, its health check included. And the export takes
the cache's lock twice: it waits for itself, and with it the whole event loop, silently and for ever.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Final

from lab.services.common import config_path, configured
from lab.services.web import Request, Response, bound_to, serve

CONFIG: Final[dict[str, type]] = {"name": str, "port": int, "memory_limit_mb": int, "working_set_mb": int}
MEBIBYTE: Final = 1024 * 1024
REPORT_MB_MAX: Final = 64


def log(service: str, level: str, message: str, **fields: object) -> None:
    """Write one JSON line to standard error, stamped with the time of now in UTC."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"ts": stamp, "level": level, "service": service, "msg": message, **fields}
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()


class Api:
    """The service's state: the cache of reports, and how much memory an answer takes."""

    def __init__(self, name: str, working_set_mb: int) -> None:
        self._name = name
        self._working_set_bytes = working_set_mb * MEBIBYTE
        self._reports: dict[str, bytearray] = {}
        self._lock = threading.Lock()

    async def handle(self, request: Request) -> Response:
        """Answer a request and log it; an unexpected error becomes a 500 with its type and text in the log."""
        began = time.monotonic()
        try:
            response = self._route(request)
        except Exception as error:  # noqa: BLE001 (a service answers 500 to whatever goes wrong)
            log(self._name, "ERROR", f"unhandled exception in {request.method} {request.path}: {error!r}")
            response = Response(500, b'{"error": "internal"}')
        took_ms = round((time.monotonic() - began) * 1000, 2)
        level = "INFO" if response.status < 500 else "ERROR"
        log(self._name, level, f"{request.method} {request.target} {response.status}", duration_ms=took_ms)
        return response

    def _route(self, request: Request) -> Response:
        if request.path == "/health":
            self._work(b"health")
            return Response(200, b'{"status": "ok"}')
        if request.path.startswith("/orders/"):
            number = request.path.removeprefix("/orders/")
            total = self._work(number.encode())
            return Response(200, json.dumps({"order": number, "total": total}).encode())
        if request.path == "/reports":
            return self._report(request.query.get("key", ""), int(request.query.get("mb", "1")))
        if request.path == "/export":
            with self._lock:
                return self._report("export", 1)
        return Response(404, b'{"error": "not found"}')

    def _work(self, seed: bytes) -> int:
        """Fill the working set of one answer, as a service does that decodes, sorts and encodes."""
        working = bytearray(self._working_set_bytes)
        working[: len(seed)] = seed
        return sum(working[: len(seed)])

    def _report(self, key: str, megabytes: int) -> Response:
        with self._lock:
            if key not in self._reports:
                self._reports[key] = bytearray(min(megabytes, REPORT_MB_MAX) * MEBIBYTE)
            held = sum(map(len, self._reports.values()))
        return Response(200, json.dumps({"report": key, "cached_bytes": held}).encode())


def main() -> None:
    """Run the API until it is told to stop."""
    path = config_path()
    config = configured(path, CONFIG, lambda why: log("shop-api", "CRITICAL", why))
    limit = config["memory_limit_mb"] * MEBIBYTE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    bound = bound_to(
        config["port"],
        lambda error: log(config["name"], "CRITICAL", f"cannot listen on 127.0.0.1:{config['port']}: {error}"),
    )
    log(config["name"], "INFO", f"listening on 127.0.0.1:{config['port']}")
    asyncio.run(serve(bound, Api(config["name"], config["working_set_mb"]).handle))
    log(config["name"], "INFO", "stopped")


if __name__ == "__main__":
    main()
