"""Text is erased on request, and nothing but the text is missing afterwards."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from analytics import erasure, manifest
from analytics.erasure import Request
from analytics.files import DiskFiles, Files
from analytics.manifest import SEGMENTS, Manifest, load, unseal
from analytics.replay import replay
from analytics.verify import verify
from analytics.views import EventLog
from analytics.why import why
from analytics.why_text import render
from analytics.writer import EventLogWriter
from streams.catalogue import strategies
from streams.core.beside import Evidence
from streams.core.errors import InputError
from streams.core.events import LineAt
from streams.core.fold import Fold
from streams.core.requests import EscalationAnswered, TaskSubmitted
from tests.analytics.archive import Clock, Hearing, archive
from tests.analytics.crashing import DyingFiles
from tests.analytics.history import History, story

NOTE = "(erased on 2027-01-15 by ada: ticket 7)"
SHOP = Request(id="r1", service="shop", before_ms=1 << 50, asked_ms=0, author="ada", reason="ticket 7")


async def erased(history: History, directory: Path, request: Request = SHOP, hearing: Hearing | None = None) -> None:
    """Archive a history, and have a running writer carry a request out."""
    with EventLogWriter(
        history.log, history.topics, directory, clock_ms=Clock(), observer=hearing, evidence_days=3650
    ) as writer:
        await writer.flush()
        erasure.ask(directory, DiskFiles(), request)
        await writer.step()


def texts(directory: Path) -> set[str]:
    """Return all texts that the log holds."""
    with EventLog(directory) as log:
        return set(log.query("SELECT text FROM lines")["text"])


async def test_the_text_of_the_service_is_gone_and_that_of_others_is_not(tmp_path: Path) -> None:
    """No file holds a line of the service any more, in its column or in its raw record."""
    await erased(story(), tmp_path)
    kept = texts(tmp_path)
    assert NOTE in kept
    assert any(text.startswith("cart broke") for text in kept)
    assert not any(text.startswith("shop broke") for text in kept)
    stored = [pq.read_table(path) for path in (tmp_path / SEGMENTS).glob("evidence-*")]
    assert not any(b"shop broke" in value for table in stored for value in table.column("kafka_value").to_pylist())


async def test_log_chain_and_replay_are_whole(tmp_path: Path) -> None:
    """``verify`` finds nothing, and every decision is computed again."""
    history = story()
    await erased(history, tmp_path)
    assert (await verify(tmp_path, history.log)).findings == ()
    assert replay(tmp_path, lambda: Fold.new(strategies())).decisions == len(history.decisions)


async def test_what_was_erased_is_on_record(tmp_path: Path) -> None:
    """The manifest says who erased what, when, why and how much; asked for twice it is done once."""
    history = story()
    await erased(history, tmp_path)
    (record,) = load(tmp_path).erasures
    assert (record.service, record.author, record.reason) == ("shop", "ada", "ticket 7")
    assert record.erased_ms == Clock().now_ms
    assert record.texts == 2
    await erased(history, tmp_path)
    assert load(tmp_path).erasures == (record,)
    assert erasure.state_of(tmp_path, load(tmp_path), "r1") == record


async def test_erasures_can_be_asked_for(tmp_path: Path) -> None:
    """The view says what was erased, when, by whom and why, also to who was reading before."""
    history, first = story(), msgspec.structs.replace(SHOP, before_ms=Clock().now_ms + 1)
    with EventLog(tmp_path) as log:
        assert log.query("FROM erasures").is_empty()
        await erased(history, tmp_path, first)
        await erased(history, tmp_path, Request(**{**msgspec.structs.asdict(SHOP), "id": "r2", "service": ""}))
        asked = "SELECT id, service, epoch_ms(before_at), epoch_ms(erased_at), author, reason, texts FROM erasures"
        found = log.query(asked)
    now_ms = Clock().now_ms
    assert found.rows() == [
        ("r1", "shop", now_ms + 1, now_ms, "ada", "ticket 7", 2),
        ("r2", "", None, now_ms, "ada", "ticket 7", load(tmp_path).erasures[1].texts),
    ]


async def test_why_says_that_it_was_erased(tmp_path: Path) -> None:
    """An explanation has the note where the line was, with its coordinates and matches."""
    history = story()
    await erased(history, tmp_path)
    with EventLog(tmp_path) as log:
        shown = render(why(log, history.commands[0].id))
    assert f"offset 0 index 0: {NOTE}" in shown
    assert "matched process_crash" in shown


async def test_what_was_recorded_later_stays(tmp_path: Path) -> None:
    """Only text that was recorded before the time is erased."""
    history = story()
    between_ms = history.now_ms + 1
    history.log.now_ms += 10
    history.evidence("shop", "process_crash", "critical", LineAt(offset=99, index=0))
    await erased(history, tmp_path, msgspec.structs.replace(SHOP, before_ms=between_ms))
    assert {text for text in texts(tmp_path) if text.startswith("shop")} == {"shop broke: process_crash at 99"}


async def test_what_people_wrote_about_the_service_goes_with_it(tmp_path: Path) -> None:
    """The text of a task for the service is erased; that of another service's task stays."""
    history = story()
    for service in ("shop", "cart"):
        offset = history.next_offset(history.topics.inbox_people)
        task = TaskSubmitted(
            task_id=service, role="coder", action="", service=service, description_sha256="", author="ann"
        )
        history.put(history.topics.evidence, said(history, offset, f"look at {service}"))
        history.say(task)
    await erased(history, tmp_path)
    assert {text for text in texts(tmp_path) if text.startswith("look")} == {"look at cart"}


async def test_notes_on_the_services_escalations_go_with_it(tmp_path: Path) -> None:
    """A note names an escalation, and that names the service."""
    history = story()
    decision = next(one for one in history.decisions if one.service == "shop")
    offset = history.next_offset(history.topics.inbox_people)
    history.put(history.topics.evidence, said(history, offset, "call Bob"))
    history.say(
        EscalationAnswered(escalation_id=decision.id, step="noted", assignee="", method="", author="ann", reason="call")
    )
    await archive(history, tmp_path)
    assert "call Bob" in texts(tmp_path)
    await erased(history, tmp_path)
    assert "call Bob" not in texts(tmp_path)


def said(history: History, offset: int, text: str) -> Evidence:
    """Return the text of a person as it is recorded: with the coordinate of what was said."""
    return Evidence(
        topic=history.topics.inbox_people,
        partition=0,
        offset=offset,
        index=0,
        service="",
        pattern="",
        severity="",
        at_ms=1,
        text=text,
    )


async def test_text_that_waits_in_kafka_is_erased_too(tmp_path: Path) -> None:
    """A request is carried out when all that was recorded before it is archived."""
    history = story()
    with EventLogWriter(history.log, history.topics, tmp_path, clock_ms=Clock()) as writer:
        await writer.flush()
        history.evidence("shop", "process_crash", "critical", LineAt(offset=99, index=0))
        erasure.ask(tmp_path, DiskFiles(), SHOP)
        await writer.step()
    assert not any(text.startswith("shop broke") for text in texts(tmp_path))


async def test_a_damaged_segment_is_reported_and_stays_as_it_is(tmp_path: Path) -> None:
    """Who asked is told, and so is the writer's observer; the request is not tried for ever."""
    history, hearing = story(), Hearing()
    await archive(history, tmp_path)
    (file, *_) = load(tmp_path).files("evidence")
    (tmp_path / SEGMENTS / file.name).write_bytes(b"nothing")
    await erased(history, tmp_path, hearing=hearing)
    with pytest.raises(InputError, match=r"not all of it was erased: .* is damaged"):
        erasure.state_of(tmp_path, load(tmp_path), "r1")
    assert any("not all was erased" in failure for failure in hearing.failures)
    assert load(tmp_path).erasures == ()
    assert erasure.asked(tmp_path) == []


async def test_a_long_erasure_goes_on_segment_by_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither memory nor the watchdog's patience limits how much is erased: each step commits what it did."""
    monkeypatch.setattr(erasure, "STEP_BYTES", 1)
    history, left = story(), []
    with EventLogWriter(history.log, history.topics, tmp_path, clock_ms=Clock(), evidence_days=3650) as writer:
        await in_segments(history, writer)
        erasure.ask(tmp_path, DiskFiles(), SHOP)
        while erasure.state_of(tmp_path, load(tmp_path), "r1") is None:
            await writer.step()
            left.append(sum(text.startswith("shop") for text in texts(tmp_path)))
    assert left == [3, 2, 1, 0]
    (record,) = load(tmp_path).erasures
    assert record.texts == 5


async def test_an_erasure_that_was_killed_is_done_by_who_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins again, leaves what is done as it is, and the record counts all of it."""
    monkeypatch.setattr(erasure, "STEP_BYTES", 1)
    history, clock = story(), Clock()
    with EventLogWriter(history.log, history.topics, tmp_path, clock_ms=clock, evidence_days=3650) as writer:
        await in_segments(history, writer)
        erasure.ask(tmp_path, DiskFiles(), SHOP)
        await writer.step()
        await writer.step()
    done = load(tmp_path).files("evidence")[:2]
    clock.now_ms += 86_400_000
    with EventLogWriter(history.log, history.topics, tmp_path, clock_ms=clock, evidence_days=3650) as writer:
        while erasure.state_of(tmp_path, load(tmp_path), "r1") is None:
            await writer.step()
    assert load(tmp_path).files("evidence")[:2] == done
    assert load(tmp_path).erasures[0].texts == 5
    assert not any(text.startswith("shop") for text in texts(tmp_path))
    assert (await verify(tmp_path, history.log)).findings == ()


@pytest.mark.parametrize(("how", "forgets"), [("before", False), ("half", True), ("after", False)])
async def test_an_erasure_may_die_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, *, forgets: bool
) -> None:
    """Wherever process or machine dies, who comes next erases the rest, the log is whole, and no file has the text."""
    monkeypatch.setattr(erasure, "STEP_BYTES", 1)
    history, log = story(), tmp_path / "log"
    disk = DyingFiles(log, tmp_path / "graves", how, forgets=forgets)
    with EventLogWriter(history.log, history.topics, log, clock_ms=Clock(), evidence_days=3650) as writer:
        await in_segments(history, writer)
        erasure.ask(log, DiskFiles(), SHOP)
    await finished(history, log, disk)
    assert len(disk.deaths) > 30, "the erasure is too short to die often"
    for grave in disk.deaths:
        await finished(history, grave, DiskFiles())
        assert load(grave).erasures[0].texts == 5
        assert (await verify(grave, history.log)).findings == ()
        stored = [pq.read_table(path) for path in (grave / SEGMENTS).glob("evidence-*")]
        assert not any(b"shop broke" in value for table in stored for value in table.column("kafka_value").to_pylist())


async def finished(history: History, directory: Path, files: Files) -> None:
    """Have a writer carry out what was asked for."""
    with EventLogWriter(
        history.log, history.topics, directory, files=files, clock_ms=Clock(), evidence_days=3650
    ) as writer:
        while erasure.state_of(directory, load(directory), "r1") is None:
            await writer.step()


async def in_segments(history: History, writer: EventLogWriter) -> None:
    """Archive a history, and three more lines of the service, in segments of their own."""
    await writer.flush()
    for number in range(3):
        history.evidence("shop", "process_crash", "critical", LineAt(offset=90 + number, index=0))
        await writer.flush()


async def test_a_manifest_without_erasures_has_the_bytes_it_always_had(tmp_path: Path) -> None:
    """A log of a release that knew no erasure is read, and its hash holds."""
    await archive(story(), tmp_path)
    data = (tmp_path / manifest.MANIFEST).read_bytes()
    assert b"erasures" not in data
    known = msgspec.json.decode(data)
    fields = [name for name in Manifest.__struct_fields__ if name != "erasures"]
    assert list(known) == fields
    assert unseal(data).erasures == ()
