"""One way to a provider: memory, breaker, budget, deadline and another attempt, with a real server behind it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streams import telemetry
from streams.advise import asking
from streams.advise.asking import ATTEMPTS, OVERHEAD_TOKENS, PAUSE_SECONDS, PAUSE_SECONDS_MAX, Asker
from streams.advise.breaker import OPEN_SECONDS, OPEN_SECONDS_MAX, Breaker, BreakerOpenError
from streams.advise.budget import Budget, OverBudgetError
from streams.advise.providers.base import (
    TOKENS_OUT_MAX,
    Answer,
    BadReplyError,
    FailedError,
    NoAnswerError,
    Prompt,
    RateLimitedError,
    RefusedError,
    TimedOutError,
)
from streams.advise.providers.openai import OpenAI
from streams.catalogue.models import Price
from tests.advise.serving import OPINION, Said, Server, break_off, completion, said, serving

PROMPT = Prompt(system="You advise.", user="What is to be done?")
PRICE = Price(usd_in=2.0, usd_out=10.0)
COST = 100 * 2 + 50 * 10
"""Of the tokens that the server says."""
MOST = (PROMPT.size_bytes + OVERHEAD_TOKENS) * 2 + TOKENS_OUT_MAX * 10
PATIENCE_S = 90.0
GOOD = said(completion())
BUSY = said({"error": {"type": "server_error"}}, 503)

Says = Said | Callable[..., None]


class Clock:
    """The breaker's clock, which stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Scene:
    """An asker, what is behind it, and its purse."""

    def __init__(self, server: Server, path: Path, microusd_max: int = 10**9) -> None:
        self.server = server
        self.clock = Clock()
        self.budget = Budget(1_000, microusd_max, path / "budget.json")
        self.provider = OpenAI("gpt-6-sol", server.address)
        self.paused: list[float] = []
        self.asker = Asker(self.provider, PRICE, self.budget, Breaker(self.clock), sleep=self._pause)

    async def _pause(self, seconds: float) -> None:
        """Let only the breaker's time pass."""
        self.paused.append(seconds)
        self.clock.now += seconds

    async def error(self, prompt: Prompt = PROMPT, deadline_s: float = PATIENCE_S) -> NoAnswerError:
        """Ask, and return why there is no answer."""
        with pytest.raises(NoAnswerError) as caught:
            await self.asker.ask(prompt, deadline_s)
        return caught.value


@asynccontextmanager
async def _scene(path: Path, *says: Says, microusd_max: int = 10**9) -> AsyncIterator[Scene]:
    with serving(*says) as server:
        scene = Scene(server, path, microusd_max)
        try:
            yield scene
        finally:
            await scene.asker.aclose()


def _other(number: int) -> Prompt:
    return Prompt(system="You advise.", user=f"What is to be done? {number}")


async def test_an_answer_costs_its_tokens(tmp_path: Path) -> None:
    """What was set aside is given back but for the tokens that were billed."""
    async with _scene(tmp_path, GOOD) as scene:
        answered = await scene.asker.ask(PROMPT, PATIENCE_S)
        assert (answered.answer.text, answered.cached, answered.cost_microusd) == (OPINION, False, COST)
        assert (scene.budget.calls, scene.budget.microusd) == (1, COST)


async def test_the_same_question_is_answered_from_memory(tmp_path: Path) -> None:
    """Once asked, it costs nothing; another question is asked."""
    async with _scene(tmp_path, GOOD) as scene:
        first = await scene.asker.ask(PROMPT, PATIENCE_S)
        again = await scene.asker.ask(PROMPT, PATIENCE_S)
        assert (again.answer, again.cached, again.cost_microusd) == (first.answer, True, 0)
        await scene.asker.ask(_other(1), PATIENCE_S)
        assert len(scene.server.asked) == 2


async def test_memory_answers_while_the_provider_is_down(tmp_path: Path) -> None:
    """What is known needs nobody."""
    async with _scene(tmp_path, GOOD) as scene:
        await scene.asker.ask(PROMPT, PATIENCE_S)
        scene.asker._breaker.leave_alone(60.0)
        assert not scene.asker.present
        assert (await scene.asker.ask(PROMPT, PATIENCE_S)).cached


@pytest.mark.parametrize("bad", [BUSY, break_off, said({}, 429), said({}, 529)])
async def test_what_may_be_so_is_asked_again(tmp_path: Path, bad: Says) -> None:
    """Busy, broken off, too many: the next attempt is answered."""
    async with _scene(tmp_path, bad, GOOD) as scene:
        answered = await scene.asker.ask(PROMPT, PATIENCE_S)
        assert answered.answer.text == OPINION
        assert scene.budget.calls == len(scene.server.asked) == 2
        assert answered.cost_microusd == scene.budget.microusd


async def test_an_attempt_that_may_be_billed_is_paid_for(tmp_path: Path) -> None:
    """Of an answer that was broken off nobody knows the cost: all that was set aside counts."""
    async with _scene(tmp_path, break_off, GOOD) as scene:
        assert (await scene.asker.ask(PROMPT, PATIENCE_S)).cost_microusd == MOST + COST


async def test_an_attempt_that_was_turned_down_is_not(tmp_path: Path) -> None:
    """A status that isn't 200 bills nothing."""
    async with _scene(tmp_path, BUSY) as scene:
        error = await scene.error()
        assert isinstance(error, FailedError)
        assert (error.cost_microusd, scene.budget.microusd, scene.budget.calls) == (0, 0, ATTEMPTS)


@pytest.mark.parametrize(
    ("says", "kind", "cost"),
    [
        (said({}, 400), FailedError, 0),
        (said({}, 401), FailedError, 0),
        (said({"error": {"code": "insufficient_quota"}}, 429), RateLimitedError, 0),
        (said(b"<html>"), BadReplyError, MOST),
        (said(completion(finish_reason="length")), BadReplyError, COST),
        (said(completion(finish_reason="content_filter")), RefusedError, COST),
    ],
)
async def test_what_will_not_change_is_asked_once(
    tmp_path: Path, says: Says, kind: type[NoAnswerError], cost: int
) -> None:
    """Wrong, refused, cut off: asked once, with what it cost."""
    async with _scene(tmp_path, says) as scene:
        error = await scene.error()
        assert isinstance(error, kind)
        assert (len(scene.server.asked), error.cost_microusd, scene.budget.microusd) == (1, cost, cost)


async def test_an_answer_without_a_count_costs_what_was_set_aside(tmp_path: Path) -> None:
    """A server that says nothing of tokens isn't free."""
    async with _scene(tmp_path, said(completion() | {"usage": None})) as scene:
        assert (await scene.asker.ask(PROMPT, PATIENCE_S)).cost_microusd == MOST


async def test_a_question_that_is_given_up_costs_what_was_set_aside(tmp_path: Path) -> None:
    """Who stops waiting doesn't know what is billed."""
    async with _scene(tmp_path) as scene:
        scene.server.says.append(scene.server.hang)
        task = asyncio.create_task(scene.asker.ask(PROMPT, PATIENCE_S))
        assert await asyncio.to_thread(scene.server.heard.wait, PATIENCE_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert scene.budget.microusd == MOST


async def test_a_trial_that_is_given_up_is_followed_by_another(tmp_path: Path) -> None:
    """A provider that was down isn't left alone for ever because nobody waited for its first answer."""
    async with _scene(tmp_path) as scene:
        scene.server.says.append(scene.server.hang)
        scene.asker._breaker.leave_alone(60.0)
        scene.clock.now += 60.0
        task = asyncio.create_task(scene.asker.ask(PROMPT, PATIENCE_S))
        assert await asyncio.to_thread(scene.server.heard.wait, PATIENCE_S)
        assert not scene.asker.present
        task.cancel()
        await asyncio.wait({task})
        assert scene.asker._breaker.is_open is False


@pytest.mark.parametrize(("fair_s", "left_alone"), [(0.2, True), (30.0, False)])
async def test_a_short_deadline_says_nothing_of_the_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fair_s: float, *, left_alone: bool
) -> None:
    """Who is in a hurry doesn't have it left alone for those who have time."""
    monkeypatch.setattr(asking, "FAIR_SECONDS", fair_s)
    async with _scene(tmp_path) as scene:
        for number in range(3):
            scene.server.says.append(scene.server.hang)
            assert isinstance(await scene.error(_other(number), deadline_s=0.3), TimedOutError)
        assert scene.asker._breaker.is_open is left_alone


@pytest.mark.parametrize("deadline_s", [-1.0, 0.0, 0.1])
async def test_a_question_that_comes_too_late_is_not_asked(tmp_path: Path, deadline_s: float) -> None:
    """It costs nothing, and isn't held against the provider."""
    async with _scene(tmp_path, GOOD) as scene:
        for _ in range(5):
            assert isinstance(await scene.error(deadline_s=deadline_s), TimedOutError)
        assert (len(scene.server.asked), scene.budget.calls, scene.asker.present) == (0, 0, True)


async def test_no_attempt_follows_the_deadline(tmp_path: Path) -> None:
    """An attempt that hangs ends with the question."""
    async with _scene(tmp_path) as scene:
        scene.server.says.append(scene.server.hang)
        assert isinstance(await scene.error(deadline_s=0.3), TimedOutError)
        assert len(scene.server.asked) == 1


async def test_the_deadline_is_for_all_attempts(tmp_path: Path) -> None:
    """Each attempt has what is left of the time, not all of it again."""
    left: list[float] = []

    class Failing(OpenAI):
        async def ask(self, prompt: Prompt, deadline_s: float) -> Answer:
            left.append(deadline_s)
            await asyncio.sleep(0.02)
            raise FailedError("down", again=True)

    async with _scene(tmp_path) as scene:
        scene.asker.provider = Failing("gpt-6-sol", scene.server.address)
        await scene.error()
        await scene.asker.provider.aclose()
    assert len(left) == ATTEMPTS
    assert all(later <= earlier - 0.01 for earlier, later in itertools.pairwise([PATIENCE_S + 0.01, *left]))


async def test_a_pause_beyond_the_deadline_is_not_waited_for(tmp_path: Path) -> None:
    """A provider that wants an hour gets it: this question ends at once, the next isn't asked."""
    async with _scene(tmp_path, said({}, 429, retry_after="3600")) as scene:
        assert isinstance(await scene.error(), RateLimitedError)
        assert isinstance(await scene.error(_other(1)), BreakerOpenError)
        assert len(scene.server.asked) == 1


async def test_a_short_pause_that_the_provider_asks_for_is_kept(tmp_path: Path) -> None:
    """It is waited for in full, some by chance on top, and then the breaker lets the question in."""
    async with _scene(tmp_path, said({}, 429, retry_after="4"), GOOD) as scene:
        await scene.asker.ask(PROMPT, PATIENCE_S)
        [paused] = scene.paused
        assert 4.0 <= paused <= 4.0 + PAUSE_SECONDS


async def test_pauses_differ_by_chance(tmp_path: Path) -> None:
    """Advisors that were turned away together don't come back together, nor later than is said."""
    async with _scene(tmp_path, said({}, 429)) as scene:
        for number in range(16):
            await scene.error(_other(number))
        assert len(set(scene.paused)) > 16
        assert 0 <= min(scene.paused) <= max(scene.paused) <= PAUSE_SECONDS_MAX


async def test_a_provider_that_is_down_is_left_alone(tmp_path: Path) -> None:
    """After failures in a row nobody is asked, until its time has passed and one is answered."""
    async with _scene(tmp_path, *[BUSY] * ATTEMPTS, GOOD) as scene:
        await scene.error()
        assert isinstance(await scene.error(_other(1)), BreakerOpenError)
        assert not scene.asker.present
        assert len(scene.server.asked) == ATTEMPTS
        scene.clock.now += OPEN_SECONDS
        await scene.asker.ask(PROMPT, PATIENCE_S)
        assert scene.asker.present


async def test_refusals_do_not_mean_that_it_is_down(tmp_path: Path) -> None:
    """A model that declines ten questions is asked the eleventh."""
    async with _scene(tmp_path, said(completion(finish_reason="content_filter"))) as scene:
        for number in range(10):
            assert isinstance(await scene.error(_other(number)), RefusedError)
        assert scene.asker.present


async def test_an_empty_account_is_left_alone_for_long(tmp_path: Path) -> None:
    """Whoever fills it does so in minutes, not in seconds."""
    async with _scene(tmp_path, said({"error": {"code": "insufficient_quota"}}, 429)) as scene:
        await scene.error()
        scene.clock.now += OPEN_SECONDS_MAX - 1
        assert not scene.asker.present


async def test_nobody_is_asked_without_money(tmp_path: Path) -> None:
    """A question that could cost more than is left isn't asked; that is no failure of the provider."""
    async with _scene(tmp_path, GOOD, microusd_max=MOST + COST - 1) as scene:
        await scene.asker.ask(PROMPT, PATIENCE_S)
        for _ in range(5):
            assert isinstance(await scene.error(_other(1)), OverBudgetError)
        assert len(scene.server.asked) == 1
        assert scene.asker.present


async def test_many_at_once_do_not_exceed_the_budget(tmp_path: Path) -> None:
    """Of nine questions at once as many are asked as could be paid for if each cost the most."""
    async with _scene(tmp_path, GOOD, microusd_max=3 * MOST + 20) as scene:
        asked = [scene.asker.ask(_other(number), PATIENCE_S) for number in range(9)]
        ended = await asyncio.gather(*asked, return_exceptions=True)
        answers = [one for one in ended if not isinstance(one, BaseException)]
        assert len(scene.server.asked) == len(answers)
        assert all(isinstance(one, OverBudgetError) for one in ended if isinstance(one, BaseException))
        assert scene.budget.microusd == COST * len(answers) <= 3 * MOST + 20


async def test_two_providers_do_not_share_answers(tmp_path: Path) -> None:
    """The memory is of a provider and its model."""
    async with _scene(tmp_path, GOOD) as scene:
        await scene.asker.ask(PROMPT, PATIENCE_S)
        scene.provider.model = "gpt-6-astra"
        assert not (await scene.asker.ask(PROMPT, PATIENCE_S)).cached


async def test_what_an_answer_is_does_not_matter_here(tmp_path: Path) -> None:
    """A text that is no opinion is an answer all the same: whoever asked judges it."""
    async with _scene(tmp_path, said(completion(text="I don't know."))) as scene:
        answered = await scene.asker.ask(PROMPT, PATIENCE_S)
        assert answered.answer == Answer(text="I don't know.", model="gpt-6-sol", tokens_in=100, tokens_out=50)


async def test_requests_and_money_are_counted(tmp_path: Path) -> None:
    """Each attempt by how it ended, and the dollars of all."""

    def counted() -> list[float]:
        requests = [("logmend_model_requests_total", {"provider": "openai", "code": code}) for code in ("", "failed")]
        names = [*requests, ("logmend_model_cost_usd_total", {"provider": "openai"})]
        return [telemetry.REGISTRY.get_sample_value(name, labels) or 0.0 for name, labels in names]

    async with _scene(tmp_path, BUSY, BUSY, GOOD) as scene:
        before = counted()
        await scene.asker.ask(PROMPT, PATIENCE_S)
    more = [now - then for now, then in zip(counted(), before, strict=True)]
    assert more == pytest.approx([1, 2, COST / 1_000_000])


async def test_a_provider_that_is_left_alone_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who reads the log learns which one and why."""
    async with _scene(tmp_path, said({"error": {"type": "authentication_error"}}, 401)) as scene:
        for number in range(3):
            await scene.error(_other(number))
    [record] = [record for record in caplog.records if record.getMessage() == "provider_left_alone"]
    assert "failed: status 401, authentication_error" in str(record.__dict__)
