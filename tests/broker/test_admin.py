"""Topics are made once, as they should be, and differences are named."""

from __future__ import annotations

import pytest

from streams.core.errors import InputError
from streams.runtime.admin import Admin, create_topics
from streams.settings import Settings

pytestmark = pytest.mark.broker


async def test_missing_topics_are_made_once(broker: Settings) -> None:
    """The first call makes them all, the second finds nothing to do and nothing to complain of."""
    wanted = {topic.name for topic in broker.topics.all()}
    assert set(await create_topics(broker)) == wanted
    assert await create_topics(broker) == []
    async with Admin(broker) as admin:
        assert await admin.problems() == []


async def test_missing_topics_are_named(broker: Settings) -> None:
    """Before they are made each topic is named, with the command that makes it."""
    async with Admin(broker) as admin:
        problems = await admin.problems()
        with pytest.raises(InputError, match="is missing: make it with `logmend topics create`"):
            await admin.partitions(broker.topics.sources)
    assert f"{broker.topics.facts}: missing: make it with `logmend topics create`" in problems
    assert len(problems) == len(broker.topics.all())


async def test_the_limit_of_logs_is_shared_by_its_partitions(broker: Settings) -> None:
    """All partitions of a topic of logs or metrics together keep within the limit; our own topics have none."""
    await create_topics(broker, logs_bytes_max=2**31)
    async with Admin(broker) as admin:
        configs = await admin._configs([broker.logs[0], broker.metrics[0], broker.topics.facts])
    assert {configs[name]["retention.bytes"] for name in (broker.logs[0], broker.metrics[0])} == {str(2**31 // 4)}
    assert configs[broker.topics.facts]["retention.bytes"] == "-1"


async def test_our_topics_are_stamped_by_the_broker(broker: Settings) -> None:
    """The append time of our topics is the broker's, whatever a producer says."""
    await create_topics(broker)
    async with Admin(broker) as admin:
        states = await admin.describe()
    ours = [state for state in states if state.wanted.name.startswith(broker.fleet) and state.wanted.partitions == 1]
    assert {state.config["message.timestamp.type"] for state in ours} <= {"LogAppendTime", ""}
    facts = next(state for state in states if state.wanted.name == broker.topics.facts)
    assert facts.config["message.timestamp.type"] == "LogAppendTime"
    assert facts.partitions == 1


async def test_partitions_are_listed_in_order(broker: Settings) -> None:
    """Each partition of each topic once, in the order asked for."""
    await create_topics(broker)
    async with Admin(broker) as admin:
        found = await admin.partitions([broker.topics.inbox_people, broker.logs[0]])
    assert [(where.topic, where.partition) for where in found] == [
        (broker.topics.inbox_people, 0),
        *((broker.logs[0], number) for number in range(4)),
    ]
