"""At least once, never lost: over failures, crashes and storms, with real servers where it matters."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from streams.core.events import Decision
from streams.notify import courier
from streams.notify.addresses import client
from streams.notify.courier import GIVE_UP_S, Courier
from streams.notify.journal import Journal, Position, counts
from streams.notify.mail import MailChannel, Server
from streams.notify.notice import Channel, NotToldError
from streams.notify.process import Teller
from streams.notify.webhook import WebhookChannel
from tests.advise.topics import TOPICS, until
from tests.notify.deciding import FollowedLog, Kept, append, approval, course, decided, escalated, notice
from tests.notify.serving import posting, serving
from tests.notify.test_mail import EVA, HEAD

BURST = 10


@pytest.fixture
def log() -> FollowedLog:
    """Return an empty Kafka."""
    return FollowedLog()


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


@contextlib.asynccontextmanager
async def telling(
    log: FollowedLog, directory: Path, *channels: Channel, clock_s: Callable[[], float] | None = None
) -> AsyncIterator[Journal]:
    """Tell some channels while the block lasts, and stop as the process does."""
    stop, ready = asyncio.Event(), asyncio.Event()
    with contextlib.closing(Journal.open(directory, BURST)) as journal:
        teller = Teller(log, TOPICS.decisions, journal, channels, clock_s or Clock())
        task = asyncio.create_task(teller.run(stop, ready.set))
        try:
            await until(lambda: ready.is_set() or task.done())
            yield journal
        finally:
            stop.set()
            await task


def put(directory: Path, channels: Sequence[Channel], *decisions: Decision, now_s: float) -> Journal:
    """Return a journal that has notices of some escalations."""
    journal = Journal.open(directory, BURST)
    told = [notice(one.seq) for one in decisions]
    journal.take("t", Position(1, 0), {}, told, channels, now_s)
    return journal


async def test_an_incident_is_told_from_escalation_to_end(log: FollowedLog, tmp_path: Path) -> None:
    """What is decided while the process runs is told in order."""
    channel = Kept()
    async with telling(log, tmp_path, channel):
        append(log, *course(), approval(13, incident="1-50-0"))
        await until(lambda: len(channel.told) == 3)
    assert [one.notices[0].kind for one in channel.told] == ["escalated", "resolved", "approval_requested"]


async def test_what_was_decided_meanwhile_is_told_with_its_context(log: FollowedLog, tmp_path: Path) -> None:
    """A process that was away goes on where it was, and still knows what was tried before."""
    channel, decisions = Kept(), course()
    async with telling(log, tmp_path, channel):
        append(log, *decisions[:6])
        await until(lambda: log.taken == 6)
    append(log, *decisions[6:])
    async with telling(log, tmp_path, channel):
        await until(lambda: len(channel.told) == 2)
    (told,) = channel.told[0].notices
    assert [one.action for one in told.tried] == ["process.restart", "process.rollback_config"]
    assert len(told.votes) == 2


async def test_the_first_start_tells_what_is_still_open(log: FollowedLog, tmp_path: Path) -> None:
    """Of what was decided before, only what still waits for somebody is told."""
    append(log, *course(), escalated(13, incident="a"), approval(14, incident="b"), escalated(15, incident="c"))
    append(log, decided(16, "incident_closed", incident="c"))
    channel = Kept()
    async with telling(log, tmp_path, channel):
        await until(lambda: len(channel.told) == 2)
        append(log, escalated(17, incident="d"))
        await until(lambda: len(channel.told) == 3)
    assert channel.ids == ["1-13-0", "1-14-0", "1-17-0"]


async def test_what_two_deciders_wrote_is_told_once(log: FollowedLog, tmp_path: Path) -> None:
    """A repeat in the log is none in the mail, also after a restart."""
    channel = Kept()
    async with telling(log, tmp_path, channel):
        append(log, escalated(1), escalated(1))
        await until(lambda: channel.told)
    async with telling(log, tmp_path, channel):
        append(log, escalated(1), escalated(2, incident="b"))
        await until(lambda: len(channel.told) == 2)
    assert channel.ids == ["1-1-0", "1-2-0"]


async def test_another_log_is_begun_anew(log: FollowedLog, tmp_path: Path) -> None:
    """Where the place is not in the topic any more, what is open there is told."""
    channel = Kept()
    append(log, *course())
    async with telling(log, tmp_path, channel):
        pass
    other = FollowedLog()
    append(other, escalated(10, incident="new"))
    async with telling(other, tmp_path, channel):
        await until(lambda: channel.told)
    assert channel.ids == ["1-10-0"]


async def test_who_dies_after_delivery_delivers_the_same_again(tmp_path: Path) -> None:
    """Mail and webhook that were delivered, and not noted, come again under the same id, and only once more."""
    clock = Clock()
    with posting() as post, serving(200) as site:
        mail = MailChannel(Server(scheme="smtp", host="localhost", port=post.port), HEAD, EVA)
        hook = WebhookChannel(site.url, (b"s" * 32,), client(private=True), "")
        for channel in (mail, hook):
            journal = put(tmp_path / channel.kind, [channel], escalated(5), now_s=clock())
            due = journal.due(channel.name, clock())
            assert due is not None
            await channel.send(due.message)
            journal.close()  # nothing was noted
            journal = Journal.open(tmp_path / channel.kind, BURST)
            stop = asyncio.Event()
            task = asyncio.create_task(Courier(journal, channel, clock).run(stop))
            await until(lambda one=channel, kept=journal: not kept.waiting(one.kind))  # type: ignore[misc] # bound now
            stop.set()
            await task
            await channel.aclose()
            journal.close()
    assert [letter["Message-ID"] for _, _, letter in post.letters] == ["<1-5-0.prod@example.org>"] * 2
    assert [headers["webhook-id"] for _, _, headers, _ in site.asked] == ["1-5-0"] * 2
    assert len({body for *_, body in site.asked}) == 1


async def test_a_failure_is_tried_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook that answers 500 and then 200 was told, signed at each attempt, under one id."""
    monkeypatch.setattr(courier, "PAUSE_FIRST_S", 0.001)
    with serving(500, 200) as site:
        channel = WebhookChannel(site.url, (b"s" * 32,), client(private=True), "")
        journal = put(tmp_path, [channel], escalated(5), now_s=0.0)
        stop = asyncio.Event()
        task = asyncio.create_task(Courier(journal, channel, Ticking()).run(stop))
        await until(lambda: not journal.waiting("webhook"))
        stop.set()
        await task
        await channel.aclose()
        journal.close()
    assert [headers["webhook-id"] for _, _, headers, _ in site.asked] == ["1-5-0", "1-5-0"]
    assert counts(tmp_path) == (0, 0)


class Ticking:
    """A clock that goes on a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return the time."""
        self.now_s += 1.0
        return self.now_s


@pytest.mark.parametrize(("final", "tries"), [(True, 3), (False, 0)])
async def test_what_can_not_be_delivered_is_given_up_with_an_alarm(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    final: bool,  # noqa: FBT001 - a table
    tries: int,
) -> None:
    """After a day, or after three tries where the other side wants none of it; it is counted and said."""
    channel, clock = Kept(), Clock()
    channel.fails = [NotToldError("no", final=final) for _ in range(1_000)]
    journal = put(tmp_path, [channel], escalated(5), now_s=clock())
    stop = asyncio.Event()
    serving_it = Courier(journal, channel, clock)
    task = asyncio.create_task(serving_it.run(stop))
    begun_s = clock()
    while counts(tmp_path).dead == 0:
        clock.now_s += 60.0
        serving_it.news.set()
        await asyncio.sleep(0)
    stop.set()
    await task
    journal.close()
    assert "notice_given_up" in caplog.text
    if final:
        assert len(channel.tried) == tries
    else:
        assert clock() - begun_s >= GIVE_UP_S
        assert 90 < len(channel.tried) < 250


async def test_one_that_fails_keeps_nothing_back(log: FollowedLog, tmp_path: Path) -> None:
    """A message that can't be delivered lets those after it, and other channels, through."""
    one, other = Kept("kept:one"), Kept("kept:other")
    one.fails = [NotToldError("no")]
    async with telling(log, tmp_path, one, other):
        append(log, escalated(1, incident="a"), escalated(2, incident="b"))
        await until(lambda: one.told and len(other.told) == 2)
    assert (one.tried[0], one.ids, other.ids) == ("1-1-0", ["1-2-0"], ["1-1-0", "1-2-0"])


async def test_a_storm_of_a_thousand_is_few_messages_with_all_of_it(log: FollowedLog, tmp_path: Path) -> None:
    """A thousand escalations at once are ten mails and five digests, and each is in one of them."""
    clock = Clock()
    with serving(200) as site:
        channel = WebhookChannel(site.url, (b"s" * 32,), client(private=True), "")
        async with telling(log, tmp_path, channel, clock_s=clock) as journal:
            append(log, *(escalated(number, incident=f"i{number}") for number in range(1_000)))
            await until(lambda: log.taken == 1_000)
            await until(lambda: len(site.asked) == BURST)
            clock.now_s += 61
            append(log, escalated(1_000, incident="last"))
            await until(lambda: not journal.waiting("webhook"))
        await channel.aclose()
    bodies = [json.loads(body) for *_, body in site.asked]
    digests = [one["data"]["notices"] for one in bodies if one["type"] == "digest"]
    ids = [one["data"]["id"] for one in bodies if one["type"] != "digest"]
    assert (len(digests), len(ids)) == (5, BURST + 1)
    assert sorted([*ids, *(one["data"]["id"] for many in digests for one in many)]) == sorted(
        f"1-{number}-0" for number in range(1_001)
    )
