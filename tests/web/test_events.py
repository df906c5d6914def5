"""Who follows is told what changed, within two seconds, and no longer than he may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from streams.web import api_log
from streams.web.model import Model
from tests.web.fleet import Fleet
from tests.web.rig import Rig, served

PATIENCE_S: Final = 30.0


async def _nothing() -> Any:
    """Say nothing, for ever."""
    await asyncio.Event().wait()


class Following:
    """A browser that follows: the events that came, and the status of the answer."""

    def __init__(self, rig: Rig, token: str) -> None:
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.status = 0
        headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {token}".encode())]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/api/events",
            "raw_path": b"/api/events",
            "query_string": b"",
            "root_path": "",
            "headers": headers if token else headers[:1],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
        }
        self.done = asyncio.ensure_future(rig.app(scope, _nothing, self._sent))

    async def _sent(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        for line in message.get("body", b"").splitlines():
            if line.startswith(b"data: "):
                self._queue.put_nowait(msgspec.json.decode(line[6:]))

    async def next(self, part: str) -> int:
        """Return the version of the next event that names a part."""
        async with asyncio.timeout(PATIENCE_S):
            while part not in (event := await self._queue.get())["parts"]:
                pass
        version: int = event["version"]
        return version

    async def end(self) -> None:
        """Go away."""
        self.done.cancel()
        await asyncio.wait((self.done,))


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Serve a fleet in which nothing happened."""
    fleet = Fleet()
    fleet.begin()
    fleet.catch_up()
    async with served(fleet, tmp_path, archived=False) as one:
        yield one


async def test_a_change_is_told_at_once(rig: Rig) -> None:
    """Each change names its part and a higher version: a halt, a worker, an incident, a host."""
    follower = Following(rig, "")
    versions = [await follower.next("halt")]
    await rig.client.post("/api/halt", json={"by": "ada"})
    versions.append(await follower.next("halt"))
    rig.fleet.all_beat()
    versions.append(await follower.next("workers"))
    rig.fleet.see("pay", "process_crash")
    versions.append(await follower.next("incidents"))
    rig.fleet.look("h1", cpu=41.0, memory=78.5, disk=93.2)
    versions.append(await follower.next("hosts"))
    assert versions == sorted(set(versions))
    await follower.end()
    assert rig.model.followers == 0


async def test_a_worker_that_falls_silent_is_told_of(rig: Rig) -> None:
    """That somebody says nothing any more changes what is shown, without any record."""
    rig.fleet.all_beat()
    assert await rig.model.until(lambda: bool(rig.model.workers()), PATIENCE_S)
    follower = Following(rig, "")
    await follower.next("workers")
    now_ms = rig.model.clock.now_ms
    rig.model.clock.now_ms = lambda: now_ms() + 31_000  # type: ignore[method-assign]  # time goes on
    await follower.next("workers")
    assert {one.status for one in rig.model.workers()} == {"silent"}
    await follower.end()


async def test_a_revoked_token_follows_no_longer(rig: Rig) -> None:
    """Who lost the right to look is told nothing more, though the connection stood."""
    follower = Following(rig, rig.tokens.create("viewer", "vic", 1))
    await follower.next("halt")
    rig.tokens.revoke("vic", 2)
    rig.fleet.halt()
    async with asyncio.timeout(PATIENCE_S):
        await follower.done
    assert rig.model.followers == 0


async def test_followers_have_a_limit(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """One browser more than are allowed is told to ask instead."""
    monkeypatch.setattr(api_log, "FOLLOWERS_MAX", 1)
    follower = Following(rig, "")
    await follower.next("halt")
    assert (await rig.client.get("/api/events")).status_code == 503
    await follower.end()


async def test_who_waits_for_nothing_is_woken_in_time(rig: Rig) -> None:
    """A wait for what never holds ends when its time is over."""
    model: Model = rig.model
    assert not await model.until(lambda: False, 0.05)
