"""What each step costs a line: from a record's bytes to the bytes of slices and evidence, by the shape of the records.

The lines are W1's (``benchmarks.lines``): as JSON, as text, as syslog and as OTLP's protobuf, 50 lines a record. Each
step is run alone over what the step before it gave, all steps one after the other, several times; the median counts,
of processor time.
``cut`` is all of them together but the encoding, as detect runs it; ``other`` is what of it no step explains.

    python -m benchmarks.steps
    python -m benchmarks.steps --json
"""

from __future__ import annotations

import argparse
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from benchmarks.lines import Line, generate
from streams import codec
from streams.ingest import masking, matcher, text_lines
from streams.ingest.confluent import Book
from streams.ingest.counting import severity_of
from streams.ingest.formats import otlp_proto
from streams.ingest.gather import Gatherer, Source
from streams.ingest.json_lines import JsonReader, Read
from streams.ingest.lines import LineTaker
from streams.ingest.redact import Redactor
from streams.ingest.runs import Runs
from streams.ingest.slicer import Slicer
from streams.ingest.stamps import of_text
from streams.ingest.zones import Zones
from streams.ports import Fetched
from streams.topics import Topics

LINES: Final = 20_000
RUNS: Final = 7
FETCH_RECORDS: Final = 4_000
OTLP_LINES: Final = 50
APPENDED_MS: Final = 1_767_300_000_000
RULES: Final = matcher.shipped()


class Step(NamedTuple):
    """Something to measure: ``run`` does it ``times`` times."""

    name: str
    times: int
    run: Callable[[], object]


class Cost(Struct, frozen=True):
    """What a step costs: in µs each time, how many of 100 lines take it, and µs a line; of all lines of a shape."""

    shape: str
    step: str
    each_us: float
    taken_percent: float
    line_us: float


class Shape(NamedTuple):
    """Records of one shape, the steps that are its own, and the lines (text, level) that they have."""

    name: str
    records: list[Fetched]
    own: list[Step]
    read: list[tuple[bytes, str]]


Make = Callable[[Sequence[Line]], Shape]


# ------------------------------------------------------------------------------------------------------------- shapes


def _records(values: Iterable[bytes]) -> list[Fetched]:
    return [Fetched("logs", 0, offset, APPENDED_MS, b"shop", value) for offset, value in enumerate(values)]


def _each(function: Callable[[Any], object], items: Sequence[object]) -> Callable[[], object]:
    def run() -> None:
        for item in items:
            function(item)

    return run


def _lines(read: Iterable[Read]) -> list[tuple[bytes, str]]:
    return [(text, level) for text, _, _, _, level, _ in read]


def as_json(lines: Sequence[Line]) -> Shape:
    """Return one JSON object a line."""
    reader, values = JsonReader(), [line.encode() for line in lines]
    objects = [(reader.decode_strictly(value), value) for value in values]
    stamps = [found["ts"] for found, _ in objects]
    own = [
        Step("decode", len(values), _each(reader.decode_strictly, values)),
        Step("read", len(values), _each(lambda pair: reader.read(*pair), objects)),
        Step("stamp (in read)", len(values), _each(of_text, stamps)),
    ]
    return Shape("json", _records(values), own, _lines(reader.read(*pair) for pair in objects))


def as_text(lines: Sequence[Line]) -> Shape:
    """Return a line of text each, as a program writes to its log file."""
    return _text("text", [b"%s %s" % (_stamp(line), line.message.encode()) for line in lines])


def as_syslog(lines: Sequence[Line]) -> Shape:
    """Return a line of syslog each, as a relay forwards it."""
    return _text(
        "syslog",
        [
            b"<13>%s host-%02d %s[7]: %s"
            % (_syslog_stamp(line), line.partition, line.service.encode(), line.message.encode())
            for line in lines
        ],
    )


def _text(name: str, values: list[bytes]) -> Shape:
    heads = [text_lines.read_head(value, APPENDED_MS) for value in values]
    own = [Step("read head", len(values), _each(lambda value: text_lines.read_head(value, APPENDED_MS), values))]
    return Shape(name, _records(values), own, [(value, head[2]) for value, head in zip(values, heads, strict=True)])


def _stamp(line: Line) -> bytes:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(line.at_ms // 1000)).encode()


def _syslog_stamp(line: Line) -> bytes:
    return time.strftime("%b %e %H:%M:%S", time.gmtime(line.at_ms // 1000)).encode()


def as_otlp(lines: Sequence[Line]) -> Shape:
    """Return requests of ``OTLP_LINES`` lines of one service."""
    rows = iter(sorted(lines, key=lambda line: line.service))
    values = [_request(some) for some in iter(lambda: list(islice(rows, OTLP_LINES)), [])]
    reader = JsonReader()
    read = [item for value in values for item in otlp_proto.decode(value, reader) or ()]
    own = [Step("decode and read", len(read), _each(lambda value: otlp_proto.decode(value, reader), values))]
    return Shape("otlp", _records(values), own, _lines(item for item in read if isinstance(item, tuple)))


def _request(lines: Sequence[Line]) -> bytes:
    """Encode an ``ExportLogsServiceRequest`` (opentelemetry-proto 1.x, logs.proto)."""
    named = _field(1, b"service.name") + _field(2, _field(1, lines[0].service.encode()))
    records = b"".join(
        _field(2, b"\x09" + struct.pack("<Q", line.at_ms * 1_000_000) + _field(5, _field(1, line.message.encode())))
        for line in lines
    )
    return _field(1, _field(1, _field(1, named)) + _field(2, records))


def _field(number: int, body: bytes) -> bytes:
    """Encode a field of protobuf that has a length."""
    size, out = len(body), bytearray((number << 3 | 2,))
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((*out, size)) + body


# ---------------------------------------------------------------------------------------------------------- measuring


def steps_of(shape: Shape) -> list[Step]:
    """Return all steps of a shape; the last is the whole."""
    slicer, redactor = Slicer(RULES, Topics()), Redactor()
    fetches = [shape.records[at : at + FETCH_RECORDS] for at in range(0, len(shape.records), FETCH_RECORDS)]
    cuts = [slicer.cut("logs", 0, 1, fetch, fetch[0].offset) for fetch in fetches]
    texts = [text for text, _ in shape.read]
    verdicts = [(RULES.scan(text), level, text) for text, level in shape.read]
    said = [seen for seen in verdicts if seen[0] is not matcher.NOTHING or seen[1] not in {"", "info"}]
    wrong = [seen for seen in said if severity_of(*seen)[1]]
    unnamed = [text for verdict, _, text in wrong if not verdict.pattern]
    evidence = [one for cut in cuts for one in cut.evidence]
    shown = [text.decode("utf-8", "replace") for _, _, text in wrong][: len(evidence)]
    slices = [piece for cut in cuts for piece in cut.slices]
    return [
        *shape.own,
        Step("scan", len(texts), _each(RULES.scan, texts)),
        Step("severity", len(said), _each(lambda seen: severity_of(*seen), said)),
        Step("template", len(unnamed), _each(masking.template_id, unnamed)),
        Step("redact", len(shown), _each(redactor.text, shown)),
        _closing(fetches, redactor),
        Step("encode slices", len(slices), _each(codec.encode, slices)),
        Step("encode evidence", len(evidence), _each(codec.encode, evidence)),
        Step("cut", len(texts), _each(lambda fetch: slicer.cut("logs", 0, 1, fetch, fetch[0].offset), fetches)),
    ]


def _closing(fetches: Sequence[Sequence[Fetched]], redactor: Redactor) -> Step:
    """Return the step that makes a slice of what was gathered; done again and again with the same sums."""
    holding, gatherer_of = Source(topic="logs", partition=0, term=1, rules_sha256=""), []
    for fetch in fetches:
        gatherer = Gatherer(holding, redactor, 0)
        json = JsonReader()
        taker = LineTaker(RULES, json, gatherer, {}, Book(), Zones().of_topic("logs"), Runs(json))
        for record in fetch:
            taker.take(record)
        gatherer_of.append((gatherer, dict(vars(gatherer))))

    def close(pair: tuple[Gatherer, dict[str, object]]) -> None:
        gatherer, sums = pair
        vars(gatherer).update(sums)
        gatherer.close(1)
        gatherer.slices.clear()

    return Step("build slices", len(gatherer_of), _each(close, gatherer_of))


def measure(shapes: Sequence[Shape], runs: int) -> list[Cost]:
    """Run every step of every shape, ``runs`` times in turn, and return the medians."""
    steps = {shape.name: steps_of(shape) for shape in shapes}
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(runs):
        for name, some in steps.items():
            for step in some:
                began = time.thread_time()
                step.run()
                seconds.setdefault((name, step.name), []).append(time.thread_time() - began)
    return [cost for shape in shapes for cost in _costs(shape, steps[shape.name], seconds)]


def _costs(shape: Shape, steps: Sequence[Step], seconds: dict[tuple[str, str], list[float]]) -> list[Cost]:
    """Return a shape's costs, and what of the whole no step explains."""
    lines = len(shape.read)
    costs = []
    for step in steps:
        us = statistics.median(seconds[shape.name, step.name]) * 1e6
        each = us / step.times if step.times else 0.0
        costs.append(
            Cost(shape.name, step.name, round(each, 3), round(100 * step.times / lines, 2), round(us / lines, 3))
        )
    parts = sum(cost.line_us for cost in costs[:-1] if not cost.step.startswith("encode") and "(in" not in cost.step)
    other = round(costs[-1].line_us - parts, 3)
    return [*costs[:-1], Cost(shape.name, "other", other, 100.0, other), costs[-1]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    lines = list(generate(given.lines, RULES))
    costs = measure([make(lines) for make in (as_json, as_text, as_syslog, as_otlp)], given.runs)
    if given.json:
        print(msgspec.json.encode(costs).decode())
        return 0
    print(f"{'shape':<8}{'step':<18}{'us each':>10}{'% of lines':>12}{'us a line':>11}")
    for cost in costs:
        print(f"{cost.shape:<8}{cost.step:<18}{cost.each_us:>10.2f}{cost.taken_percent:>12.2f}{cost.line_us:>11.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
