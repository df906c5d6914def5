"""The journal has each notice once for each channel, and bundles what would be too much."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.core.errors import InputError
from streams.notify.cases import Cases
from streams.notify.journal import DIGEST_MAX, KEPT_S, Journal, Position, counts
from tests.notify.deciding import Kept, decided, notice

NOW_S = 1_800_000_000.0
BURST = 3


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Return an empty journal."""
    made = Journal.open(tmp_path, BURST)
    yield made
    made.close()


def put(journal: Journal, channel: Kept, *numbers: int, now_s: float = NOW_S) -> None:
    """Have a channel told of escalations."""
    told = [notice(number) for number in numbers]
    journal.take("t", Position(max(numbers) + 1, max(numbers)), {}, told, [channel], now_s)


def delivered(journal: Journal, channel: Kept, now_s: float) -> list[list[str]]:
    """Deliver what is due; return the notices of each message."""
    sent = []
    while due := journal.due(channel.name, now_s):
        sent.append([one.id for one in due.message.notices])
        journal.told(due.number)
    return sent


def test_a_second_process_is_refused(journal: Journal, tmp_path: Path) -> None:
    """Two processes of one data directory would tell everything twice."""
    with pytest.raises(InputError, match="another logmend notify"):
        Journal.open(tmp_path, BURST)


def test_a_notice_is_there_once(journal: Journal) -> None:
    """What is taken again, before or after it was told, is not told again."""
    channel = Kept()
    put(journal, channel, 1)
    put(journal, channel, 1)
    assert delivered(journal, channel, NOW_S) == [["1-1-0"]]
    put(journal, channel, 1)
    assert delivered(journal, channel, NOW_S) == []


def test_all_of_it_survives(tmp_path: Path) -> None:
    """Place, incidents and what is due are there after the file was opened again."""
    first, channel, cases = Journal.open(tmp_path, BURST), Kept(), Cases()
    cases.take(decided(0, "incident_opened"))
    first.take("t", Position(7, 6), cases.changed(), [notice(1)], [channel], NOW_S)
    first.close()
    second = Journal.open(tmp_path, BURST)
    assert second.position("t") == Position(7, 6)
    assert [case.service for case in second.cases()] == ["shop"]
    due = second.due(channel.name, NOW_S)
    assert due is not None
    assert due.message.notices == (notice(1),)
    second.close()


def test_a_storm_is_a_few_messages_and_digests_that_miss_nothing(journal: Journal) -> None:
    """Of a thousand at once a channel gets ``BURST`` by themselves, and the others in digests a minute later."""
    channel = Kept()
    put(journal, channel, *range(1_000))
    assert delivered(journal, channel, NOW_S) == [["1-0-0"], ["1-1-0"], ["1-2-0"]]
    digests = delivered(journal, channel, NOW_S + 60)
    assert len(digests) == 5
    assert all(len(one) <= DIGEST_MAX for one in digests)
    assert sorted(one for digest in digests for one in digest) == sorted(f"1-{n}-0" for n in range(BURST, 1_000))


def test_a_digest_that_was_tried_gets_nothing_more(journal: Journal) -> None:
    """What may have been delivered keeps its content, for its id stands for it."""
    channel = Kept()
    put(journal, channel, *range(5))
    delivered(journal, channel, NOW_S)
    due = journal.due(channel.name, NOW_S + 60)
    assert due is not None
    assert len(due.message.notices) == 2
    journal.failed(due.number, NOW_S + 90)
    put(journal, channel, 5, 6, 7, 8, now_s=NOW_S + 61)
    again = journal.due(channel.name, NOW_S + 95)
    while again is not None and again.number != due.number:
        journal.told(again.number)
        again = journal.due(channel.name, NOW_S + 95)
    assert again is not None
    assert again.message == due.message


def test_what_takes_no_digests_gets_its_messages_later(journal: Journal) -> None:
    """Beyond the burst there is one message in each part of the minute."""
    channel = Kept(bundles=False)
    put(journal, channel, *range(6))
    assert len(delivered(journal, channel, NOW_S)) == BURST
    assert [len(delivered(journal, channel, NOW_S + 20 * n)) for n in (1, 2, 3, 4)] == [1, 1, 1, 0]


def test_channels_do_not_wait_for_each_other(journal: Journal) -> None:
    """What one has taken the other still gets."""
    one, other = Kept("kept:one"), Kept("kept:other")
    journal.take("t", Position(1, 0), {}, [notice(1)], [one, other], NOW_S)
    assert delivered(journal, one, NOW_S) == [["1-1-0"]]
    assert (journal.waiting("kept"), delivered(journal, other, NOW_S)) == (1, [["1-1-0"]])


def test_a_clock_that_was_set_back_holds_nothing_up(journal: Journal) -> None:
    """A message that was made a year ahead is due."""
    channel = Kept()
    put(journal, channel, 1, now_s=NOW_S + 365 * 86_400)
    assert delivered(journal, channel, NOW_S) == [["1-1-0"]]


def test_what_waits_is_never_tidied_away(journal: Journal) -> None:
    """After 30 days what was told is forgotten, what waits is not."""
    channel = Kept()
    put(journal, channel, 1)
    delivered(journal, channel, NOW_S)
    put(journal, channel, 2)
    journal.tidy(NOW_S + KEPT_S + 1)
    assert delivered(journal, channel, NOW_S) == [["1-2-0"]]


def test_counts_are_read_beside_a_working_process(journal: Journal, tmp_path: Path) -> None:
    """What waits and what was given up is counted; of no journal nothing."""
    put(journal, Kept(), 1, 2)
    due = journal.due(Kept().name, NOW_S)
    assert due is not None
    journal.give_up(due.number)
    assert counts(tmp_path) == (1, 1)
    assert counts(tmp_path / "none") == (0, 0)


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    """Whoever only looks gets one line, and so does the process, which leaves the file alone."""
    (tmp_path / "journal.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(InputError, match=r"journal\.sqlite can't be read"):
        counts(tmp_path)
    for _ in range(2):  # the first try holds no lock
        with pytest.raises(InputError, match=r"journal\.sqlite can't be used: .*; restore it, or move it away$"):
            Journal.open(tmp_path, BURST)
    assert (tmp_path / "journal.sqlite").read_bytes() == b"no database at all" * 100
