"""The pool on a real broker: inventory and kill switch from the facts, commands in, outcomes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streams.cli.workers import _workers
from streams.codec import decode_inbox, encode
from streams.core.events import ActionHalted, InboxEvent, OutcomeReported
from streams.ports import Outgoing, TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.kafka import KafkaLog
from streams.runtime.readiness import NAME_VARIABLE, ready_file
from streams.settings import Settings
from streams.workers.intake import Intake
from tests.workers.facts import Facts, inventory
from tests.workers.kit import PATIENCE_SECONDS, command, process_spec, starts, until


async def inbox(log: KafkaLog, settings: Settings) -> list[InboxEvent]:
    """Return all that the pool has said."""
    where = TopicPartition(settings.topics.inbox_workers, 0)
    start, end = await log.bounds(where)
    events: list[InboxEvent] = []
    while start < end:
        records = await log.read(where, start, end)
        events += [decode_inbox(record.value or b"") for record in records]
        start = records[-1].offset + 1
    return events


async def said(log: KafkaLog, settings: Settings, holds: Callable[[InboxEvent], bool]) -> InboxEvent:
    """Wait until the pool has said something."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = [event for event in await inbox(log, settings) if holds(event)]
            if found:
                return found[0]
            await asyncio.sleep(0.05)


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[None]:
    """Have a pool at work; end it cleanly."""
    stop = asyncio.Event()
    pool = asyncio.create_task(_workers(settings, "", stop))
    try:
        yield
    finally:
        stop.set()
        await pool


@pytest.mark.broker
async def test_commands_become_effects_until_action_is_halted(broker: Settings, root: Path) -> None:
    """A restart is carried out and told; after the kill switch the next one is refused; a second pool begins there."""
    settings = broker.model_copy(update={"dry_run": False})
    await create_topics(settings)
    spec = process_spec(root, host=settings.host)
    async with KafkaLog(settings) as log:
        facts = Facts(log, settings)
        await facts.say(inventory(spec))

        async def ask(seq: int) -> OutcomeReported:
            asked = command(spec, "process.restart", seq, seq - 1)
            await log.append([Outgoing(settings.topics.commands, encode(asked), settings.host.encode())])
            event = await said(log, settings, lambda one: getattr(one, "command_id", "") == asked.id)
            assert isinstance(event, OutcomeReported)
            return event

        async with serving(settings):
            first = await ask(0)
            await facts.say(ActionHalted(author="ann", reason="test"))
            second = await ask(1)
        async with serving(settings):
            third = await ask(2)
        outcomes = [event for event in await inbox(log, settings) if isinstance(event, OutcomeReported)]
    assert (first.status, first.ok) == ("done", True)
    assert abs(first.skew_ms) < 1_000
    assert [(one.status, one.code) for one in (second, third)] == [("refused", "halted")] * 2
    assert outcomes == [first, second, third]
    assert starts(root) == ["1-0-0"]


@pytest.mark.broker
async def test_a_pool_is_ready_once_its_journal_has_its_place(
    broker: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so only when what comes from then on can't be taken for what an earlier journal may have had done."""
    await create_topics(broker)
    (broker.data_dir / "run").mkdir()
    monkeypatch.setenv(NAME_VARIABLE, "workers")
    said = ready_file(broker.data_dir, "workers")
    begin, said_by_then = Intake.begin, []

    async def begun(intake: Intake) -> None:
        await begin(intake)
        said_by_then.append(said.exists())

    monkeypatch.setattr(Intake, "begin", begun)
    async with serving(broker):
        await asyncio.to_thread(until, said.exists, "that the pool is ready")
    assert said_by_then == [False]
