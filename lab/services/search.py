"""A search server over an index file with a checksum, a stemmer that is a plug-in, and suggestions that cost time.

Logs as programs with klog do. It has a real bug: once somebody has asked for facets, every search opens the index for
each of them and never closes it, until the limit of descriptors is reached. Suggestions come from another server and
are waited for; its switch turns them off.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import json
import os
import resource
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from lab.services.common import config_path, configured, read_switch, say
from lab.services.web import Request, Response, ask, bound_to, serve

CONFIG: Final[dict[str, type]] = {
    "name": str,
    "port": int,
    "index": str,
    "stemmer": str,
    "switch": str,
    "suggestions_port": int,
    "slow_ms": int,
    "open_files_max": int,
}
FEATURES: Final = ("suggestions", "plain")
FACETS: Final = ("brand", "colour", "price", "size")
QUIET_S: Final = 0.5
EXIT_SOFTWARE: Final = 70
"""``EX_SOFTWARE`` of sysexits.h."""


def log(level: str, where: str, message: str, **fields: object) -> None:
    """Write one line as klog does: level and date in one word, no year."""
    stamp = datetime.now(UTC).strftime("%m%d %H:%M:%S.%f")
    more = "".join(f" {name}={json.dumps(str(value))}" for name, value in fields.items())
    say(f'{level}{stamp} {os.getpid():>7} {where}] "{message}"{more}')


class DamagedError(ValueError):
    """The index is not what was written."""


def packed(documents: dict[str, str]) -> bytes:
    """Return documents (name to words) as an index file: the checksum of the rest, and the rest."""
    body = json.dumps(documents, sort_keys=True).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def unpacked(data: bytes) -> dict[str, str]:
    """Return the documents of an index file; ``DamagedError`` when its checksum is another."""
    wanted, _, body = data.partition(b"\n")
    found = hashlib.sha256(body).hexdigest()
    if wanted.decode("ascii", "replace") != found:
        raise DamagedError(f"checksum mismatch, calculated {found[:8]}")
    documents: dict[str, str] = json.loads(body)
    return documents


class Search:
    """Answers ``/search?q=`` and ``/facets``."""

    def __init__(self, config: dict[str, Any], stem: Callable[[str], str]) -> None:
        self._config = config
        self._index = Path(config["index"])
        self._switch = Path(config["switch"])
        self._stem = stem
        self._counts_facets = False
        self._cursors: list[BinaryIO] = []

    async def handle(self, request: Request) -> Response:
        """Answer a request and log it; slow ones with a warning, failed ones with the cause."""
        began = time.monotonic()
        try:
            response = await self._route(request)
        except DamagedError as error:
            log("E", "segment.go:141", "Cannot read the index", err=f"index segment_1 is corrupt: {error}")
            return Response(500, b'{"error": "index"}')
        except OSError as error:
            log("E", "segment.go:88", "Cannot open the index", err=f"open {self._index}: {error.strerror}".lower())
            return Response(500, b'{"error": "index"}')
        took_ms = round((time.monotonic() - began) * 1000)
        if took_ms > self._config["slow_ms"]:
            log("W", "query.go:77", "Slow query", target=request.target, took=f"{took_ms}ms", feature=FEATURES[0])
        else:
            log("I", "query.go:71", "Query", target=request.target, code=response.status, took=f"{took_ms}ms")
        return response

    async def _route(self, request: Request) -> Response:
        if request.path == "/search":
            return await self._search(self._stem(request.query.get("q", "")))
        if request.path == "/facets":
            self._counts_facets = True
            return Response(200, json.dumps({"facets": FACETS}).encode())
        return Response(200 if request.path == "/health" else 404, b"{}")

    async def _search(self, word: str) -> Response:
        for _ in FACETS if self._counts_facets else ():
            self._cursors.append(self._index.open("rb"))
        with self._index.open("rb") as file:
            documents = unpacked(file.read())
        hits = sorted(name for name, words in documents.items() if word in words.split())
        more: list[str] = []
        if read_switch(self._switch, FEATURES) == FEATURES[0]:
            with contextlib.suppress(OSError, ValueError):  # without suggestions the answer is still one
                more = json.loads((await ask("127.0.0.1", self._config["suggestions_port"], f"/like/{word}")).body)
        return Response(200, json.dumps({"hits": hits, "more": more}).encode())


def load_stemmer(path: str) -> Callable[[str], str]:
    """Return the function ``stem`` of the plug-in in a file; ``ImportError`` when there is none."""
    spec = importlib.util.spec_from_file_location("stemmer", path)
    if spec is None or spec.loader is None:
        raise ImportError("no plug-in")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        stem: Callable[[str], str] = module.stem
    except (OSError, AttributeError) as error:
        raise ImportError(str(error)) from error
    return stem


class Trouble:
    """Says what the event loop has to report: above all connections that can't be accepted. Not too often."""

    def __init__(self) -> None:
        self._quiet_until = 0.0

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log one report, unless there was one a moment ago."""
        if time.monotonic() < self._quiet_until:
            return
        self._quiet_until = time.monotonic() + QUIET_S
        error = context.get("exception")
        words = (error.strerror or "") if isinstance(error, OSError) else context["message"]
        log("E", "server.go:217", "Accept failed", err=f"accept4: {words}".lower())


async def run(bound: socket.socket, search: Search) -> None:
    """Serve until SIGTERM or SIGINT."""
    asyncio.get_running_loop().set_exception_handler(Trouble())
    await serve(bound, search.handle)


def main() -> None:
    """Run the search until it is told to stop."""
    path = config_path()
    config = configured(path, CONFIG, lambda why: log("F", "main.go:31", "Exiting", err=why))
    try:
        stem = load_stemmer(config["stemmer"])
    except ImportError as error:
        log("F", "plugin.go:52", "Exiting", err=f"plugin stemmer could not be loaded: {error}")
        raise SystemExit(EXIT_SOFTWARE) from None
    resource.setrlimit(resource.RLIMIT_NOFILE, (config["open_files_max"], config["open_files_max"]))
    log("I", "main.go:60", "Serving", port=config["port"])
    where = f"listen tcp 127.0.0.1:{config['port']}"
    bound = bound_to(
        config["port"], lambda error: log("F", "main.go:64", "Exiting", err=f"{where}: bind: {error.strerror}")
    )
    asyncio.run(run(bound, Search(config, stem)))
    log("I", "main.go:70", "Stopped")


if __name__ == "__main__":
    main()
