"""A schema registry over real HTTP, as good or as bad as a test wants it; and records as producers send them."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import fastavro

Answer = tuple[int, bytes] | tuple[int, bytes, dict[str, str]]
"""Status, body, and headers if there are any."""
NOT_FOUND: Answer = (404, b'{"error_code":40403,"message":"Schema not found"}')

LOG_LINE: dict[str, Any] = {
    "type": "record",
    "name": "LogLine",
    "namespace": "shop.logs",
    "fields": [
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "service", "type": {"type": "string", "avro.java.string": "String"}},
        {"name": "message", "type": "string"},
        {"name": "level", "type": {"type": "enum", "name": "Level", "symbols": ["INFO", "ERROR"]}},
        {"name": "host", "type": ["null", "string"], "default": None},
    ],
}


class Served:
    """The paths that a registry answers, and what it was asked: path and Authorization of each request."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer | Callable[[], Answer]] = {}
        self.asked: list[tuple[str, str]] = []
        self.address = ""

    def schema(self, id_: int | str, schema: Any, **more: Any) -> None:
        """Register a schema under an id or a GUID."""
        kind = "ids" if isinstance(id_, int) else "guids"
        self.answers[f"/schemas/{kind}/{id_}"] = 200, body(schema, **more)

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for."""
        return [path for path, _ in self.asked]


def body(schema: Any, **more: Any) -> bytes:
    """Return a registry's answer; ``schema`` is JSON, or text as it is."""
    return json.dumps({"schema": schema if isinstance(schema, str) else json.dumps(schema), **more}).encode()


@contextmanager
def serving() -> Iterator[Served]:
    """Serve on a free port of this host, in a thread, until the block ends."""
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append((self.path, self.headers.get("Authorization", "")))
            found = served.answers.get(self.path, NOT_FOUND)
            answer = found() if callable(found) else found
            self.send_response(answer[0])
            for name, value in _headers(answer).items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(answer[1])
            except OSError:
                self.close_connection = True  # the client has had enough

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _headers(answer: Answer) -> Mapping[str, str]:
    return {"Content-Length": str(len(answer[1])), **(answer[2] if len(answer) == 3 else {})}


def avro(schema: Any, value: Any, references: tuple[Any, ...] = ()) -> bytes:
    """Return a value as fastavro writes it."""
    names: dict[str, Any] = {}
    for reference in references:
        fastavro.parse_schema(reference, names)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema, names), value)
    return out.getvalue()


def framed(id_: int, payload: bytes) -> bytes:
    """Return a payload behind the magic byte and a schema's id."""
    return b"\x00" + id_.to_bytes(4, "big") + payload


def log_line(message: str, *, at_ms: int, service: str = "shop", level: str = "INFO") -> bytes:
    """Return a line of ``LOG_LINE``."""
    return avro(LOG_LINE, {"timestamp": at_ms, "service": service, "message": message, "level": level, "host": "web-1"})
