"""``logmend demo``: real lines, real faults, healed by Logmend, and the figures at the end."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from analytics.views import EventLog
from lab import report
from lab.display import Display
from lab.faults import DEMO_FAULTS, FAULTS
from lab.feed import Feed
from lab.inventory import POLICY
from lab.report import DemoReport, Span
from lab.run import run_faults
from lab.session import Lab, running
from lab.site import DEMO_SERVICES
from lab.timeline import Story
from streams.core.errors import InputError
from streams.core.kinds import SENDING_KINDS
from streams.settings import Settings

WARM_UP_S: Final = 2.0
"""So that every probe has been green once before the first fault."""
ARCHIVED_S: Final = 20.0
REFRESH_S: Final = 0.25


async def run_demo(settings: Settings, display: Display, *, halted: bool = False) -> DemoReport:
    """Ship the demo's lines, inject all six faults meanwhile, and return what came of it (under two minutes).

    With ``halted`` the kill switch is on: everything is detected and decided, and all faults must stay broken.
    ``InputError`` says in one line why it can't run. Nothing that was started is left, however it ends.
    """
    began = time.monotonic()
    stories = {name: Story(fault=name, service=FAULTS[name].service) for name in DEMO_FAULTS}
    with display:
        async with running(settings, display.phase, POLICY, DEMO_SERVICES, halted=halted) as lab:
            feed = Feed(lab.log, settings.logs[0], lab.partitions)
            showing = asyncio.create_task(_show(display, lab, stories, feed))
            try:
                await _act(lab, display, stories, feed, halted=halted)
                display.phase("waiting until the event log holds it all")
                await archived(lab)
            finally:
                showing.cancel()
            span = Span(
                facts_offset=lab.facts_offset,
                seq=lab.seq,
                burst_ms=feed.burst_ms,
                burst_lines=feed.burst_lines,
                seconds=time.monotonic() - began,
                halted=halted,
            )
            with EventLog(lab.settings.data_dir / "log") as log:
                found = report.build(log, span, list(stories.values()))
            display.phase("stopping")
    return found


async def _act(lab: Lab, display: Display, stories: dict[str, Story], feed: Feed, *, halted: bool) -> None:
    """Send the backlog, then the rest of the lines while the faults are injected."""
    display.phase(f"shipping {feed.burst_lines:,} lines")
    await feed.burst()
    await asyncio.sleep(WARM_UP_S)
    display.phase("injecting faults" + (" with the kill switch on" if halted else ""))
    async with asyncio.TaskGroup() as group:
        group.create_task(feed.stream())
        group.create_task(run_faults(lab.site, lab.watch, stories, alone=halted))


async def _show(display: Display, lab: Lab, stories: dict[str, Story], feed: Feed) -> None:
    while True:
        display.update(stories.values(), feed.sent, feed.total, len(lab.watch.decisions))
        await asyncio.sleep(REFRESH_S)


async def archived(lab: Lab) -> None:
    """Wait until the event log holds every decision of the run and every command; ``InputError`` if it does not."""
    last = lab.watch.decisions[-1]
    commands = [decision.seq for decision in lab.watch.decisions if decision.kind in SENDING_KINDS]
    deadline = time.monotonic() + ARCHIVED_S
    with EventLog(lab.settings.data_dir / "log") as log:
        while _behind(log, last.seq, last.facts_offset, max(commands, default=-1)):
            if time.monotonic() > deadline:
                raise InputError(f"the event log is behind after {ARCHIVED_S:.0f} s: run logmend doctor")
            await asyncio.sleep(REFRESH_S)


def _behind(log: EventLog, seq: int, facts_offset: int, command_seq: int) -> bool:
    sql = (
        "SELECT (SELECT coalesce(max(seq), -1) FROM decisions) < $seq "
        "OR (SELECT coalesce(max(facts_offset), -1) FROM facts) < $facts_offset "
        "OR (SELECT coalesce(max(seq), -1) FROM commands) < $command_seq"
    )
    return bool(log.query(sql, {"seq": seq, "facts_offset": facts_offset, "command_seq": command_seq}).item())
