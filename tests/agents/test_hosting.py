from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import aiokafka
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import NewTopic, RecordsToDelete

from streams.ports import TopicPartition
from streams.runtime.host import EXIT_FAILED, run_bare
from streams.runtime.kafka import KafkaLog
from streams.runtime.lease import EXIT_LEASE_LOST
from streams.settings import Settings
from tests.agents.cluster import ROOT, Cluster, administering, until
from tests.agents.journal import SESSION_MS, Journal, digest, read_entries

pytestmark = pytest.mark.broker


@pytest.fixture
async def cluster(broker: Settings) -> AsyncIterator[Cluster]:
    """Fresh topics on the session's broker."""
    async with Cluster.open(broker.brokers, broker.data_dir) as opened:
        yield opened


async def nothing_lost(partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """Every partition begins at 0."""
    return dict.fromkeys(partitions, 0)


async def read_all(cluster: Cluster) -> dict[tuple[str, int], Sequence[aiokafka.ConsumerRecord]]:
    """Return all records of the cluster's topics, read without any of ours."""
    found: dict[tuple[str, int], list[aiokafka.ConsumerRecord]] = {where: [] for where in cluster.everything}
    async with AIOKafkaConsumer(bootstrap_servers=cluster.brokers, auto_offset_reset="earliest") as reader:
        wheres = [aiokafka.TopicPartition(*where) for where in cluster.everything]
        reader.assign(wheres)
        ends = await reader.end_offsets(wheres)
        while any([await reader.position(where) < ends[where] for where in wheres]):
            for where, records in (await reader.getmany(timeout_ms=200)).items():
                found[where.topic, where.partition].extend(records)
    return dict(found)


def content_errors(path: Path, truth: Mapping[tuple[str, int], Sequence[aiokafka.ConsumerRecord]]) -> list[object]:
    """Return the journal's slices whose bytes differ from the topic's."""
    wrong: list[object] = []
    for e in read_entries(path):
        records = [r for r in truth[e.topic, e.partition] if e.start <= r.offset < e.end]
        if digest(records) != e.digest:
            wrong.append(e)
    return wrong


async def test_faust_and_a_bare_loop_give_an_engine_the_same_records(cluster: Cluster, broker: Settings) -> None:
    """Each gives every offset once and in order, and the same bytes, out of topics of four partitions and of one."""
    await cluster.send(cluster.logs, 5_000, 4)
    await cluster.send(cluster.inbox, 50, 1)
    cluster.start("a")
    await cluster.until_all_written()
    cluster.check()
    truth = await read_all(cluster)
    assert content_errors(cluster.file, truth) == []

    cluster.file = cluster.file.with_name("bare")
    stop = asyncio.Event()
    async with KafkaLog(broker) as log:
        engine = Journal(cluster.file, "bare", nothing_lost)
        wheres = [TopicPartition(*where) for where in cluster.everything]
        hosting = asyncio.ensure_future(run_bare(engine, log, wheres, stop))
        await cluster.until_all_written()
        stop.set()
        await hosting
    cluster.check()
    assert content_errors(cluster.file, truth) == []


async def test_garbage_passes_through_as_it_came(cluster: Cluster) -> None:
    """Empty, null, binary and huge values, odd keys and headers that Faust knows: the bytes arrive, nothing stops."""
    odd: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]] = [
        (b"key", None, []),
        (b"", b"", []),
        (b"\xff\xfe", b"\x00\x01\xc3\x28", [("", b""), ("h", b"\xff")]),
        (b"k", b"{not json", [("Faust-Ag-ReplyTo", b"logs"), ("Faust-Ag-CorrelationId", b"\xff")]),
        (b"k", os.urandom(900_000), []),
        (b'{"__faust": {"ns": "x"}}', b'{"__faust": {"ns": "faust.models.base.Model"}}', []),
    ]
    for key, value, headers in odd:
        await cluster.producer.send_and_wait(cluster.logs, value, key=key, partition=0, headers=headers)
    cluster.sent[cluster.logs, 0] = len(odd)
    cluster.start("a")
    await cluster.until_all_written()
    cluster.check()
    assert content_errors(cluster.file, await read_all(cluster)) == []


async def test_transactions_of_producers_leave_holes_that_are_passed(cluster: Cluster) -> None:
    """Markers take offsets; what follows them is worked on, what was aborted is a line like any other."""
    async with AIOKafkaProducer(bootstrap_servers=cluster.brokers, transactional_id=cluster.group) as producer:
        for _ in range(3):
            async with producer.transaction():
                await producer.send(cluster.logs, b"committed", partition=0)
        await producer.begin_transaction()
        await producer.send_and_wait(cluster.logs, b"aborted", partition=0)
        await producer.abort_transaction()
    await cluster.producer.send_and_wait(cluster.logs, b"last", partition=0)
    cluster.start("a")
    await until(lambda: sum(e.records for e in cluster.entries()) == 5)
    assert content_errors(cluster.file, await read_all(cluster)) == []
    assert cluster.entries()[-1].end == 9


async def test_a_killed_process_goes_on_where_it_was(cluster: Cluster) -> None:
    """Three times kill -9 under load: nothing lost, nothing twice, and the first new record comes soon."""
    async with cluster.flow():
        process = cluster.start("a")
        await until(lambda: len(cluster.entries()) > 3)
        for _ in range(3):
            process.kill()
            process.wait()
            written = len(cluster.entries())
            process = cluster.start("a")
            seconds = await until(partial(cluster.entries, written))
            sys.stderr.write(f"kill -9 to the first new record: {seconds:.2f} s\n")
            await asyncio.sleep(0.3)
    await cluster.until_all_written()
    cluster.check()


async def test_two_processes_share_the_partitions_and_one_takes_over_from_the_other(cluster: Cluster) -> None:
    """Each has two of the four; after a kill -9 the other has all, and after a clean stop too."""
    async with cluster.flow():
        cluster.start("a")
        await until(lambda: cluster.holds("a", 0) == cluster.everything)
        second = cluster.start("b")
        await until(lambda: len(cluster.holds("b", 0)) >= 2)
        both = len(cluster.entries())
        await until(lambda: cluster.holds("a", both) | cluster.holds("b", both) == cluster.everything)
        assert not cluster.holds("a", both) & cluster.holds("b", both)
        assert len({where for where in cluster.holds("b", both) if where[0] == cluster.logs}) == 2
        second.kill()
        alone = len(cluster.entries())
        await until(lambda: cluster.holds("a", alone) == cluster.everything)
        second.wait()
        second = cluster.start("b")
        again = len(cluster.entries())
        await until(lambda: len(cluster.holds("b", again)) >= 2)
        second.terminate()
        assert await asyncio.to_thread(second.wait) == 0
        stopped = len(cluster.entries())
        await until(lambda: cluster.holds("a", stopped) == cluster.everything)
    await cluster.until_all_written()
    cluster.check()


async def test_a_standby_of_a_one_partition_topic_waits_for_the_first_to_die(cluster: Cluster) -> None:
    """It gets nothing while the first lives, whatever its name, and everything afterwards."""
    cluster.topics = {cluster.inbox: 1}
    async with cluster.flow():
        first = cluster.start("m")
        await until(lambda: len(cluster.entries()) > 3)
        cluster.start("a")
        await until(lambda: cluster.rebalances("m") == 2)
        cluster.start("z")
        await until(lambda: cluster.rebalances("m") == 3)
        await asyncio.sleep(1)
        assert {e.owner for e in cluster.entries()} == {"m"}
        first.kill()
        await until(lambda: {e.owner for e in cluster.entries()} != {"m"})
    await cluster.until_all_written()
    cluster.check()


async def test_a_process_that_slept_past_its_session_leaves_without_writing(cluster: Cluster) -> None:
    """SIGSTOP, another takes over, SIGCONT: the zombie ends itself with its own exit status."""
    async with cluster.flow():
        cluster.start("a")
        second = cluster.start("b")
        await until(lambda: len(cluster.holds("b", 0)) >= 2)
        second.send_signal(signal.SIGSTOP)
        stopped = len(cluster.entries())
        await until(lambda: cluster.holds("a", stopped) == cluster.everything)
        await asyncio.sleep(SESSION_MS / 1000)
        second.send_signal(signal.SIGCONT)
        assert await asyncio.to_thread(second.wait) == EXIT_LEASE_LOST
        assert not cluster.holds("b", stopped)
    await cluster.until_all_written()
    cluster.check()
    assert '"lease_lost"' in cluster.stderr("b").read_text()


async def test_a_process_whose_place_another_takes_ends_itself(cluster: Cluster) -> None:
    """A second process with the same instance id goes on alone: the broker fences the first, which ends with 70."""
    async with cluster.flow():
        first = cluster.start("a")
        await until(lambda: len(cluster.entries()) > 3)
        cluster.start("a")
        assert await asyncio.to_thread(first.wait) == EXIT_FAILED
        alone = len(cluster.entries())
        await until(lambda: cluster.holds("a", alone) == cluster.everything)
    await cluster.until_all_written()


async def test_a_topic_that_was_missing_is_read_when_it_is_there(cluster: Cluster) -> None:
    """Who begins without one of its topics takes the others, and that one soon after it was made."""
    late = f"late-{cluster.group}"
    cluster.topics[late] = 2
    await cluster.send(cluster.logs, 40, 4)
    cluster.start("a")
    await cluster.until_all_written()
    async with administering(cluster.brokers) as admin:
        await admin.create_topics([NewTopic(late, 2, 1)])
    await cluster.send(late, 20, 2)
    await cluster.until_all_written()
    cluster.check()


async def test_a_process_that_is_stopped_while_it_starts_ends_in_order(cluster: Cluster) -> None:
    """It need not have got its partitions first."""
    process = cluster.start("a")
    await until(lambda: "process_started" in cluster.stderr("a").read_text())
    process.terminate()
    assert await asyncio.to_thread(process.wait) == 0


def test_a_process_without_a_broker_ends_and_says_so(tmp_path: Path) -> None:
    """The supervisor starts it again; all it said are lines of JSON."""
    told = ["127.0.0.1:1", "group", "a", str(tmp_path / "journal"), "logs"]
    command = [sys.executable, "-m", "tests.agents.journal", *told]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == EXIT_FAILED
    events = [json.loads(line) for line in done.stderr.splitlines()]
    failed = [event["error"] for event in events if event["event"] == "process_failed"]
    assert len(failed) == 1
    assert "Unable to bootstrap" in failed[0]


async def test_a_clean_stop_ends_with_status_0_and_tells_lag_monitors_its_position(cluster: Cluster) -> None:
    """The group's offsets are ours after the stop."""
    await cluster.send(cluster.logs, 100, 4)
    process = cluster.start("a")
    await cluster.until_all_written()
    process.terminate()
    assert await asyncio.to_thread(process.wait) == 0
    async with administering(cluster.brokers) as admin:
        committed = await admin.list_consumer_group_offsets(cluster.group)
    reached = {tuple(where): meta.offset for where, meta in committed.items()}
    assert reached == {(cluster.logs, number): 25 for number in range(4)} | {(cluster.inbox, 0): 0}


async def test_the_groups_offset_is_never_a_position(cluster: Cluster) -> None:
    """A wrong offset in the group moves nothing: neither one beyond ours nor one beyond the end."""
    await cluster.send(cluster.logs, 400, 4)
    wheres = [aiokafka.TopicPartition(cluster.logs, number) for number in range(4)]
    async with AIOKafkaConsumer(
        bootstrap_servers=cluster.brokers, group_id=cluster.group, enable_auto_commit=False
    ) as liar:
        liar.assign(wheres)
        await liar.commit({where: 50 if where.partition else 10_000 for where in wheres})
    cluster.start("a")
    await cluster.until_all_written()
    cluster.check()


async def test_a_position_that_retention_deleted_makes_the_engine_load_again(cluster: Cluster) -> None:
    """Reading goes on at the earliest offset only after the engine was asked."""
    await cluster.send(cluster.logs, 40, 4)
    async with administering(cluster.brokers) as admin:
        await admin.delete_records({aiokafka.TopicPartition(cluster.logs, 2): RecordsToDelete(before_offset=7)})
    cluster.start("a")
    await until(lambda: sum(e.records for e in cluster.entries()) == 33)
    starts = {e.partition: e.start for e in reversed(cluster.entries())}
    assert starts == {0: 0, 1: 0, 2: 7, 3: 0}


async def test_a_bare_loop_loads_again_too(cluster: Cluster, broker: Settings) -> None:
    """Its poller raises where Faust's transport marks the fetch."""
    await cluster.send(cluster.logs, 40, 4)
    where = aiokafka.TopicPartition(cluster.logs, 2)
    async with administering(cluster.brokers) as admin:
        await admin.delete_records({where: RecordsToDelete(before_offset=7)})
    stop = asyncio.Event()
    async with KafkaLog(broker) as log:

        async def earliest(partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
            return {where: (await log.bounds(where))[0] for where in partitions}

        engine = Journal(cluster.file, "bare", earliest)
        hosting = asyncio.ensure_future(run_bare(engine, log, [TopicPartition(*where)], stop))
        await until(lambda: sum(e.records for e in cluster.entries()) == 3)
        stop.set()
        await hosting
    assert engine.loads == 2
    assert cluster.entries()[0].start == 7


async def test_an_engine_that_fails_ends_the_process_before_anything_else_is_written(cluster: Cluster) -> None:
    """Status 70, a traceback in the log, and nothing of the failed fetch or after it in the journal."""
    await cluster.send(cluster.inbox, 10, 1)
    process = cluster.start("a", fail_at=12)
    await cluster.until_all_written()
    await cluster.send(cluster.inbox, 10, 1)
    assert await asyncio.to_thread(process.wait) == EXIT_FAILED
    assert max(e.end for e in cluster.entries()) <= 12
    assert "ValueError: offset 12" in cluster.stderr("a").read_text()
    process = cluster.start("a")
    await cluster.until_all_written()
    cluster.check()
