"""Forged commands on a real broker: a real pool refuses each, and ``logmend sql`` says what and why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from analytics.writer import EventLogWriter
from streams.catalogue.codes import refusals
from streams.cli import main
from streams.codec import encode
from streams.core.commands import command_sha256
from streams.core.events import Argument, Command, OutcomeReported
from streams.core.inventory import ServiceSpec
from streams.ports import Outgoing
from streams.runtime.admin import create_topics
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings
from tests.workers.facts import Facts, inventory
from tests.workers.injection import Canary
from tests.workers.kit import command, process_spec
from tests.workers.test_on_kafka import inbox, said, serving

pytestmark = pytest.mark.broker


def forged(root: Path, host: str, canary: Canary) -> dict[str, Command]:
    """Return commands as somebody would write them who can write to the topic, by the code that refuses each."""
    spec = process_spec(root, host=host)
    other = msgspec.structs.replace(spec, argv=(str(canary.path),))
    shell = msgspec.structs.replace(spec, argv=("/bin/sh", "-c", str(canary.path)))
    wanted: dict[str, tuple[ServiceSpec, dict[str, Any]]] = {
        "unknown_action": (spec, {"action": f"process.restart; {canary.path}"}),
        "bad_argument": (spec, {"arguments": (Argument(name="grace_ms", value=f"$({canary.path})"),)}),
        "inventory_changed": (other, {}),
        "bad_argv": (shell, {}),
        "bad_id": (spec, {"id": f"1-4; {canary.path}"}),
        "wrong_kind": (spec, {"kind": "shell"}),
        "wrong_epoch": (spec, {"epoch": 7}),
        "wrong_hash": (spec, {"strategy": "; rm -rf /"}),
        "not_declared": (spec, {"action": "process.clear_caches"}),
    }
    found = {}
    for seq, (code, (target, fields)) in enumerate(wanted.items()):
        bare = msgspec.structs.replace(command(target, "process.restart", seq, seq - 1), **fields)
        found[code] = bare if code == "wrong_hash" else msgspec.structs.replace(bare, sha256=command_sha256(bare))
    return found


async def refused(settings: Settings, root: Path, commands: Sequence[Command]) -> None:
    """Have a real pool read commands, and archive what was asked and what it said."""
    async with KafkaLog(settings) as log:
        facts = Facts(log, settings)
        await facts.say(inventory(process_spec(root, host=settings.host)))
        topic, key = settings.topics.commands, settings.host.encode()
        await log.append([Outgoing(topic, encode(one), key) for one in commands])
        async with serving(settings):
            await said(log, settings, lambda event: getattr(event, "command_id", "") == commands[-1].id)
        outcomes = [event for event in await inbox(log, settings) if isinstance(event, OutcomeReported)]
        told = Facts(log, settings, settings.topics.inbox_workers)
        for outcome in outcomes:
            await told.say(outcome)
        with EventLogWriter(log, settings.topics, settings.data_dir / "log") as writer:
            await writer.flush()


def test_a_forged_command_is_refused_and_explained(
    broker: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of forged commands none is run; ``logmend sql`` shows id, service, action, code and reason of each."""
    settings = broker.model_copy(update={"dry_run": False})
    canary = Canary(tmp_path)
    commands = forged(tmp_path, settings.host, canary)

    async def play() -> None:
        await create_topics(settings)
        await refused(settings, tmp_path, list(commands.values()))

    asyncio.run(play())
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    asked = "select id, service, action, code, reason, decided from refusals"
    answer = CliRunner().invoke(main, ["sql", asked, "--json"])
    assert answer.exit_code == 0, answer.output
    rows = {row["id"]: row for row in json.loads(answer.stdout)}
    assert rows == {
        one.id: {
            "id": one.id,
            "service": "api",
            "action": one.action,
            "code": code,
            "reason": refusals()[code],
            "decided": False,
        }
        for code, one in commands.items()
    }
    assert canary.lives()
    assert not (tmp_path / "api.pid").exists()
