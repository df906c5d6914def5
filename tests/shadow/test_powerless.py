"""Shadow mode is unable to act: by type, by import, and by what dispatch and the pool take."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import sqlite3
import typing
from pathlib import Path

import pytest

import streams.shadow
from streams.agents.dispatch import DispatchEngine
from streams.codec import decode_command, decode_decision
from streams.core.errors import InputError, InvariantError
from streams.ports import Outgoing, ReadableLog, TopicPartition
from streams.shadow.journal import shadow_dir
from streams.shadow.watch import Watch
from tests.core.test_fold import QUICK
from tests.shadow.scene import TOPICS, Scene, crashed, settled
from tests.shadow.test_watch import PASSIVE


def appends(log: ReadableLog) -> object:
    """Return what a readable log would append by: mypy refuses this line, and fails when it needn't."""
    return log.append  # type: ignore[attr-defined]  # the claim is that there is none


def test_what_shadow_reads_by_has_no_way_to_append() -> None:
    """The log that a watch is given is a type that can be read and nothing else."""
    given = typing.get_type_hints(Watch.__init__)["log"]
    assert given is ReadableLog
    public = {name for name, _ in inspect.getmembers(given, inspect.isfunction) if not name.startswith("_")}
    assert public == {"read", "bounds"}


def test_no_module_of_shadow_names_what_appends() -> None:
    """Neither a log that appends, nor a record to append, nor any way to encode one is imported in the package."""
    names = {
        alias.name
        for path in Path(streams.shadow.__path__[0]).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert names & {"ReadableLog", "Twin"} == {"ReadableLog", "Twin"}
    assert not names & {"Log", "PolledLog", "Outgoing", "encode", "KafkaLog", "subprocess", "Command"}


def candidates(scene: Scene) -> list[bytes]:
    """Return what the journal holds of decisions that only the candidate made."""
    world = settled(PASSIVE)
    scene.append(world)
    scene.watch(QUICK, crashed(world, "api"))
    with contextlib.closing(sqlite3.connect(shadow_dir(scene.directory) / "shadow.sqlite")) as rows:
        return [row[0].encode() for row in rows.execute("SELECT candidate FROM differences WHERE candidate <> ''")]


def test_what_a_candidate_decides_is_neither_a_decision_nor_a_command(tmp_path: Path) -> None:
    """Not even a copy of the journal's rows into a topic would be read there."""
    kept = candidates(Scene(tmp_path))
    assert kept
    for data in kept:
        with pytest.raises(InputError):
            decode_decision(data)
        with pytest.raises(InputError):
            decode_command(data)


def test_dispatch_refuses_what_a_candidate_decides(tmp_path: Path) -> None:
    """Put among the decisions by hand, it stops dispatch, and no command is sent."""
    scene = Scene(tmp_path)
    where = TopicPartition(TOPICS.decisions, 0)
    engine = DispatchEngine(scene.log, TOPICS)

    async def dispatched() -> None:
        await engine.load([where])
        await engine.process([(where, await scene.log.read(where, 0, 1))])

    scene.log.put(Outgoing(TOPICS.decisions, candidates(scene)[0]))
    with pytest.raises(InvariantError):
        asyncio.run(dispatched())
    assert TopicPartition(TOPICS.commands, 0) not in scene.log.records


def test_shadow_leaves_the_log_as_it_is(tmp_path: Path) -> None:
    """No topic has a record more than before."""
    scene = Scene(tmp_path)
    candidates(scene)
    assert set(scene.log.records) == {TopicPartition(TOPICS.facts, 0)}
