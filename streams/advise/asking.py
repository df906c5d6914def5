"""One question to the provider, within its deadline, the budget and the provider's health; remembered for five minutes.

    asker = Asker(provider, price, budget)
    answered = await asker.ask(prompt, deadline_s=30.0)

What is answered may cost money, so the order matters: memory, breaker, budget, provider; and again after a jittered
pause while there is time, if the provider says that it may be so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from streams import telemetry
from streams.advise.breaker import OPEN_SECONDS_MAX, Breaker
from streams.advise.budget import MICRO, Budget, OverBudgetError, Spent
from streams.advise.cache import Cache
from streams.advise.providers import provider_of
from streams.advise.providers.base import (
    TOKENS_OUT_MAX,
    Answer,
    NoAnswerError,
    Prompt,
    Provider,
    RateLimitedError,
    TimedOutError,
)
from streams.catalogue.models import Price, price
from streams.core.errors import InputError
from streams.settings import Settings

ATTEMPTS: Final = 3
FREE: Final = frozenset({"command", "recorded"})
FAIR_SECONDS: Final = 5.0
"""A deadline shorter than this that passes says nothing of the provider: others may have more time."""
ATTEMPT_SECONDS_MIN: Final = 0.2
"""With less left nobody is asked: it would say nothing of the provider, and be paid for."""
PAUSE_SECONDS: Final = 1.0
PAUSE_SECONDS_MAX: Final = 8.0
_chance: Final = wait_random_exponential(multiplier=PAUSE_SECONDS, max=PAUSE_SECONDS_MAX)
OVERHEAD_TOKENS: Final = 512
"""What providers add to a prompt of their own, at most: roles, separators, a preamble."""


class Answered(Struct, frozen=True, kw_only=True):
    """An answer and what it took. ``cached`` was answered before, and cost nothing now."""

    answer: Answer
    cached: bool
    cost_microusd: int
    latency_ms: int


class _Bill(Struct):
    microusd: int = 0


class Asker:
    """The one way to a provider. ``price`` is of its model; a model of one's own costs nothing."""

    def __init__(
        self,
        provider: Provider,
        price: Price,
        budget: Budget,
        breaker: Breaker | None = None,
        cache: Cache[Answer] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.provider = provider
        self._price = price
        self._budget = budget
        self._breaker = breaker or Breaker()
        self._cache = cache or Cache()
        self._sleep = sleep

    @property
    def present(self) -> bool:
        """Whether a question would be asked now, and not turned down for the provider's health."""
        return not self._breaker.is_open

    async def ask(self, prompt: Prompt, deadline_s: float) -> Answered:
        """Answer within ``deadline_s`` seconds from now.

        Raises ``NoAnswerError``, whose ``cost_microusd`` says what it cost all the same.
        """
        begun = time.monotonic()
        key = f"{self.provider.name} {self.provider.model} {prompt.sha256}"
        if (known := self._cache.get(key)) is not None:
            return Answered(answer=known, cached=True, cost_microusd=0, latency_ms=0)
        bill = _Bill()
        try:
            answer = await self._tried(prompt, begun + deadline_s, bill)
        except NoAnswerError as error:
            error.cost_microusd = bill.microusd
            raise
        self._cache.put(key, answer)
        latency_ms = round((time.monotonic() - begun) * 1_000)
        return Answered(answer=answer, cached=False, cost_microusd=bill.microusd, latency_ms=latency_ms)

    async def aclose(self) -> None:
        """Let go of the provider's connections."""
        await self.provider.aclose()

    async def _tried(self, prompt: Prompt, end_s: float, bill: _Bill) -> Answer:
        """Ask, and again where that may help and the pause leaves time for it."""
        attempts = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS) | stop_before_delay(end_s - time.monotonic()),
            wait=_pause,
            retry=retry_if_exception(lambda error: isinstance(error, NoAnswerError) and error.again),
            sleep=self._sleep,
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                return await self._once(prompt, end_s - time.monotonic(), bill)
        raise AssertionError  # tenacity returns or raises

    async def _once(self, prompt: Prompt, deadline_s: float, bill: _Bill) -> Answer:
        if deadline_s < ATTEMPT_SECONDS_MIN:
            raise TimedOutError(f"{deadline_s:.1f} s are too few to ask in")
        self._breaker.admit()
        try:
            most = self._price.microusd(prompt.size_bytes + OVERHEAD_TOKENS, TOKENS_OUT_MAX)
            spent = self._budget.reserve(most)
            answer = await self.provider.ask(prompt, deadline_s)
        except NoAnswerError as error:
            self._note(error, deadline_s)
            if not isinstance(error, OverBudgetError):
                self._settle(spent, error, bill, billed=error.billed)
            raise
        except BaseException:  # given up half way: what it costs is not known, and stays set aside
            self._breaker.let_go()
            raise
        self._breaker.answered()
        self._settle(spent, answer, bill, billed=True)
        return answer

    def _settle(self, spent: Spent, told: Answer | NoAnswerError, bill: _Bill, *, billed: bool) -> None:
        """Put in place what a question cost: where it was billed and nobody counted, all that was set aside."""
        if told.tokens_in or told.tokens_out:
            self._budget.settle(spent, self._price.microusd(told.tokens_in, told.tokens_out))
        elif not billed:
            self._budget.settle(spent, 0)
        bill.microusd += spent.microusd
        telemetry.model_asked(self.provider.name, told.code if isinstance(told, NoAnswerError) else "", spent.microusd)

    def _note(self, error: NoAnswerError, deadline_s: float) -> None:
        """Tell the breaker what an error says of the provider, which had ``deadline_s`` for its answer."""
        hurried = isinstance(error, TimedOutError) and deadline_s < FAIR_SECONDS
        if isinstance(error, RateLimitedError) and (error.retry_after_s is not None or not error.again):
            self._breaker.leave_alone(OPEN_SECONDS_MAX if error.retry_after_s is None else error.retry_after_s)
        elif error.down and not hurried:
            self._breaker.failed()
        else:
            self._breaker.let_go()
        if self._breaker.is_open:
            telemetry.provider_left_alone(self.provider.name, f"{error.code}: {error}")


def _pause(state: RetryCallState) -> float:
    """Return the seconds before the next attempt: what the provider asks for, and some by chance on top."""
    chance = _chance(state)
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RateLimitedError) and error.retry_after_s is not None:
        return error.retry_after_s + chance
    return chance


def asker_of(settings: Settings) -> Asker | None:
    """Return the way to the provider that the settings name, None for rules. Raises ``InputError``."""
    provider = provider_of(settings)
    if provider is None:
        return None
    budget = Budget(
        settings.advise_budget_calls_hour,
        round(settings.advise_budget_usd_hour * MICRO),
        settings.data_dir / "advise" / "budget.json",
    )
    return Asker(provider, _price(settings, provider), budget)


def _price(settings: Settings, provider: Provider) -> Price:
    """Return what the settings say, else the table; programs and recorded answers cost nothing."""
    usd_in, usd_out = settings.advise_usd_in, settings.advise_usd_out
    if usd_in is not None and usd_out is not None:
        return Price(usd_in=usd_in, usd_out=usd_out)
    if provider.name in FREE:
        return Price(usd_in=0, usd_out=0)
    if (known := price(provider.name, provider.model)) is None:
        raise InputError(
            f"what {provider.model} costs is not known: set LOGMEND_ADVISE_USD_IN and LOGMEND_ADVISE_USD_OUT, dollars "
            "for a million tokens (0 for a model of your own)"
        )
    return known
