"""How many tasks a second the API accepts, and how many are done: from HTTP to the decision that tells the end.

Real ``logmend detect``, ``decide``, ``dispatch``, ``workers`` and ``web`` on an embedded broker; clients on keep-alive
connections post tasks without an action, each for a role in turn: first one a request, then a hundred. Accepted are
those that were answered (all replicas have them then), while the pool works on those before; done are those that the
API says are completed. None may be lost.

    python -m benchmarks.api              3 500 tasks each way, over 32 connections
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import aiohttp
from msgspec import Struct, structs

from benchmarks.recovery import HOST, serving
from benchmarks.tasks import ACCEPTED_MIN, DONE_MIN
from streams.core.requests import ROLES
from streams.runtime.address import web_address_file
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.settings import Settings

STAGES: Final = ("detect", "decide", "dispatch", "workers", "web")
WARM: Final = 100
AT_ONCE: Final = 100
WAIT_S: Final = 60
TOO_MANY: Final = 429


class Result(Struct, frozen=True, kw_only=True):
    """What was measured, in tasks a second. ``lost`` were accepted and didn't end well; ``*_ms`` are of one request."""

    tasks: int
    accepted_per_second: float
    accepted_singly_per_second: float
    done_per_second: float
    lost: int
    single_p50_ms: float
    single_p99_ms: float
    load_average: float

    @property
    def kept(self) -> bool:
        """Whether the limits of the specification hold."""
        return self.accepted_per_second > ACCEPTED_MIN and self.done_per_second > DONE_MIN and not self.lost


class Clients:
    """Programs that submit tasks: ``connections`` of them, each as fast as it is answered."""

    def __init__(self, session: aiohttp.ClientSession, connections: int) -> None:
        self._session = session
        self._connections = connections
        self.accepted: list[str] = []
        self.took_s: list[float] = []

    async def submit(self, count: int) -> None:
        """Have ``count`` tasks accepted."""
        numbers = iter(range(count))
        await asyncio.gather(*(self._work(numbers) for _ in range(self._connections)))

    async def _work(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            began = time.monotonic()
            self.accepted.append(await self._one(ROLES[number % len(ROLES)]))
            self.took_s.append(time.monotonic() - began)

    async def submit_together(self, count: int) -> None:
        """Have ``count`` tasks accepted, ``AT_ONCE`` a request, one request after the other."""
        for start in range(0, count, AT_ONCE):
            body = {"tasks": [{"agent_type": ROLES[n % len(ROLES)]} for n in range(min(AT_ONCE, count - start))]}
            async with self._session.post("/api/cluster/tasks/submit", json=body) as answer:
                answer.raise_for_status()
                self.accepted += [str(one["task_id"]) for one in (await answer.json())["tasks"]]

    async def _one(self, role: str) -> str:
        while True:
            async with self._session.post("/api/cluster/task/submit", params={"agent_type": role}) as answer:
                if answer.status != TOO_MANY:
                    answer.raise_for_status()
                    return str((await answer.json())["task_id"])
            await asyncio.sleep(0.05)

    async def unfinished(self, task_ids: Sequence[str]) -> int:
        """Return how many tasks did not complete, after waiting for each."""
        waiting = iter(task_ids)
        return sum(await asyncio.gather(*(self._missed(waiting) for _ in range(self._connections))))

    async def _missed(self, task_ids: Iterator[str]) -> int:
        missed = 0
        for task_id in task_ids:
            async with self._session.get(f"/api/cluster/task/{task_id}", params={"wait_seconds": WAIT_S}) as answer:
                missed += (await answer.json()).get("status") != "completed"
        return missed


async def measure(count: int, connections: int) -> Result:
    """Submit ``count`` tasks and wait for all of them."""
    with tempfile.TemporaryDirectory(prefix="logmend-api-", ignore_cleanup_errors=True) as directory:
        settings = Settings(data_dir=Path(directory), host=HOST, dry_run=False, source_partitions=1)
        async with EmbeddedBroker(settings) as broker:
            settings = settings.model_copy(update={"brokers": broker.address})
            await create_topics(settings)
            async with serving(settings, STAGES):
                address = web_address_file(settings.data_dir).read_text()
                connector = aiohttp.TCPConnector(limit=connections)
                async with aiohttp.ClientSession(address, connector=connector) as session:
                    return await _measured(session, count, connections)


async def _measured(session: aiohttp.ClientSession, count: int, connections: int) -> Result:
    await _pool_is_heard_of(session)
    warm = Clients(session, connections)
    await warm.submit(WARM)
    await warm.unfinished(warm.accepted)
    singly, together = Clients(session, connections), Clients(session, connections)
    began = time.monotonic()
    await singly.submit(count)
    single_s = time.monotonic() - began
    lost = await singly.unfinished(singly.accepted)
    began = time.monotonic()
    await together.submit_together(count)
    together_s = time.monotonic() - began
    lost += await together.unfinished(together.accepted)
    done_s = time.monotonic() - began
    took = sorted(singly.took_s)
    return Result(
        tasks=2 * count,
        accepted_per_second=round(count / together_s, 1),
        accepted_singly_per_second=round(count / single_s, 1),
        done_per_second=round(count / done_s, 1),
        lost=lost + 2 * count - len({*singly.accepted, *together.accepted}),
        single_p50_ms=round(took[len(took) // 2] * 1000, 1),
        single_p99_ms=round(took[len(took) * 99 // 100] * 1000, 1),
        load_average=round(os.getloadavg()[0], 2),
    )


async def _pool_is_heard_of(session: aiohttp.ClientSession) -> None:
    """Wait until a task is done: a pool is given something once the fold has heard of it."""
    trying = Clients(session, 1)
    async with asyncio.timeout(WAIT_S):
        while True:
            await trying.submit(1)
            if not await trying.unfinished(trying.accepted[-1:]):
                return
            await asyncio.sleep(0.5)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("--tasks", type=int, default=3_500)
    parser.add_argument("--connections", type=int, default=32)
    given = parser.parse_args(arguments)
    found = asyncio.run(measure(given.tasks, given.connections))
    print(json.dumps({**structs.asdict(found), "kept": found.kept}, indent=2))
    return 0 if found.kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
