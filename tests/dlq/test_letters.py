"""How dead letters are listed: what a person must know, and nothing that harms him or gives a secret away."""

from __future__ import annotations

import asyncio
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.ingest.formats.reasons import remedy
from streams.ingest.letters import IN_DOUBT, REPLAYED, WAITING, Listing, listed, preview
from streams.ingest.redact import Redactor
from streams.ports import Outgoing
from tests.dlq.test_replay import TOPICS, DyingError, Mortal, letter, log_of, replay, which

SECRETS = (
    b"login failed password=hunter2hunter2 for ada",
    b"GET https://ada:hunter2hunter2@shop/",
    b'{"api_key": "hunter2hunter2"}',
    b"Authorization: Bearer hunter2hunter2",
)


def listing(log: Mortal, limit: int = 20, **asked: object) -> Listing:
    """Return what is listed."""
    return asyncio.run(listed(log, TOPICS, which(**asked), limit, Redactor()))  # type: ignore[arg-type] # by name


def test_the_newest_come_last_and_all_are_counted() -> None:
    """The limit is for what is shown; the counts are of all that was asked for, the most frequent last."""
    log = log_of(*(letter(n, reason="binary" if n % 3 else "empty") for n in range(9)))
    found = listing(log, limit=4)
    assert [row.offset for row in found.letters] == [5, 6, 7, 8]
    assert [(one.reason, one.letters, one.not_replayed) for one in found.counts] == [("empty", 3, 3), ("binary", 6, 6)]
    assert listing(log, limit=0).letters == ()


def test_a_row_says_where_when_why_and_what() -> None:
    """Place in the source, time, size, reason and beginning."""
    (row,) = listing(log_of(letter(7, reason="confluent avro: no registry", value=b"  two\nlines \x1b[31m"))).letters
    assert (row.place, row.reason, row.size_bytes) == ("logs/3/7", "confluent avro: no registry", 17)
    assert row.at == "2027-01-15 08:00:00"
    assert row.preview == "two lines [31m"


def test_the_state_of_each_letter_is_told() -> None:
    """Waiting, replayed, in doubt; and of which letter it is the replay."""
    log = log_of(letter(0))
    replay(log)
    log.put(letter(1, headers=(("logmend.replayed", b"0"),)))
    log.appends_left = 1
    with pytest.raises(DyingError):
        replay(log, by="two")
    log.put(letter(2))
    assert [(row.state, row.replay_of) for row in listing(log).letters] == [
        (REPLAYED, None),
        (IN_DOUBT, 0),
        (WAITING, None),
    ]
    assert [(one.letters, one.not_replayed) for one in listing(log).counts] == [(3, 2)]


def test_every_count_says_what_to_do() -> None:
    """The remedy is that of the table of reasons."""
    (one,) = listing(log_of(letter(0, reason="confluent avro: no registry"))).counts
    assert one.remedy == remedy("confluent avro: no registry")
    assert "LOGMEND_SCHEMA_REGISTRY" in one.remedy


def test_reasons_without_end_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many different reasons there are, the list of them stays short."""
    monkeypatch.setattr("streams.ingest.letters.REASONS_MAX", 3)
    counts = listing(log_of(*(letter(n, reason=f"inbox: {n}") for n in range(10)))).counts
    assert {one.reason: one.letters for one in counts} == {"inbox: 0": 1, "inbox: 1": 1, "inbox: 2": 1, "others": 7}


@pytest.mark.parametrize("value", SECRETS)
def test_no_secret_is_shown(value: bytes) -> None:
    """What a producer leaked into a line is not leaked once more."""
    assert "hunter2" not in preview(value, Redactor())
    assert "hunter2" not in preview(value + b"x" * 5000 + value, Redactor())
    assert "hunter2" not in preview(value + b"\xff", Redactor())


def test_bytes_that_are_no_text_are_shown_by_their_first() -> None:
    """Eight bytes tell formats apart and hold no secret."""
    assert preview(b"\x00\x00\x00\x00\x07hunter2hunter2", Redactor()) == "00 00 00 00 07 68 75 6e"
    assert preview(b"\x1f\x8b\x08" + b"\xff" * 50, Redactor()).startswith("1f 8b 08 ff")


def test_a_character_cut_in_two_is_text() -> None:
    """Where the look at a value ends does not make it binary."""
    assert preview("naïve".encode()[:3], Redactor()) == "na"


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))))
def test_a_preview_is_short_and_steers_nothing(value: bytes) -> None:
    """One line of printable characters, whatever was sent."""
    shown = preview(value, Redactor())
    assert len(shown) <= 120
    assert shown == "" or shown.isprintable()
    assert not re.search(r"\s\s", shown)


def test_a_hostile_reason_and_topic_are_tamed() -> None:
    """What detect writes is plain; if anybody else writes there, it still steers nothing."""
    forged = Outgoing(
        TOPICS.dlq, b"", None, 0, (("logmend.topic", b"\x1b[2J"), ("logmend.reason", b"\xe2\x80\xae\xff"))
    )
    (row,) = listing(log_of(forged)).letters
    assert all(text.isprintable() for text in msgspec.to_builtins(row).values() if isinstance(text, str))
    assert row.place == "[2J/-1/-1"
