"""What the producers say: lines at a steady rate, some of services that are broken until somebody heals them."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
from msgspec import Struct

from streams.codec import encode
from streams.core.config import Inventory, Policy, canonical, sha256
from streams.core.events import ConfigApplied
from streams.core.inventory import ServiceSpec
from streams.runtime.kafka import start_producer
from streams.runtime.security import client
from streams.settings import Settings
from tests.chaos.clock import Clock
from tests.chaos.target import Target

SERVICES = tuple(f"svc-{number:02d}" for number in range(16))
CALM = ("GET /health 200 in 3 ms", "request 17 done", "cache refreshed: 120 entries", "user 4711 logged in")
TROUBLE = "worker process crashed: segmentation fault (core dumped)"
POISONS: tuple[Callable[[bytes, Random], bytes], ...] = (
    lambda line, random: line[: random.randrange(len(line))],
    lambda line, random: random.randbytes(len(line)),
    lambda line, _: b"[" * 5_000 + line,
    lambda line, _: gzip.compress(line)[:-9],
    lambda line, _: line.replace(b'"ts":', b'"ts":1e999,"at":'),
    lambda _line, random: b"\x00" + random.randbytes(40),
)
"""Cut off, noise, deep, half of a packed one, a time that is none, Avro of a schema that nobody has."""
STRANGERS_MAX = 5_000
OTHERS_SHARE = 0.1
"""Share of the lines that go to the other topics of logs."""
STEP_SECONDS = 0.01
BREAK_SECONDS = 0.4
TROUBLE_SHARE = 0.2
"""Share of steps in which the broken services speak."""


class Rates(Struct, frozen=True):
    """Lines a second of services that nothing ails, and crashes a second of services that nobody knows."""

    lines: int = 2_000
    strangers: float = 50.0


def policy() -> Policy:
    """Return a policy under which many actions happen in a minute."""
    return Policy(
        attempts_max=5,
        cooldown_ms=100,
        cooldown_max_ms=500,
        budget_per_target=10_000,
        budget_per_service=10_000,
        budget_total=100_000,
        blast_radius_share=1.0,
        breaker_failures=100_000,
        lateness_ms=500,
        verify_after_ms=300,
        stay_away_ms=700,
        unverified_after_ms=3_000,
        command_ttl_ms=20_000,
        action_timeout_ms=3_000,
        quiet_close_ms=5_000,
        approval_ttl_ms=5_000,
        grouping_wait_ms=100,
        exploration_rate=0.0,
    )


def inventory(settings: Settings, target: Target) -> Inventory:
    """Return the services, each healed by a call that must not be repeated."""
    return Inventory(
        services=tuple(
            ServiceSpec(
                name=name,
                host=settings.host,
                type="http",
                mode="auto",
                base_url=target.address,
                calls={"restart": f"POST /heal/{name}"},
            )
            for name in SERVICES
        )
    )


class Load:
    """Producers of log lines. ``appended`` counts them.

    Beside what the services of the inventory say, ``strangers_per_second`` lines each tell of the crash of a service
    that nobody knows, which opens an incident: decisions come all the time. ``poison_share`` of the lines are no lines.
    """

    def __init__(self, settings: Settings, target: Target, clock: Clock, rates: Rates, seed: int) -> None:
        self.appended = 0
        self.poison_share = 0.0
        self.poisoned = 0
        self.said: list[str] = []
        """What is to be said once, in the next step."""
        self.silent: set[str] = set()
        """Topics to which nothing is said."""
        self._settings = settings
        self._target = target
        self._clock = clock
        self._rates = rates
        self._random = Random(seed)
        self._strangers = 0
        self._began = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Apply policy and inventory, then speak until ``stop`` is set; everything that was said is acknowledged."""
        producer = await start_producer(client(self._settings))
        try:
            await self._configure(producer)
            self._began = breaks_at = time.monotonic()
            while not stop.is_set():
                if time.monotonic() >= breaks_at:
                    breaks_at += BREAK_SECONDS
                    self._target.break_service(self._random.choice(SERVICES))
                await self._speak(producer)
                await asyncio.sleep(STEP_SECONDS)
            await producer.flush()
        finally:
            await producer.stop()

    async def _configure(self, producer: Any) -> None:
        for kind, body in (
            ("policy", canonical(policy())),
            ("inventory", canonical(inventory(self._settings, self._target))),
        ):
            event = ConfigApplied(kind=kind, sha256=sha256(body), author="chaos", body=body)
            await producer.send_and_wait(self._settings.topics.inbox_people, encode(event), partition=0)

    async def _speak(self, producer: Any) -> None:
        values = [self._poisoned(self._line(service, text)) for service, text in self._sayings()]
        now, self.said = self.said, []
        for value in [*values, *(self._line(SERVICES[0], text) for text in now)]:
            topic = self._topic()
            partition = self._random.randrange(self._settings.source_partitions)
            await producer.send(topic, value, partition=partition)
            self.appended += 1

    def _topic(self) -> str:
        first, *others = self._settings.logs
        other = self._random.choice(others) if others and self._random.random() < OTHERS_SHARE else first
        return first if other in self.silent else other

    def _sayings(self) -> list[tuple[str, str]]:
        random = self._random
        said = [(random.choice(SERVICES), random.choice(CALM)) for _ in range(int(self._rates.lines * STEP_SECONDS))]
        if random.random() < TROUBLE_SHARE:
            said += [(service, TROUBLE) for service in sorted(self._target.broken)]
        due = int((time.monotonic() - self._began) * self._rates.strangers)
        for number in range(max(self._strangers, due - STRANGERS_MAX), due):
            said.append((f"stranger-{number % STRANGERS_MAX}", TROUBLE))
        self._strangers = due
        return said

    def _line(self, service: str, text: str) -> bytes:
        return msgspec.json.encode({"ts": self._clock.now_ms(), "service": service, "message": text})

    def _poisoned(self, value: bytes) -> bytes:
        """Return a line, or what nobody should send instead of it."""
        if self._random.random() >= self.poison_share:
            return value
        self.poisoned += 1
        return self._random.choice(POISONS)(value, self._random)
