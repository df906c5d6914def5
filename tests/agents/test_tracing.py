"""A trace that a producer sends with a line goes on to the decision, the command and the call that it leads to."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from streams.agents.dispatch import DispatchEngine
from streams.codec import encode
from streams.core.chain import canonical
from streams.core.config import Inventory
from streams.core.tracing import HEADER, traceparent
from streams.ports import Outgoing, Record, TopicPartition
from streams.workers import http as calls
from streams.workers.intake import Intake
from streams.workers.journal import Journal
from streams.workers.orders import order_of
from streams.workers.results import Surroundings
from tests.core.world import World, spec
from tests.ingest.given import Given, cut, only
from tests.sim.alone import Alone
from tests.sim.scene import COMMANDS, DECISIONS, TOPICS
from tests.workers.kit import command, http_spec

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
LINE = b"ERROR connection to 10.0.0.7:5432 refused"


@pytest.mark.parametrize(
    ("value", "passed_on"),
    [
        (TRACE.encode(), TRACE),
        (b"cc" + TRACE[2:].encode() + b"-what-comes-later", TRACE),
        (TRACE[:-2].encode() + b"ff", TRACE),
        (TRACE.encode() + b"-more", ""),
        (b"ff" + TRACE[2:].encode(), ""),
        (TRACE.upper().encode(), ""),
        (b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01", ""),
        (b"00-4bf92f3577b34da6a3ce929d0e0e4736-" + b"0" * 16 + b"-01", ""),
        (TRACE.encode() + b"\r\nHost: evil", ""),
        (b"", ""),
        (None, ""),
    ],
)
def test_a_traceparent_is_read_as_its_specification_says(value: bytes | None, passed_on: str) -> None:
    """Later versions begin alike, unknown flags are not passed on, and what is malformed is none."""
    assert traceparent([("service", b"api"), ("Traceparent", value)]) == passed_on


def test_a_detection_has_the_trace_of_its_first_line_that_came_with_one() -> None:
    """Lines without a trace, and those after the first with one, change nothing."""
    records = [
        Given(LINE, offset=offset, key=b"api", headers=((HEADER, trace.encode()),) if trace else ())
        for offset, trace in enumerate(("", TRACE, OTHER))
    ]
    (found,) = only(cut(*records)).detections
    assert (found.count, found.trace) == (3, TRACE)
    (bare,) = only(cut(*(headless(record) for record in records))).detections
    assert bare.trace == ""


def headless(record: Given) -> Given:
    """Return a record without its headers."""
    return Given(record.value, offset=record.offset, key=record.key)


def told(trace: str) -> World:
    """Return a world in which a service crashed, with a trace, and a command was decided."""
    world = World()
    world.apply("inventory", Inventory(services=tuple(spec(name) for name in ("api", "db", "web"))))
    world.detect("api", "process_crash", trace=trace)
    return world


def test_what_is_decided_on_an_incident_has_its_trace_and_nothing_else_has_one() -> None:
    """From its opening on, all decisions of the incident name the trace; others stay as they were."""
    decisions = told(TRACE).decisions
    assert {one.trace for one in decisions if one.incident} == {TRACE}
    assert {one.trace for one in decisions if not one.incident} == {""}


def test_a_decision_without_a_trace_has_the_bytes_that_it_always_had() -> None:
    """What no producer traces is hashed as before there were traces."""
    for one in told("").decisions:
        assert "trace" not in msgspec.msgpack.decode(canonical(one))
    assert any("trace" in msgspec.msgpack.decode(canonical(one)) for one in told(TRACE).decisions)


@pytest.mark.parametrize("trace", [TRACE, ""])
def test_a_command_is_sent_with_the_trace_of_its_decision(trace: str) -> None:
    """The record of the command has the header, and none when there is no trace."""
    alone = Alone()
    alone.land(*(Outgoing(TOPICS.decisions, encode(one)) for one in told(trace).decisions))
    dispatch = DispatchEngine(alone.log, TOPICS)
    start = alone.run(dispatch.load([DECISIONS]))[DECISIONS]
    alone.run(dispatch.process([(DECISIONS, alone.records(DECISIONS, start))]))
    (sent,) = alone.records(COMMANDS)
    assert dict(sent.headers).get(HEADER, b"") == trace.encode()


class OneCommand:
    """A log that holds one command with a trace."""

    def __init__(self, value: bytes) -> None:
        self._record = Given(value, topic=TOPICS.commands, headers=((HEADER, TRACE.encode()),))

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """Return the ends of the topic."""
        return 0, 1

    async def read(self, where: TopicPartition, start: int, end: int) -> list[Record]:
        """Return the record."""
        return [self._record]

    async def append(self, records: object) -> list[int]:
        """Take nothing."""
        raise AssertionError

    async def poll(self, positions: Mapping[TopicPartition, int]) -> list[tuple[TopicPartition, list[Record]]]:
        """Return the record to who stands before it."""
        return [(where, [self._record]) for where, offset in positions.items() if offset == 0]


async def test_the_pool_remembers_the_trace_of_a_command_until_it_is_given_out(tmp_path: Path) -> None:
    """Who asks first gets it."""
    sent = command(http_spec(1), "http.call", 0, -1, arguments={"call": "restart"})
    journal = Journal.open(tmp_path / "pool")
    intake = Intake(OneCommand(encode(sent)), TOPICS.commands, journal, sent.host)
    await intake.begin()
    assert [entry.command for entry in await intake.take()] == [sent]
    assert (intake.trace_of(sent.id), intake.trace_of(sent.id)) == (TRACE, "")
    journal.close()


@contextmanager
def service() -> Iterator[tuple[int, list[str | None]]]:
    """Serve HTTP; yield the port and the traces that came."""
    seen: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers.get(HEADER))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_call_goes_out_with_the_trace() -> None:
    """The service that is called sees the trace of the line that led to the call, or no header at all."""
    with service() as (port, seen):
        order = order_of(command(http_spec(port), "http.call", arguments={"call": "restart"}))
        for trace in (TRACE, ""):
            assert calls.call(order, Surroundings(checkpoints="", trace=trace)).ok
    assert seen == [TRACE, None]
