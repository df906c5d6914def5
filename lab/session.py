"""A run of the lab on the real thing: Logmend's own processes, the lab's services, and what connects them.

What is started is stopped in reverse, whatever ends the run: first the lab leaves the fleet (what was applied before is
applied again), then Logmend's processes end, then the services. So nothing heals a service that is being stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from analytics.views import EventLog
from lab import control, declared, furnish, outside
from lab.company import Company, Invite, nobody
from lab.health import is_healthy
from lab.inventory import AUTHOR, CLEARING, applied
from lab.shipper import Shipper
from lab.site import API, OUTSIDE_OF, SERVICES, WORKER, Site
from lab.watch import Watch
from streams.codec import decode_decision, encode
from streams.core.config import Inventory, Policy
from streams.core.directory import Directory
from streams.core.errors import InputError
from streams.core.events import ActionHalted, ActionResumed, ConfigApplied, Decision, InboxEvent
from streams.ports import Log, Outgoing, TopicPartition
from streams.runtime.admin import Admin
from streams.runtime.kafka import KafkaLog
from streams.runtime.supervisor import ROLES, Supervisor
from streams.runtime.view import FactsView
from streams.settings import Settings

PROCESSES: Final = tuple(role for role in ROLES if role != "host")
"""The lab keeps its host busy on purpose: that the processors are at their limit is none of its faults."""
READY_S: Final = 30.0
LEAVE_S: Final = 5.0
CLEAR_S: Final = 60.0
"""Longer than a command may go without an outcome under the lab's policy."""
ARCHIVE_S: Final = 2.0
LOOK_S: Final = 0.25
TRAFFIC_EVERY_S: Final = 0.25

Say = Callable[[str], None]


class Lab(Struct, frozen=True, kw_only=True):
    """A run under way. ``facts_offset`` and ``seq`` are the first that can belong to it."""

    settings: Settings
    log: Log
    site: Site
    company: Company
    """Services beside those of the site."""
    policy: Policy
    watch: Watch
    partitions: int
    """Of the topic that the lab's lines go to."""
    facts_offset: int
    seq: int

    def inventory(self) -> Inventory:
        """Return the inventory of all services of the run."""
        return Inventory(services=(*declared.specs(self.site), *self.company.specs))


@asynccontextmanager
async def running(
    settings: Settings,
    say: Say,
    policy: Policy,
    services: Sequence[str],
    *,
    halted: bool = False,
    invite: Invite = nobody,
) -> AsyncIterator[Lab]:
    """Start all that a run needs, and stop it at the end. ``InputError`` says in one line what is in the way.

    ``services`` are those of the site, ``invite`` brings others.

    At the end it waits for the event loop's threads and lets them go, so an event loop is good for one run.
    """
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(standing(settings, services))
        company = invite(site)
        stack.callback(company.stop)
        company.stop()  # what a run that was killed may have left
        update = {"dry_run": False, "tool_path": str(site.tool_path), "canary_seconds": 0}
        settings = settings.model_copy(update=update)
        say("starting Kafka and Logmend's processes")
        await stack.enter_async_context(Supervisor(settings, say, _processes(settings)))
        log = await stack.enter_async_context(KafkaLog(settings))
        people = await stack.enter_async_context(KafkaLog(settings))
        lab, before = await _look_around(settings, log, site, company, policy)
        tasks = await stack.enter_async_context(background())
        tasks(lab.watch.run())
        await _clear(lab, people, before, say)
        say("starting the lab's services")
        await asyncio.to_thread(control.stop_all, site)  # what an old command may have started meanwhile
        await asyncio.to_thread(control.start_all, site)
        await asyncio.to_thread(company.stop)
        await asyncio.to_thread(company.start)
        say("applying the lab's policy and inventory")
        stack.push_async_callback(_leave, lab, people, before)
        await _join(lab, people, before, halted=halted)  # after the start: so the first probe finds them well
        tasks(_shipper(lab).run())
        for service in visited(site):
            tasks(traffic(site, service))
        yield lab
        if not await _settled(lab, ARCHIVE_S):
            await _close_open(lab, people, say)


@asynccontextmanager
async def standing(settings: Settings, services: Sequence[str]) -> AsyncIterator[Site]:
    """Make a site with its peers, no service started yet; at the end nothing of it runs or is mounted any more."""
    async with AsyncExitStack() as stack:
        root = (settings.data_dir / "lab").resolve()
        site = furnish.create(root, settings.host, services)
        stack.callback(furnish.release, site)
        stack.callback(control.stop_all, site)
        stack.push_async_callback(asyncio.get_running_loop().shutdown_default_executor)  # nothing starts one after that
        control.stop_all(site)  # what a run that was killed may have left
        if not OUTSIDE_OF.isdisjoint(services):
            stack.callback(outside.end, outside.started(site))
        yield site


@asynccontextmanager
async def background() -> AsyncIterator[Callable[[Coroutine[Any, Any, None]], None]]:
    """Give a function that starts a coroutine beside the run; one that fails ends the run, the end ends them all."""
    started: list[asyncio.Task[None]] = []
    try:
        async with asyncio.TaskGroup() as group:
            yield lambda work: started.append(group.create_task(work))
            for task in started:
                task.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors


def _processes(settings: Settings) -> tuple[str, ...]:
    """Return the processes of a run; there are advisors only where the settings name a model."""
    return PROCESSES if settings.advise_provider == "rules" else (*PROCESSES, "advise")


async def _look_around(
    settings: Settings, log: Log, site: Site, company: Company, policy: Policy
) -> tuple[Lab, Directory]:
    """Return the run, and what was applied before it."""
    topics = settings.topics
    async with Admin(settings) as admin:
        partitions = len(await admin.partitions(settings.logs[:1]))
    view = await FactsView.open(log, topics)
    watch = Watch(log, topics.decisions)
    await watch.start()
    lab = Lab(
        settings=settings,
        log=log,
        site=site,
        company=company,
        policy=policy,
        watch=watch,
        partitions=partitions,
        facts_offset=(await log.bounds(TopicPartition(topics.facts, 0)))[1],
        seq=await _next_seq(log, topics.decisions),
    )
    return lab, view.directory


async def _next_seq(log: Log, topic: str) -> int:
    where = TopicPartition(topic, 0)
    end = (await log.bounds(where))[1]
    records = await log.read(where, max(end - 1, 0), end)
    return decode_decision(records[-1].value or b"").seq + 1 if records else 0


async def _clear(lab: Lab, people: Log, before: Directory, say: Say) -> None:
    """See to it that no incident of an earlier run is open: one that was killed leaves its inventory and incidents."""
    left = _left(before)
    if (left or not await _settled(lab, ARCHIVE_S)) and not await _close_open(lab, people, say, left):
        raise InputError("an incident of an earlier run is still open: try again in ten minutes, or another data_dir")


def _left(before: Directory) -> tuple[str, ...]:
    """Return the services of a run of the lab that was killed: its inventory is still in force."""
    found = before.applied.get("inventory")
    ours = found is not None and found.author == AUTHOR
    return tuple(spec.name for spec in before.inventory.services) if ours else ()


async def _close_open(lab: Lab, people: Log, say: Say, left: Sequence[str] = ()) -> bool:
    """Take the lab's services out of the fleet and wait until no incident of theirs is open; False after a minute."""
    say("closing what is still open")
    applied_before = _applied(lab.watch.decisions)
    await _say(lab, people, [applied("policy", CLEARING), applied("inventory", Inventory())])
    await lab.watch.until(lambda decisions: _applied(decisions) >= applied_before + 2, READY_S)
    return await _settled(lab, CLEAR_S, left)


async def _settled(lab: Lab, timeout_s: float, left: Sequence[str] = ()) -> bool:
    """Say whether the event log is up to date and has no open incident of the lab's services; waits for either.

    ``left`` are services of an earlier run that this one does not know.
    """
    services = list({*SERVICES, *left, *(spec.name for spec in lab.company.specs)})
    deadline = asyncio.get_running_loop().time() + timeout_s
    sql = """
        SELECT (SELECT coalesce(max(seq), -1) FROM decisions), count(*) FROM incidents
        WHERE status IN ('open', 'acting', 'verifying', 'waiting', 'escalated') AND list_contains($services, service)
    """
    with EventLog(lab.settings.data_dir / "log") as log:
        while asyncio.get_running_loop().time() < deadline:
            seq, count = log.query(sql, {"services": services}).row(0)
            known = lab.watch.decisions[-1].seq if lab.watch.decisions else lab.seq - 1
            if seq >= known and count == 0:
                return True
            await asyncio.sleep(LOOK_S)
    return False


async def _join(lab: Lab, people: Log, before: Directory, *, halted: bool) -> None:
    """Apply the lab's policy and inventory and set the kill switch; return when the decider has taken it in."""
    if before.halted_by not in {"", AUTHOR}:
        raise InputError(f"the kill switch is on (by {before.halted_by}): run logmend resume, then try again")
    switch: list[InboxEvent] = (
        [ActionResumed(author=AUTHOR, reason="a run of the lab begins")] if before.halted_by else []
    )
    if halted:
        switch = [ActionHalted(author=AUTHOR, reason="a run of the lab with the kill switch on")]
    applied_before = _applied(lab.watch.decisions)
    await _say(lab, people, [*switch, applied("policy", lab.policy), applied("inventory", lab.inventory())])
    if not await lab.watch.until(lambda decisions: _applied(decisions) >= applied_before + 2, READY_S):
        raise InputError(f"nothing is decided within {READY_S:.0f} s: run logmend doctor")


async def _leave(lab: Lab, people: Log, before: Directory) -> None:
    """Apply what was applied before, so that nothing acts on the lab's services any more, and release the switch."""
    back = [
        _earlier(before, "policy") or applied("policy", Policy()),
        _earlier(before, "inventory") or applied("inventory", Inventory()),
    ]
    applied_before = _applied(lab.watch.decisions)
    with contextlib.suppress(TimeoutError):  # without a broker nobody acts either
        async with asyncio.timeout(LEAVE_S):
            await _say(lab, people, [*back, ActionResumed(author=AUTHOR, reason="the run of the lab is over")])
            await lab.watch.until(lambda decisions: _applied(decisions) >= applied_before + 2, LEAVE_S)


def _earlier(before: Directory, kind: str) -> ConfigApplied | None:
    found = before.applied.get(kind)
    return None if found is None or found.author == AUTHOR else found


def _applied(decisions: Sequence[Decision]) -> int:
    return sum(decision.kind == "config_applied" for decision in decisions)


async def _say(lab: Lab, people: Log, events: Sequence[InboxEvent]) -> None:
    topic = lab.settings.topics.inbox_people
    await people.append([Outgoing(topic, encode(event), b"") for event in events])


def _shipper(lab: Lab) -> Shipper:
    files = {spec.name: Path(spec.log_file) for spec in lab.inventory().services}
    return Shipper(lab.log, lab.settings.logs[0], lab.partitions, files, lab.site.root / "shipped.json")


def visited(site: Site) -> tuple[str, ...]:
    """Return the services that customers use: the API they use by way of the proxy, and the worker has none."""
    return tuple(service for service in site.services if service not in {API, WORKER})


async def traffic(site: Site, service: str) -> None:
    """Use a service a few times a second, as customers do, whether it answers or not."""
    while True:
        await asyncio.to_thread(is_healthy, site, service)
        await asyncio.sleep(TRAFFIC_EVERY_S)
