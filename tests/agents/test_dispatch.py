"""Dispatch by itself: what it sends, where it goes on, and what it refuses to skip."""

from __future__ import annotations

import msgspec
import pytest

from streams.agents.dispatch import DECISIONS_OFFSET, DispatchEngine
from streams.codec import decode_command, encode
from streams.core.config import Inventory
from streams.core.errors import InvariantError
from streams.core.events import Decision
from streams.ports import Outgoing
from tests.core.world import World as Story
from tests.core.world import spec
from tests.sim.alone import Alone
from tests.sim.scene import COMMANDS, DECISIONS, TOPICS


def story() -> list[Decision]:
    """Return decisions with three commands among them."""
    told = Story()
    told.apply(
        "inventory", Inventory(services=tuple(spec(name) for name in ("api", "db", "web", "mail", "cart", "pay")))
    )
    for name in ("api", "db", "web"):
        told.detect(name, "process_crash")
    return told.decisions


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


def test_commands_whose_topic_was_emptied_begin_anew() -> None:
    """Without a command to go on from, the first decision that is there is believed."""
    decisions = story()
    _, second, third = commands(decisions)
    alone = written(decisions)
    alone.broker[DECISIONS].earliest = second + 1
    work(alone, DispatchEngine(alone.log, TOPICS))
    assert sent(alone) == [third]


def test_a_record_that_is_no_command_of_ours_stops_dispatch() -> None:
    """Dispatch does not guess where to go on."""
    alone = written(story())
    alone.land(Outgoing(TOPICS.commands, b"rubbish"))
    with pytest.raises(InvariantError, match="not a command of ours"):
        work(alone, DispatchEngine(alone.log, TOPICS))
