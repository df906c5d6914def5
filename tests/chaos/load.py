"""What the producers say: lines at a steady rate, some of services that are broken until somebody heals them."""

from __future__ import annotations

import asyncio
import time
from random import Random

import msgspec
from aiokafka import AIOKafkaProducer

from streams.codec import encode
from streams.core.config import Inventory, Policy, canonical, sha256
from streams.core.events import ConfigApplied
from streams.core.inventory import ServiceSpec
from streams.settings import Settings
from tests.chaos.target import Target

SERVICES = tuple(f"svc-{number:02d}" for number in range(16))
CALM = ("GET /health 200 in 3 ms", "request 17 done", "cache refreshed: 120 entries", "user 4711 logged in")
TROUBLE = "worker process crashed: segmentation fault (core dumped)"
STEP_SECONDS = 0.01
BREAK_SECONDS = 0.4
TROUBLE_SHARE = 0.2
"""Share of steps in which the broken services speak."""


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
    """Producers of log lines. ``appended`` counts them."""

    def __init__(self, settings: Settings, target: Target, lines_per_second: int, seed: int) -> None:
        self.appended = 0
        self.rate = lines_per_second
        self._settings = settings
        self._target = target
        self._random = Random(seed)

    async def run(self, stop: asyncio.Event) -> None:
        """Apply policy and inventory, then speak until ``stop`` is set; everything that was said is acknowledged."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.brokers, enable_idempotence=True, acks="all", linger_ms=5
        )
        await producer.start()
        try:
            await self._configure(producer)
            breaks_at = time.monotonic()
            while not stop.is_set():
                if time.monotonic() >= breaks_at:
                    breaks_at += BREAK_SECONDS
                    self._target.break_service(self._random.choice(SERVICES))
                await self._speak(producer)
                await asyncio.sleep(STEP_SECONDS)
            await producer.flush()
        finally:
            await producer.stop()

    async def _configure(self, producer: AIOKafkaProducer) -> None:
        for kind, body in (
            ("policy", canonical(policy())),
            ("inventory", canonical(inventory(self._settings, self._target))),
        ):
            event = ConfigApplied(kind=kind, sha256=sha256(body), author="chaos", body=body)
            await producer.send_and_wait(self._settings.topics.inbox_people, encode(event), partition=0)

    async def _speak(self, producer: AIOKafkaProducer) -> None:
        said = [
            (self._random.choice(SERVICES), self._random.choice(CALM)) for _ in range(int(self.rate * STEP_SECONDS))
        ]
        if self._random.random() < TROUBLE_SHARE:
            said += [(service, TROUBLE) for service in sorted(self._target.broken)]
        for service, text in said:
            value = msgspec.json.encode({"ts": time.time_ns() // 1_000_000, "service": service, "message": text})
            partition = self._random.randrange(self._settings.source_partitions)
            await producer.send(self._settings.logs[0], value, partition=partition)
        self.appended += len(said)
