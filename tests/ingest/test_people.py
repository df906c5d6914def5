"""What people say goes into their inbox without secrets, short enough, with its long text beside it."""

from __future__ import annotations

from streams import codec
from streams.core.beside import Evidence
from streams.core.events import ActionHalted
from streams.core.requests import EscalationAnswered, TaskSubmitted
from streams.ingest.people import TEXT_CHARACTERS_MAX, Said, append, fit, sha256_of
from streams.ingest.redact import Redactor
from streams.ports import TopicPartition
from streams.topics import Topics
from tests.analytics.memory_log import MemoryLog

SECRET = "password=hunter2-and-more"
TASK = TaskSubmitted(
    task_id="t", role="critic", action="", service="", description_sha256=sha256_of("do"), author="ann"
)


def test_secrets_are_replaced_in_what_is_written_freely() -> None:
    """No secret of a reason, an author or an assignee is left; ids and names are as they were."""
    given = EscalationAnswered(
        escalation_id="1-2-0", step="resolved", assignee=SECRET, method="manual", author=SECRET, reason=SECRET
    )
    found = fit(given, Redactor())
    assert isinstance(found, EscalationAnswered)
    assert "hunter2" not in found.assignee + found.author + found.reason
    assert (found.escalation_id, found.method) == ("1-2-0", "manual")


def test_what_is_too_long_is_cut() -> None:
    """A reason of any length fits into the inbox."""
    found = fit(ActionHalted(author="ann", reason="x " * 2_000), Redactor())
    assert isinstance(found, ActionHalted)
    assert len(found.reason) == TEXT_CHARACTERS_MAX


async def test_a_text_is_kept_beside_what_is_said() -> None:
    """A task's description is evidence at the place of the task, redacted; what has no text has none."""
    log, topics, halt = MemoryLog(), Topics(), ActionHalted(author="ann", reason="")
    offsets = await append(log, topics, [Said(halt), Said(TASK, f"restart it, {SECRET}")], Redactor())
    records = log.records[TopicPartition(topics.inbox_people, 0)]
    assert [codec.decode(record.value or b"") for record in records] == [halt, TASK]
    (kept,) = [codec.decode(record.value or b"") for record in log.records[TopicPartition(topics.evidence, 0)]]
    assert isinstance(kept, Evidence)
    assert (kept.topic, kept.partition, kept.offset, kept.index) == (topics.inbox_people, 0, offsets[1], 0)
    assert kept.text.startswith("restart it")
    assert "hunter2" not in kept.text
