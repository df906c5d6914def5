"""Detect asks for schemas before it cuts, and doctor says whether there is anybody to ask."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from streams.agents.detect import DetectEngine, Lookup
from streams.cli import doctor
from streams.codec import decode_fact
from streams.core.config import RuleSet
from streams.core.events import Slice
from streams.ingest.confluent import Book
from streams.ingest.slicer import Slicer
from streams.ports import Outgoing, Registered, SchemaId, TopicPartition
from streams.settings import Settings
from tests.registry.serving import LOG_LINE, framed, log_line, serving
from tests.sim.alone import Alone
from tests.sim.broker import START_MS
from tests.sim.scene import INBOX_PEOPLE, RULE_SETS, TOPICS, applied, message, slicer_for

LOGS, METRICS = TopicPartition("logs", 0), TopicPartition("metrics", 0)
LINES = Registered("AVRO", json.dumps(LOG_LINE))


class Known:
    """A registry that knows some schemas and remembers what it was asked."""

    def __init__(self, known: dict[SchemaId, Registered]) -> None:
        self.known = known
        self.asked: list[set[SchemaId]] = []

    async def get(self, ids: Collection[SchemaId]) -> Mapping[SchemaId, Registered | str]:
        """Answer as a registry."""
        self.asked.append(set(ids))
        return {id_: self.known.get(id_, "registry unreachable") for id_ in ids}


def engine(alone: Alone, known: Known) -> DetectEngine:
    """Return an engine with a registry."""
    book, nonces = Book(), iter(range(100))

    def cutter(rules: RuleSet) -> Slicer:
        return Slicer(slicer_for(rules).matcher, TOPICS, book=book)

    return DetectEngine(alone.log, TOPICS, cutter, "one", lambda: f"{next(nonces)}", None, Lookup(known, book))


def say(id_: int, text: str = "fine") -> Outgoing:
    """Return a framed line."""
    return Outgoing("logs", framed(id_, log_line(text, at_ms=START_MS)))


def last(alone: Alone) -> Slice:
    """Return the last slice."""
    fact = decode_fact(alone.values(TOPICS.facts)[-1])
    assert isinstance(fact, Slice)
    return fact


def test_a_batch_is_asked_for_once() -> None:
    """All ids of a batch are one question, ids that are known are none, and the lines are read."""
    alone, known = Alone(), Known({7: LINES, 8: LINES})
    detect = engine(alone, known)
    alone.run(detect.load([LOGS]))
    alone.land(say(7), Outgoing("logs", b'{"message":"fine"}'), say(8), say(7))
    alone.run(detect.process([(LOGS, alone.records(LOGS))]))
    alone.land(say(7))
    alone.run(detect.process([(LOGS, alone.records(LOGS, 4))]))
    assert known.asked == [{7, 8}]
    assert (last(alone).from_offset, last(alone).lines) == (4, 1)


def test_what_can_not_be_looked_up_is_a_dead_letter_and_asked_for_again() -> None:
    """A record without its schema goes whole to the dead letters; a later one is read when the registry is back."""
    alone, known = Alone(), Known({})
    detect = engine(alone, known)
    alone.run(detect.load([LOGS]))
    alone.land(say(7))
    alone.run(detect.process([(LOGS, alone.records(LOGS))]))
    (letter,) = alone.records(TopicPartition(TOPICS.dlq, 0))
    assert letter.value == say(7).value
    assert dict(letter.headers)["logmend.reason"] == b"confluent avro: registry unreachable"
    known.known[7] = LINES
    alone.land(say(7))
    alone.run(detect.process([(LOGS, alone.records(LOGS, 1))]))
    assert (last(alone).lines, last(alone).rejects) == (1, ())


def test_new_rules_keep_the_schemas() -> None:
    """The book outlives the slicer that was compiled with the rules before."""
    alone, known = Alone(), Known({7: LINES})
    detect = engine(alone, known)
    alone.run(detect.load([LOGS, INBOX_PEOPLE]))
    alone.land(say(7), message(INBOX_PEOPLE, applied(RULE_SETS[1], "rules")))
    alone.run(detect.process([(LOGS, alone.records(LOGS)), (INBOX_PEOPLE, alone.records(INBOX_PEOPLE))]))
    alone.land(say(7, "no space on heap"))
    alone.run(detect.process([(LOGS, alone.records(LOGS, 1))]))
    assert known.asked == [{7}]
    assert [one.pattern for one in last(alone).detections] == ["out_of_memory"]


@pytest.mark.parametrize(("where", "asked"), [(INBOX_PEOPLE, []), (METRICS, [{7}]), (LOGS, [{7}])])
def test_only_what_producers_send_names_schemas(where: TopicPartition, asked: list[set[SchemaId]]) -> None:
    """Lines and metrics may be framed; what people say is encoded by us, whatever bytes it begins with."""
    alone, known = Alone(), Known({})
    detect = engine(alone, known)
    alone.run(detect.load([where]))
    alone.land(Outgoing(where.topic, framed(7, b"none of ours")))
    alone.run(detect.process([(where, alone.records(where))]))
    assert known.asked == asked


def test_doctor_asks_the_registry_that_is_set(tmp_path: Path) -> None:
    """One that answers is good whatever it knows, one that does not is bad, and without a setting nothing is said."""
    assert list(doctor.registry(Settings(data_dir=tmp_path))) == []
    with serving() as served:
        address = served.address.replace("http://", "http://ada:hunter2@")
        settings = Settings(data_dir=tmp_path, schema_registry=address)
        (found,) = doctor.registry(settings)
        assert (found.state, found.text) == (doctor.GOOD, f"answers at {served.address}")
        served.answers["/schemas/ids/1"] = (401, b"")
        (found,) = doctor.registry(settings)
        assert found.state == doctor.BAD
        assert "refuses our login" in found.text
    (found,) = doctor.registry(settings)
    assert (found.state, "unreachable" in found.text, "hunter2" in found.text) == (doctor.BAD, True, False)
