"""A cache that keeps each entry in a file of the volume that its switch names; logs in logfmt, as Prometheus does.

It has a real weakness: whatever else lies in the directory of its entries is never removed, so others can fill it up.
Where no file system of its own could be mounted, ``quota_bytes`` stands in for its size.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Final

from lab.services.common import config_path, configured, read_switch, say, utc_now
from lab.services.web import Request, Response, bound_to, serve

CONFIG: Final[dict[str, type]] = {"name": str, "port": int, "volumes": dict, "switch": str, "quota_bytes": int}
ENTRY_BYTES: Final = 4096
ENTRIES_MAX: Final = 200
HEADER: Final = b"shop-cache volume 1\n"


def log(level: str, caller: str, message: str, **fields: object) -> None:
    """Write one line of logfmt."""
    more = "".join(f" {name}={json.dumps(str(value))}" for name, value in fields.items())
    say(f'ts={utc_now()}Z level={level} caller={caller} msg="{message}"{more}')


class Store:
    """The entries, on the volume that is switched on; the oldest go when there are too many."""

    def __init__(self, volumes: dict[str, str], switch: Path, quota_bytes: int) -> None:
        self._volumes = {name: Path(path) for name, path in volumes.items()}
        self._switch = switch
        self._quota_bytes = quota_bytes
        self._keys: list[tuple[str, Path]] = []

    def put(self, key: str, value: str) -> None:
        """Keep a value, padded to a block; ``OSError`` when the volume does not take it."""
        path = self._path(key)
        self._check_room(path.parent)
        with path.open("wb") as file:
            file.write(value.encode().ljust(ENTRY_BYTES))
        self._keys.append((key, path))
        while len(self._keys) > ENTRIES_MAX:
            self._keys.pop(0)[1].unlink(missing_ok=True)

    def get(self, key: str) -> str | None:
        """Return a value, or None when it is not (or no longer) there; ``OSError`` when it can't be read."""
        try:
            return self._path(key).read_bytes().decode().rstrip()
        except FileNotFoundError:
            return None

    def _path(self, key: str) -> Path:
        """Return where an entry belongs, after a look at the volume's header, which tells whether it is one."""
        volume = self._volumes[read_switch(self._switch, tuple(self._volumes))]
        with (volume / "header").open("rb") as file:
            if file.read(len(HEADER)) != HEADER:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(volume / "header"))
        entries = volume / "entries"
        entries.mkdir(exist_ok=True)
        return entries / hashlib.sha256(key.encode()).hexdigest()[:32]

    def _check_room(self, entries: Path) -> None:
        if self._quota_bytes:
            used = sum(entry.stat().st_size for entry in os.scandir(entries))
            if used + ENTRY_BYTES > self._quota_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(entries))


class Cache:
    """Answers ``/put?key=&value=`` and ``/get?key=``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle(self, request: Request) -> Response:
        """Answer a request and log it; what the volume refuses is a 500 with the system's own words in the log."""
        key = request.query.get("key", "")
        try:
            return self._route(request, key)
        except OSError as error:
            words = (error.strerror or "").lower()
            log("error", "store.go:88", f"{request.path[1:]} failed", err=f"{error.filename or 'entry'}: {words}")
            return Response(500, b'{"error": "storage"}')

    def _route(self, request: Request, key: str) -> Response:
        if request.path == "/put":
            self._store.put(key, request.query.get("value", ""))
            log("info", "store.go:61", "stored", key=key)
            return Response(200, b'{"stored": true}')
        if request.path == "/get":
            value = self._store.get(key)
            return Response(404 if value is None else 200, json.dumps({"value": value}).encode())
        return Response(200 if request.path == "/health" else 404, b"{}")


def main() -> None:
    """Run the cache until it is told to stop."""
    path = config_path()
    config = configured(path, CONFIG, lambda why: log("error", "main.go:31", "exiting", err=why))
    bound = bound_to(
        config["port"],
        lambda error: log(
            "error", "main.go:44", "exiting", err=f"listen tcp 127.0.0.1:{config['port']}: bind: {error.strerror}"
        ),
    )
    log("info", "main.go:52", "listening", port=config["port"])
    store = Store(config["volumes"], Path(config["switch"]), config["quota_bytes"])
    asyncio.run(serve(bound, Cache(store).handle))
    log("info", "main.go:60", "stopped")


if __name__ == "__main__":
    main()
