"""An HTTP target that counts: what was asked for, under which key, and how often."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random

SLOW_SECONDS_MAX = 0.4
HEALS = 0.7
"""Share of calls that help."""


class Target:
    """Services behind one address. ``POST /heal/<service>`` heals one, now and then; calls are counted by their key."""

    def __init__(self, seed: int) -> None:
        self.effects: Counter[str] = Counter()
        self.broken: set[str] = set()
        self.notices = 0
        self._random = Random(seed)
        self._lock = threading.Lock()
        self._pause = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        """Where the target listens."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._pause.set()
        self._server.shutdown()
        self._server.server_close()

    def break_service(self, service: str) -> None:
        """Let a service be broken until a call heals it."""
        with self._lock:
            self.broken.add(service)

    def heal(self, service: str, key: str) -> float:
        """Count a call; return for how many seconds it keeps its caller waiting."""
        with self._lock:
            self.effects[key] += 1
            if self._random.random() < HEALS:
                self.broken.discard(service)
            return self._random.random() * SLOW_SECONDS_MAX

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Heal, and answer late; anything else is a notice, which is counted."""
                where, _, service = self.path.rpartition("/")
                if where == "/heal":
                    target._pause.wait(target.heal(service, self.headers["Idempotency-Key"]))
                else:
                    target.notices += 1
                self.do_GET()

            def do_GET(self) -> None:
                """Say that all is well."""
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
                """Say nothing."""

        return Handler
