from __future__ import annotations

import msgspec
import pytest

from streams import codec
from streams.core.advice import AdvisorsReported, OpinionGiven
from streams.core.events import (
    ActionHalted,
    ActionResumed,
    ApprovalGiven,
    ConfigApplied,
    InboxEvent,
    LineAt,
    OutcomeReported,
    ProbeReported,
)
from streams.core.requests import EscalationAnswered, HealRequested, MuteLifted, MuteSet, TaskSubmitted
from streams.ingest.counting import NAMED_PER_RECORD_MAX
from streams.ingest.gather import SLICE_BYTES_MAX
from streams.ingest.lines import CHECK_EVERY_LINES, RECORD_LINES_MAX
from streams.topics import Topics
from tests.ingest.given import APPEND_MS, Given, cut, cut_values, json, only, records, slicer, tallied

FULL = b"write failed: No space left on device"
OUTCOME = OutcomeReported(
    command_id="1-2-0",
    command_seq=2,
    host="h",
    worker="w",
    status="done",
    ok=True,
    code="started",
    effect="once",
    started_ms=1,
    finished_ms=2,
    skew_ms=0,
)
PROBE = ProbeReported(host="h", service="s", kind="http", ok=False, code="503", at_ms=1, latency_ms=2)
CONFIG = ConfigApplied(kind="policy", sha256="", author="ann", body=b"{}")
HALTED = ActionHalted(author="ann", reason="drill")
RESUMED = ActionResumed(author="ann", reason="over")
APPROVAL = ApprovalGiven(decision_id="1-2-0", command_sha256="", approved=True, author="ann", reason="")
ASKED: list[InboxEvent] = [
    EscalationAnswered(escalation_id="1-2-0", step="noted", assignee="", method="", author="ann", reason="seen"),
    MuteSet(kind="silence", service="", pattern="", begin_ms=1, end_ms=2, author="ann", reason=""),
    MuteLifted(mute_id="1-2-0", author="ann", reason=""),
    TaskSubmitted(task_id="t", role="executor", action="", service="", description_sha256="", author="ann"),
    HealRequested(author="ann", reason=""),
]
ADVISORS = AdvisorsReported(host="h", provider="recorded", model="m", advisors=("proven_fix",), at_ms=1)
OPINION = OpinionGiven(
    question_id="1-2-0",
    advisor="proven_fix",
    provider="recorded",
    model="m",
    source="model",
    action="process.restart",
    suspect="api",
    cause="process_crash",
    confidence=0.9,
    code="",
    asked_ms=1,
    latency_ms=1,
    tokens_in=1,
    tokens_out=1,
    cost_microusd=1,
    answer_sha256="",
)


def test_equal_detections_merge() -> None:
    """Equal detections of a slice are one, with a count, the first three places and both ends in time."""
    lines = [json(ts=f"2024-02-01T10:00:0{n}Z", service="db", message=FULL.decode()) for n in range(5)]
    (found,) = only(cut_values(*lines)).detections
    assert (found.count, found.at_last_ms - found.at_first_ms) == (5, 4000)
    assert found.lines == tuple(LineAt(offset=n, index=0) for n in range(3))


def test_evidence_for_named_lines() -> None:
    """Each line that a detection names has its text as evidence, and no other line has."""
    result = cut_values(*[json(service="db", message=f"{FULL.decode()} {n}") for n in range(5)], b"all is well")
    assert [(e.offset, e.text[-1]) for e in result.evidence] == [(0, "0"), (1, "1"), (2, "2")]


def test_secrets_stay_out_of_evidence() -> None:
    """Evidence holds a tag in place of a secret, and equal secrets have equal tags."""
    line = b"no space left on device; password=hunter2hunter2 url=https://u:hunter2hunter2@h/"
    (found,) = cut_values(line).evidence
    assert b"hunter2" not in found.text.encode()
    tags = [part[:12] for part in found.text.split(":") if len(part) >= 13 and part[12] == "]"]
    assert len(tags) == 2
    assert len(set(tags)) == 1


def test_trace_in_one_record() -> None:
    """The lines of a trace in one record are one detection, at the head, by its most specific line."""
    trace = (
        b"2024-02-01 10:00:00 ERROR job failed\nTraceback (most recent call last):\n"
        b'  File "a.py", line 1, in b\nsqlite3.OperationalError: database is locked\n2024-02-01 10:00:01 INFO next'
    )
    piece = only(cut_values(trace))
    (found,) = piece.detections
    assert (found.pattern, found.count, found.lines) == ("database_lock", 1, (LineAt(offset=0, index=0),))
    assert piece.lines == 5


def test_trace_over_records() -> None:
    """A frame in a record of its own carries service, time and coordinates of the head before it."""
    lines = [
        b"Feb  1 10:00:00 h1 shop[7]: order 7",
        b'  File "a.py", line 1, in b',
        b"sqlite3.OperationalError: database is locked",
        b"Feb  1 10:00:01 h1 shop[7]: next",
    ]
    (found,) = only(cut_values(*lines)).detections
    assert (found.service, found.pattern, found.lines) == ("shop", "database_lock", (LineAt(offset=0, index=0),))


def test_trace_over_cuts() -> None:
    """A trace that is cut apart keeps its head when the same slicer goes on where it stopped."""
    by = slicer()
    given = records(b"Feb  1 10:00:00 h1 shop[7]: order 7", b"  caused by: No space left on device")
    cut(given[0], by=by)
    (found,) = only(cut(given[1], by=by)).detections
    assert (found.service, found.lines) == ("shop", (LineAt(offset=0, index=0),))


def test_other_key_is_another_stream() -> None:
    """A frame does not continue a line that came with another key."""
    given = [
        Given(b"Feb  1 10:00:00 h1 shop[7]: order 7", offset=0, key=b"a"),
        Given(b"  caused by: No space left on device", offset=1, key=b"b"),
    ]
    (found,) = only(cut(*given)).detections
    assert (found.service, found.lines) == ("b", (LineAt(offset=1, index=0),))


def test_many_lines_in_a_record() -> None:
    """A record may hold text lines, JSON objects by the line or a JSON array; each line has its index."""
    text = cut_values(b"a\n\r\n" + FULL + b"\n")
    by_line = cut_values(b'{"message":"a"}\n{"message":"' + FULL + b'"}')
    array = cut_values(b'[{"message":"a"},{"message":"' + FULL + b'"}]')
    assert [only(c).detections[0].lines[0].index for c in (text, by_line, array)] == [2, 1, 1]
    assert [only(c).lines for c in (text, by_line, array)] == [2, 2, 2]


SURVIVORS = {
    "bad UTF-8": b"\xff\xfe caf\xe9 No space left on device",
    "bad UTF-8 in JSON": b'{"message":"caf\xe9 No space left on device"}',
    "NULs before a line": b"\x00" * 400 + FULL,
    "NULs in a line": b"a\x00b\x00 " + FULL,
    "5 MB without a line break": FULL + b" x" * 2_500_000,
    "5 MB of JSON": b'{"message":"' + FULL + b" x" * 2_500_000 + b'"}',
    "JSON cut short": b'{"message":"' + FULL,
    "colours": b"\x1b[31mERROR\x1b[0m " + FULL,
    "deep JSON": b'{"a":' * 1400 + FULL,
    "numbers too large for anything": b'{"ts":1e999,"level":1e999,"message":"' + FULL + b'"}',
    "Latin-1": "Gerät voll: ".encode("latin-1") + FULL,
}


@pytest.mark.parametrize("name", SURVIVORS)
def test_survives(name: str) -> None:
    """Odd bytes are read as far as they can be, and matched."""
    (found,) = only(cut_values(SURVIVORS[name])).detections
    assert found.pattern == "disk_full"


def test_line_is_cut_for_matching() -> None:
    """What stands beyond 8 KB of a line is not matched."""
    assert not only(cut_values(b"x" * 8192 + FULL)).detections


REJECTS = {
    "empty": (b"", "empty"),
    "no value": (None, "empty"),
    "white space": (b" \r\n\t", "empty"),
    "Confluent Avro": (b"\x00\x00\x00\x00\x07\x02\x04abcdefgh", "confluent avro: no registry"),
    "compressed bytes": (bytes(range(256)) * 4, "binary"),
}


@pytest.mark.parametrize("name", REJECTS)
def test_rejects(name: str) -> None:
    """What no decoder takes is a reject with its reason, and goes whole to the dead letters."""
    value, reason = REJECTS[name]
    result = cut_values(value)
    assert [(r.offset, r.index, r.reason) for r in only(result).rejects] == [(0, 0, reason)]
    assert [(record.value, why) for record, why in result.dead] == [(value, reason)]
    assert result.lines == 0


def test_inbox_becomes_messages() -> None:
    """Inbox records travel inside the slice as what they say, with offset and append time."""
    given = [
        Given(codec.encode(HALTED), offset=7, topic=Topics().inbox_people),
        Given(codec.encode(RESUMED), offset=9, topic=Topics().inbox_people),
    ]
    piece = only(cut(*given))
    assert [(m.offset, m.append_ms, m.event) for m in piece.messages] == [
        (7, APPEND_MS, HALTED),
        (9, APPEND_MS, RESUMED),
    ]
    assert (piece.from_offset, piece.to_offset, piece.lines) == (7, 10, 0)


def test_inbox_rejects() -> None:
    """An inbox record that is no event is a reject and a dead letter; the others go on."""
    good = codec.encode(ActionHalted(author="ann", reason=""))
    topic = Topics().inbox_people
    given = [Given(v, offset=n, topic=topic) for n, v in enumerate((b"junk", None, b"\xc3\x01" + b"x" * 20, good))]
    result = cut(*given)
    assert [r.offset for r in only(result).rejects] == [record.offset for record, _ in result.dead] == [0, 1, 2]
    assert [m.offset for m in only(result).messages] == [3]


@pytest.mark.parametrize(
    ("topic", "heard"),
    [
        (Topics().inbox_workers, [OUTCOME, PROBE]),
        (Topics().inbox_people, [CONFIG, HALTED, RESUMED, APPROVAL, *ASKED]),
        (Topics().inbox_advice, [ADVISORS, OPINION]),
    ],
)
def test_each_inbox_has_its_own_events(topic: str, heard: list[InboxEvent]) -> None:
    """What belongs into another inbox is a reject and a dead letter: who may write here may not say that."""
    said = [OUTCOME, PROBE, CONFIG, HALTED, RESUMED, APPROVAL, *ASKED, ADVISORS, OPINION]
    result = cut(*(Given(codec.encode(event), offset=n, topic=topic) for n, event in enumerate(said)))
    piece = only(result)
    assert [message.event for message in piece.messages] == heard
    foreign = [event for event in said if event not in heard]
    reasons = [f"inbox: {type(event).__name__} may not be said here" for event in foreign]
    assert [reject.reason for reject in piece.rejects] == [reason for _, reason in result.dead] == reasons
    assert [record.value for record, _ in result.dead] == [codec.encode(event) for event in foreign]
    assert piece.to_offset == len(said)


def test_long_texts_stay_out_of_the_facts() -> None:
    """A message with a text of more than 1000 characters is a reject; one of 1000, and a long body, are heard."""
    fits = ActionHalted(author="ann", reason="x" * 1000)
    body = msgspec.structs.replace(CONFIG, body=b" " * 2000)
    events = [fits, body, ActionHalted(author="ann", reason="x" * 1001), ActionResumed(author="x" * 5000, reason="")]
    given = [Given(codec.encode(event), offset=n, topic=Topics().inbox_people) for n, event in enumerate(events)]
    result = cut(*given)
    assert [message.event for message in only(result).messages] == [fits, body]
    assert [(record.offset, reason) for record, reason in result.dead] == [
        (2, "inbox: text of 1001 characters, at most 1000"),
        (3, "inbox: text of 5000 characters, at most 1000"),
    ]


def test_texts_of_a_list_count_together() -> None:
    """A message that names more than fits in 1000 characters is a reject, however short each name is."""
    long = msgspec.structs.replace(ADVISORS, advisors=("x" * 10,) * 101)
    result = cut(Given(codec.encode(long), topic=Topics().inbox_advice))
    assert [reason for _, reason in result.dead] == ["inbox: text of 1010 characters, at most 1000"]


def test_holes_and_repeats() -> None:
    """Offsets that the topic no longer has lie inside the range; records below the position are left out."""
    given = [Given(b"a", offset=n) for n in (3, 5, 9)]
    piece = only(slicer().cut("logs", 0, 4, given, 5))
    assert (piece.from_offset, piece.to_offset, piece.lines, piece.term) == (5, 10, 2, 4)
    assert not slicer().cut("logs", 0, 4, given[:1], 5).slices


def test_slices_are_small() -> None:
    """However many services and seconds come, slices join without a hole and each stays below what a fact may be."""
    given = records(*[json(service=f"s{n}" + "x" * 110, message=FULL.decode()) for n in range(12_000)])
    slices = cut(*given).slices
    assert [piece.from_offset for piece in slices] == [0, *(piece.to_offset for piece in slices[:-1])]
    assert slices[-1].to_offset == 12_000
    assert all(len(codec.encode(piece)) < 700_000 for piece in slices)
    assert len(slices) > 12_000 * 250 // SLICE_BYTES_MAX


def test_one_record_with_too_many_lines() -> None:
    """When one record alone would overfill a slice its rest is rejected, and the record goes to the dead letters."""
    lines = b"\n".join(b"Feb  1 10:00:00 h%d app%d: %s" % (n, n, FULL) for n in range(20_000))
    result = cut_values(lines)
    piece = only(result)
    assert len(codec.encode(piece)) < 1_000_000
    assert 1000 < piece.lines < 20_000
    assert "too many lines" in piece.rejects[0].reason
    assert len(result.dead) == 1


@pytest.mark.parametrize("value", [b"a\n" * 1_000_000, b"[" + b"{}," * 1_000_000 + b"{}]"])
def test_one_record_with_a_million_lines(value: bytes) -> None:
    """A record is read up to a number of lines; the rest is a reject and the record a dead letter."""
    result = cut_values(value)
    assert RECORD_LINES_MAX <= result.lines < RECORD_LINES_MAX + CHECK_EVERY_LINES
    assert [record.value for record, _ in result.dead] == [value]


def test_the_largest_batch_of_a_collector_is_taken_whole() -> None:
    """8 192 lines in one record are no reject."""
    result = cut_values(b"a\n" * 8_192)
    assert result.lines == 8_192
    assert result.dead == ()


def test_many_odd_errors_of_one_record_are_counted_without_a_template() -> None:
    """Every line of a record is counted with its severity; after so many that look like errors none gets a template."""
    line = b"2024-02-01 10:00:00 ERROR odd thing happened"
    result = cut_values(b"\n".join([line] * (2 * NAMED_PER_RECORD_MAX)), line)
    counted = tallied(result.slices)
    templated = sum(count for (_, _, _, _, template), count in counted.items() if template)
    assert sum(counted.values()) == 2 * NAMED_PER_RECORD_MAX + 1
    assert templated == NAMED_PER_RECORD_MAX + 1
    assert {severity for _, _, severity, _, _ in counted} == {"error"}


def test_templates() -> None:
    """Lines that look like errors and match nothing share a template when they differ in numbers and names only."""
    lines = [b"2024-02-01 10:00:0%d ERROR flux %d of /srv/a%d inverted" % (n, n, n) for n in range(3)]
    piece = only(
        cut_values(*lines, b"2024-02-01 10:00:05 ERROR warp core cold", b"2024-02-01 10:00:06 INFO error page built")
    )
    shapes = [d.template.partition(".")[2] for d in piece.detections]
    assert [(d.pattern, d.count, len(d.template)) for d in piece.detections] == [("", 3, 29), ("", 1, 25)]
    assert [shape[0::2] for shape in shapes] == ["Rs*B*U", "Rpdq"]


def test_every_line_is_tallied() -> None:
    """Tallies add up to the lines, and what was detected is tallied under its pattern or template."""
    piece = only(cut_values(b"a", FULL, b"2024-02-01 10:00:00 ERROR odd", json(message="b", level="warning")))
    assert sum(tallied([piece]).values()) == piece.lines == 4
    assert sum(t.count for t in piece.tallies if t.pattern or t.template) == sum(d.count for d in piece.detections) == 2


def test_a_cut_that_fails_leaves_no_heads_of_later_lines() -> None:
    """When records are cut again, a frame is not shown at the place of a line that comes after it."""
    by = slicer()
    frame = Given(b"\tat a.b.C(C.java:1) No space left on device", offset=1)
    later = Given(b"2024-02-01 10:00:01 something else", offset=2)
    cut(Given(b"2024-02-01 10:00:00 app started", offset=0), by=by)
    with pytest.raises(TypeError):
        by.cut("logs", 0, 1, [frame, later, Given(b"odd", offset=3, timestamp=None)], 1)  # type: ignore[arg-type]  # a record that breaks the slicer
    (found,) = only(by.cut("logs", 0, 1, [frame, later], 1)).detections
    assert [line.offset for line in found.lines] == [1]
