"""Dispatch by itself: what it sends, where it goes on, and what it refuses to skip."""

from __future__ import annotations

import msgspec
import pytest

from streams.agents.dispatch import DECISIONS_OFFSET, DispatchEngine
from streams.codec import decode_command, decode_decision, encode
from streams.core.config import Inventory
from streams.core.errors import InvariantError
from streams.core.events import Decision
from streams.ports import Outgoing
from tests.core.world import START_MS, spec
from tests.core.world import World as Story
from tests.sim.alone import Alone
from tests.sim.broker import Stored
from tests.sim.scene import COMMANDS, DECISIONS, TOPICS

HOUR_MS = 3_600_000


def story() -> list[Decision]:
    """Return decisions with three commands among them."""
    return telling().decisions


def telling() -> Story:
    """Return a story with three commands in it, which may go on."""
    told = Story()
    names = ("api", "db", "web", "mail", "cart", "pay", *(f"other-{number}" for number in range(6)))
    told.apply("inventory", Inventory(services=tuple(spec(name) for name in names)))
    for name in ("api", "db", "web"):
        told.detect(name, "process_crash")
    return told


def written(decisions: list[Decision]) -> Alone:
    """Return a broker that holds decisions."""
    alone = Alone()
    alone.land(*(Outgoing(TOPICS.decisions, encode(one)) for one in decisions))
    return alone


def work(alone: Alone, dispatch: DispatchEngine) -> int:
    """Load an owner and give it all decisions from its position on; return that position."""
    start = alone.run(dispatch.load([DECISIONS]))[DECISIONS]
    alone.run(dispatch.process([(DECISIONS, alone.records(DECISIONS, start))]))
    return start


def sent(alone: Alone) -> list[int]:
    """Return the numbers of the commands in their topic."""
    return [decode_command(value).seq for value in alone.values(TOPICS.commands)]


def commands(decisions: list[Decision]) -> list[int]:
    """Return the numbers of the decisions that command something."""
    return [one.seq for one in decisions if one.kind == "commanded"]


def test_commands_are_sent_as_they_were_decided() -> None:
    """Every command goes out in order, byte for byte, keyed by its host, naming its decision's offset."""
    decisions = story()
    alone = written(decisions)
    work(alone, DispatchEngine(alone.log, TOPICS))
    assert sent(alone) == commands(decisions)
    assert len(sent(alone)) == 3
    first = alone.records(COMMANDS)[0]
    assert first.key == b"h1"
    assert decode_command(first.value or b"") == decisions[sent(alone)[0]].command
    assert dict(first.headers)[DECISIONS_OFFSET] == str(sent(alone)[0]).encode()


def test_a_restart_goes_on_after_the_last_command() -> None:
    """Nothing is sent twice when the owner before has finished."""
    decisions = story()
    alone = written(decisions[: commands(decisions)[1] + 1])
    work(alone, DispatchEngine(alone.log, TOPICS))
    alone.land(*(Outgoing(TOPICS.decisions, encode(one)) for one in decisions[commands(decisions)[1] + 1 :]))
    assert work(alone, DispatchEngine(alone.log, TOPICS)) == commands(decisions)[1]
    assert sent(alone) == commands(decisions)


def test_repeats_of_decisions_send_nothing() -> None:
    """What a second owner of decide wrote again is not sent again."""
    decisions = story()
    alone = written([*decisions, *decisions])
    work(alone, DispatchEngine(alone.log, TOPICS))
    assert sent(alone) == commands(decisions)


def test_a_missing_decision_stops_dispatch() -> None:
    """A number that is left out is noticed before anything after it is sent."""
    decisions = story()
    missing = commands(decisions)[1]
    alone = written([one for one in decisions if one.seq != missing])
    with pytest.raises(InvariantError, match=f"follows {missing - 1}"):
        work(alone, DispatchEngine(alone.log, TOPICS))


def test_a_broken_chain_stops_dispatch() -> None:
    """A decision that does not carry the hash of the one before is not sent."""
    decisions = story()
    other = story()
    alone = written([*decisions[:2], *(_changed(one) for one in other[2:3]), *decisions[3:]])
    with pytest.raises(InvariantError, match="does not continue the chain"):
        work(alone, DispatchEngine(alone.log, TOPICS))
    assert sent(alone) == []


def _changed(decision: Decision) -> Decision:
    return msgspec.structs.replace(decision, confidence=0.5)


def test_decisions_that_are_archived_need_not_be_there() -> None:
    """When the last command's decision was deleted, dispatch begins with the earliest that is left."""
    decisions = story()
    last = commands(decisions)[1]
    alone = written(decisions[: last + 2])
    work(alone, DispatchEngine(alone.log, TOPICS))
    alone.land(*(Outgoing(TOPICS.decisions, encode(one)) for one in decisions[last + 2 :]))
    alone.broker[DECISIONS].earliest = last + 1
    assert work(alone, DispatchEngine(alone.log, TOPICS)) == last + 1
    assert sent(alone) == commands(decisions)


def test_a_command_that_went_missing_with_its_decision_stops_dispatch() -> None:
    """A command names the one before it, so one that was never sent can't be passed over."""
    decisions = story()
    first, second, third = commands(decisions)
    alone = written(decisions[: first + 1])
    work(alone, DispatchEngine(alone.log, TOPICS))
    alone.land(*(Outgoing(TOPICS.decisions, encode(one)) for one in decisions[first + 1 :]))
    alone.broker[DECISIONS].earliest = second + 1
    with pytest.raises(InvariantError, match=f"command {third} follows {second}, but {first} was sent"):
        work(alone, DispatchEngine(alone.log, TOPICS))


def test_without_any_command_the_first_decision_there_is_is_believed() -> None:
    """Where older decisions are archived and nothing was sent, the first command may follow one that is not there."""
    decisions = story()
    _, second, third = commands(decisions)
    alone = written(decisions)
    alone.broker[DECISIONS].earliest = second + 1
    work(alone, DispatchEngine(alone.log, TOPICS))
    assert sent(alone) == [third]


def emptied(told: Story) -> Alone:
    """Return a broker whose commands were all sent, and deleted by retention since."""
    alone = written(told.decisions)
    work(alone, DispatchEngine(alone.log, TOPICS))
    alone.broker[COMMANDS].records.clear()
    alone.broker[COMMANDS].earliest = alone.broker[COMMANDS].end
    return alone


def later(alone: Alone, told: Story, service: str) -> list[int]:
    """Let an hour pass and detect something; return the numbers of the commands that were decided then."""
    alone.world.run(alone.world.now_ms + HOUR_MS)
    told.ms = START_MS + alone.world.now_ms
    before = len(told.decisions)
    told.detect(service, "process_crash")
    alone.land(*(Outgoing(TOPICS.decisions, encode(one)) for one in told.decisions[before:]))
    return commands(told.decisions[before:])


def test_a_topic_of_commands_that_was_emptied_gets_no_old_ones_again() -> None:
    """Commands that expired before the newest decision are not sent when the last one that was sent is not known."""
    told = telling()
    alone = emptied(told)
    fresh = later(alone, told, "mail")
    dispatch = DispatchEngine(alone.log, TOPICS)
    work(alone, dispatch)
    assert sent(alone) == fresh
    assert len(fresh) == 1
    start = alone.broker[DECISIONS].end
    fresh += later(alone, told, "cart")
    alone.run(dispatch.process([(DECISIONS, alone.records(DECISIONS, start))]))
    assert sent(alone) == fresh
    assert len(fresh) == 2


def test_a_topic_of_commands_that_was_emptied_gets_what_may_still_be_run() -> None:
    """A command that has not expired is sent, again or not: who ran it knows it by its id."""
    told = telling()
    alone = emptied(told)
    work(alone, DispatchEngine(alone.log, TOPICS))
    assert sent(alone) == commands(told.decisions)


def test_behind_the_first_command_of_an_emptied_topic_none_is_left_out() -> None:
    """Once one was sent the next ones must follow it, also one that expired since."""
    told = telling()
    alone = emptied(told)
    _, second, third = commands(told.decisions)
    alone.broker[DECISIONS].records[third] = stored(alone, third, expires_ms=1)
    alone.broker[DECISIONS].earliest = second
    work(alone, DispatchEngine(alone.log, TOPICS))
    assert sent(alone) == [second, third]


def stored(alone: Alone, offset: int, expires_ms: int) -> Stored:
    """Return the record of the last decision with another expiry of its command."""
    record = alone.broker[DECISIONS].records[offset]
    decision = decode_decision(record.value or b"")
    assert decision.command is not None
    command = msgspec.structs.replace(decision.command, expires_ms=expires_ms)
    return msgspec.structs.replace(record, value=encode(msgspec.structs.replace(decision, command=command)))


def test_a_record_that_is_no_command_of_ours_stops_dispatch() -> None:
    """Dispatch does not guess where to go on."""
    alone = written(story())
    alone.land(Outgoing(TOPICS.commands, b"rubbish"))
    with pytest.raises(InvariantError, match="not a command of ours"):
        work(alone, DispatchEngine(alone.log, TOPICS))
