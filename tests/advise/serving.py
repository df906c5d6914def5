"""A model's HTTP interface on this host, as good or as bad as a test wants it."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Said = tuple[int, bytes, Mapping[str, str]]
"""Status, body, headers."""
OPINION = '{"action":"service.restart","suspect":"db","cause":"db_down","confidence":0.8,"rationale":"It was the db."}'


class Server:
    """What it says, one after another and the last one again; what it was asked: path, headers, body."""

    def __init__(self) -> None:
        self.says: list[Said | Callable[[BaseHTTPRequestHandler], None]] = []
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.address = ""
        self.heard = threading.Event()
        self.ended = threading.Event()

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        """Say nothing until the test ends."""
        self.ended.wait()
        handler.close_connection = True

    def hang_half_way(self, handler: BaseHTTPRequestHandler) -> None:
        """Begin an answer, and say no more until the test ends."""
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b'{"content":')
        self.hang(handler)


def said(body: Any, status: int = 200, **headers: str) -> Said:
    """Return an answer; a body that isn't bytes is JSON. Underscores in the names of headers stand for hyphens."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return status, content, {name.replace("_", "-"): value for name, value in headers.items()}


def break_off(handler: BaseHTTPRequestHandler) -> None:
    """Announce an answer, send half of it and close the connection."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"content":')
    handler.close_connection = True


def never_stop(handler: BaseHTTPRequestHandler) -> None:
    """Send an answer without end, until the client has had enough."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * 65_536)
    except OSError:
        handler.close_connection = True


@contextmanager
def serving(
    *says: Said | Callable[[BaseHTTPRequestHandler], None], certificate: Path | None = None
) -> Iterator[Server]:
    """Serve on a free port of this host, in a thread, until the block ends; by TLS with a certificate and its key."""
    served = Server()
    served.says.extend(says)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = served.says[min(len(served.asked), len(served.says) - 1)]
            served.asked.append((self.path, headers, json.loads(body)))
            served.heard.set()
            if callable(answer):
                answer(self)
                return
            status, content, more = answer
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    served.address = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield served
    finally:
        served.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def message(text: str = OPINION, stop_reason: str = "end_turn", **more: Any) -> dict[str, Any]:
    """Return an answer of the Messages API, with a thought and a block of a new kind before the text."""
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": [
            {"type": "thinking", "thinking": "", "signature": "c2ln"},
            {"type": "something_new", "text": "{"},
            {"type": "text", "text": text},
        ],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 90,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 10,
            "output_tokens": 50,
            "service_tier": "standard",
        },
        **more,
    }


def completion(text: str | None = OPINION, finish_reason: str = "stop", **more: Any) -> dict[str, Any]:
    """Return an answer of chat completions; ``more`` is of its message."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_795_000_000,
        "model": "gpt-6-sol",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None, "annotations": [], **more},
                "logprobs": None,
                "finish_reason": finish_reason,
            }
        ],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "completion_tokens_details": {"reasoning_tokens": 20},
        },
        "system_fingerprint": "fp_1",
    }
