"""The faults: what each does to a running fleet, one function each, and a table of them.

A function returns what it did in a few words, and the moment from which on the next decision is waited for. Kills are
over at once; what follows them is waited for by nobody, so that faults meet. The others undo what they did.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

import psutil
from aiokafka.admin import AIOKafkaAdminClient

from streams.ports import Record, TopicPartition
from streams.runtime.admin import Admin, create_topics
from streams.runtime.security import client
from streams.workers.roles import ROLES as WORKERS
from tests.chaos.arena import Arena
from tests.chaos.deadly.sitecustomize import WORD
from tests.chaos.reading import read_all
from tests.workers.fleet import name_of

HOUR_SECONDS: Final = 3_600
STEPPED_SECONDS: Final = 4.0
FAULTY_DISK_SECONDS: Final = 7.0
"""A writer cuts after five seconds, and tries again after two."""
POISON_SHARE: Final = 0.01
POISON_SECONDS: Final = 5.0
OUTAGE_SECONDS: Final = 1.5
LEFT_RECORDS: Final = 10
REFUSED: Final = "was made anew"


class Done(NamedTuple):
    """What was done, and the moment (monotonic seconds) from which on a new decision is waited for."""

    what: str
    since: float


Work = Callable[[Arena], Awaitable[Done]]


class Fault(NamedTuple):
    """A fault of the table; ``needs_disk`` when it takes a file system of its own."""

    name: str
    do: Work
    needs_disk: bool = False


# ------------------------------------------------------------------------------------------------------------- kills


def kill(role: str) -> Fault:
    """Return the fault that kills a process of this role; of several the one that has work, or any."""

    async def killed(arena: Arena) -> Done:
        names = arena.fleet.names(role)
        name = arena.random.choice([arena.fleet.active(role), *names])
        since = time.monotonic()
        arena.fleet.kill(name)
        return Done(name, since)

    return Fault(f"kill {role}", killed)


async def _kill_worker(arena: Arena) -> Done:
    found: list[psutil.Process] = []
    with suppress(psutil.Error):  # the manager has just died
        manager = psutil.Process(arena.fleet.children["workers"].state.pid)
        found = [one for one in manager.children() if name_of(one) in WORKERS]
    since = time.monotonic()
    if not found:
        return Done("nobody: the manager is dead", since)
    victim = arena.random.choice(found)
    what = name_of(victim)
    with suppress(psutil.NoSuchProcess):
        victim.kill()
    return Done(f"worker {what}", since)


KILLED: Final = ("detect", "decide", "dispatch", "eventlog", "workers", "web", "notify", "advise")
KILLS: Final = (*(kill(role) for role in KILLED), Fault("kill worker", _kill_worker))


# ----------------------------------------------------------------------------------------------------------- zombies


def zombie(role: str) -> Fault:
    """Return the fault that stops a process for twice the session timeout, so that another takes over, and wakes it."""

    async def stopped(arena: Arena) -> Done:
        name = arena.fleet.active(role)
        since = time.monotonic()
        asleep_seconds = 2 * arena.settings.session_timeout_ms / 1_000
        arena.fleet.send(name, signal.SIGSTOP)
        await asyncio.sleep(asleep_seconds)
        arena.fleet.send(name, signal.SIGCONT)
        return Done(f"{name} asleep for {asleep_seconds:.0f} s", since)

    return Fault(f"zombie {role}", stopped)


ZOMBIES: Final = tuple(zombie(role) for role in ("detect", "decide", "dispatch"))


# ------------------------------------------------------------------------------------------------------------- once


async def _kill_broker(arena: Arena) -> Done:
    since = time.monotonic()
    arena.broker.kill()
    await arena.broker.start()
    return Done(f"serves after {time.monotonic() - since:.1f} s", since)


async def _restart_in_turn(arena: Arena) -> Done:
    """End and start each process in order, one after the other, as an upgrade does."""
    since = time.monotonic()
    for name in arena.fleet.children:
        await arena.fleet.hold([name])
        arena.fleet.release([name])
        await arena.fleet.until_ready()
    return Done(f"{len(arena.fleet.children)} processes, {time.monotonic() - since:.0f} s", since)


async def _come_and_go(arena: Arena) -> Done:
    """Have all but one detect leave, come back, and the first one leave and come back."""
    since = time.monotonic()
    first, *others = arena.detects
    for some in (others, [first]):
        await arena.fleet.hold(some)
        await asyncio.sleep(OUTAGE_SECONDS)
        arena.fleet.release(some)
        await arena.fleet.until_ready(some)
    return Done("each left and came back", since)


async def _take_over(arena: Arena) -> Done:
    """Kill the decide that has work, and start it again only when its standby decides."""
    fleet, name = arena.fleet, arena.fleet.active("decide")
    (standby,) = set(fleet.names("decide")) - {name}
    since, killed_at = time.monotonic(), time.time()
    await fleet.hold([name], signal.SIGKILL)
    await fleet.until(lambda: fleet.got_work_at(standby) > killed_at)
    taken = time.monotonic()
    await arena.timeline.recovered(taken)
    fleet.release([name])
    return Done(f"{standby} takes over from {name} after {taken - since:.1f} s", since)


def stepped(hours: int) -> Fault:
    """Return the fault that sets the clock of the broker and of all processes, and sets it right again."""

    async def step(arena: Arena) -> Done:
        since = time.monotonic()
        for ahead in (hours * HOUR_SECONDS, 0):
            arena.clock.set(ahead)
            await asyncio.sleep(STEPPED_SECONDS)
        return Done(f"{hours:+d} h for {STEPPED_SECONDS:.0f} s", since)

    return Fault(f"clock {hours:+d} h", step)


async def _fill_disk(arena: Arena) -> Done:
    since = time.monotonic()
    arena.disk.fill()
    await asyncio.sleep(FAULTY_DISK_SECONDS)
    arena.disk.mend()
    return Done(f"for {FAULTY_DISK_SECONDS:.0f} s", since)


async def _protect_disk(arena: Arena) -> Done:
    """As file systems do that meet an error: nothing can be written any more, also not by who is started again."""
    since = time.monotonic()
    names = arena.fleet.names("eventlog")
    await arena.fleet.hold(names, signal.SIGKILL)
    arena.disk.protect()
    arena.fleet.release(names)
    await asyncio.sleep(FAULTY_DISK_SECONDS)
    await arena.fleet.hold(names)
    arena.disk.mend()
    arena.fleet.release(names)
    return Done(f"for {FAULTY_DISK_SECONDS:.0f} s", since)


async def _poison(arena: Arena) -> Done:
    since, before = time.monotonic(), arena.load.poisoned
    arena.load.poison_share = POISON_SHARE
    await asyncio.sleep(POISON_SECONDS)
    arena.load.poison_share = 0.0
    return Done(f"{POISON_SHARE:.0%} for {POISON_SECONDS:.0f} s: {arena.load.poisoned - before} records", since)


async def _say_deadly(arena: Arena) -> Done:
    """Say what kills whoever slices it, and wait until it is a dead letter."""
    where = TopicPartition(arena.settings.topics.dlq, 0)
    _, begin = await arena.log.bounds(where)
    since = time.monotonic()
    arena.load.said.append(f"this line {WORD.decode()}")

    async def is_dead() -> bool:
        letters = await read_all(arena.log, where, begin, (await arena.log.bounds(where))[1])
        return any(WORD in (letter.value or b"") for letter in letters)

    await arena.until(is_dead)
    return Done(f"a dead letter after {time.monotonic() - since:.1f} s", since)


async def _make_anew(arena: Arena) -> Done:
    """Delete a topic of logs that was read, make it anew, see detect refuse it, and accept that."""
    topic = arena.settings.logs[-1]
    wheres = [TopicPartition(topic, number) for number in range(arena.settings.source_partitions)]
    with arena.silent(topic):
        await asyncio.sleep(OUTAGE_SECONDS)  # what was said has landed
        await arena.until(lambda: arena.read_up_to(wheres))
        since = time.monotonic()
        for where in wheres:
            records = arena.kept.taken.pop(where, []) + await read_all(arena.log, where, *await arena.log.bounds(where))
            arena.kept.before[where] = records
        known = len(arena.fleet.died)
        await _delete(arena, topic)
        await create_topics(arena.settings)
        # Begun anew they need not wait until they look again for what was missing.
        await arena.fleet.hold(arena.detects)
        arena.fleet.release(arena.detects)
        await arena.fleet.until(lambda: any(REFUSED in one for one in arena.fleet.died[known:]))
        await arena.fleet.hold(arena.detects)
        await _command(arena, "topics", "accept-reset", topic)
        arena.fleet.release(arena.detects)
        await arena.fleet.until_ready()
    return Done(f"{topic}: refused, then accepted", since)


async def _delete(arena: Arena, topic: str) -> None:
    admin: Any = AIOKafkaAdminClient(**client(arena.settings))
    await admin.start()
    try:
        await admin.delete_topics([topic])
        await arena.until(lambda: _is_gone(admin, topic))
    finally:
        await admin.close()


async def _is_gone(admin: Any, topic: str) -> bool:
    return topic not in await admin.list_topics()


async def _command(arena: Arena, *arguments: str) -> None:
    """Run ``logmend``. Raises ``RuntimeError`` with what it says when it fails."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", *arguments),
        env={**os.environ, **arena.settings.environment()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"logmend {' '.join(arguments)}: {said.decode()}")


async def _take_unread(arena: Arena) -> Done:
    """Have no detect for a while, and retention take most of what was said meanwhile."""
    since = time.monotonic()
    await arena.fleet.hold(arena.detects, signal.SIGKILL)
    await asyncio.sleep(OUTAGE_SECONDS)
    before: dict[TopicPartition, int] = {}
    for number in range(arena.settings.source_partitions):
        where = TopicPartition(arena.settings.logs[0], number)
        earliest, end = await arena.log.bounds(where)
        before[where] = max(earliest, end - LEFT_RECORDS)
        taken: list[Record] = await read_all(arena.log, where, earliest, before[where])
        arena.kept.taken[where] = arena.kept.taken.get(where, []) + taken
    async with Admin(arena.settings) as admin:
        await admin.delete_records(before)
    arena.fleet.release(arena.detects)
    await arena.fleet.until_ready()
    return Done(f"up to {LEFT_RECORDS} records before the end", since)


ONCE: Final = (
    Fault("broker killed", _kill_broker),
    Fault("rolling restart", _restart_in_turn),
    Fault("detect comes and goes", _come_and_go),
    Fault("decide stays dead", _take_over),
    stepped(+1),
    stepped(-1),
    Fault("disk full", _fill_disk, needs_disk=True),
    Fault("disk read-only", _protect_disk, needs_disk=True),
    Fault("poison", _poison),
    Fault("deadly record", _say_deadly),
    Fault("topic made anew", _make_anew),
    Fault("retention", _take_unread),
)
