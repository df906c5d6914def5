"""The process over a real Kafka, killed in the middle of telling."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.codec import encode
from streams.ports import Outgoing
from streams.runtime.admin import create_topics
from streams.runtime.kafka import KafkaLog
from streams.runtime.readiness import NAME_VARIABLE, ready_file
from streams.settings import Settings
from tests.notify.deciding import escalated
from tests.notify.serving import Post, Site, posting, serving
from tests.workers.kit import until

pytestmark = [pytest.mark.broker, pytest.mark.chaos]
ROUNDS = 4
EACH = 15


@contextmanager
def notifying(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``logmend notify`` until the block ends, then kill it."""
    (settings.data_dir / "run").mkdir(exist_ok=True)
    ready_file(settings.data_dir, "notify").unlink(missing_ok=True)
    paths = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.environ.get("PYTHONPATH", ""), NAME_VARIABLE: "notify"}
    process = subprocess.Popen([sys.executable, "-m", "streams.cli", "notify"], env={**paths, **settings.environment()})
    try:
        until(ready_file(settings.data_dir, "notify").exists, "notify is ready")
        yield process
    finally:
        process.kill()
        process.wait()


async def decide(settings: Settings, numbers: range) -> None:
    """Append an escalation of each number."""
    decisions = [escalated(number, incident=f"i{number}") for number in numbers]
    async with KafkaLog(settings) as log:
        await log.append([Outgoing(settings.topics.decisions, encode(one), b"") for one in decisions])


def told(post: Post, site: Site) -> int:
    """Return how many different ones both have got at least."""
    mails = {letter["Message-ID"] for _, _, letter in post.letters}
    return min(len(mails), len({headers["webhook-id"] for _, _, headers, _ in site.asked}))


async def test_over_kills_everything_is_told_and_repeats_are_the_same(broker: Settings, tmp_path: Path) -> None:
    """After kill -9 at any moment each escalation has reached mail and webhook, each time under its own id."""
    secret = tmp_path / "secret"
    secret.write_text(f"whsec_{base64.b64encode(b's' * 32).decode()}")
    await create_topics(broker)
    with posting() as post, serving(200) as site:
        settings = broker.model_copy(
            update={
                "mail_to": ("eva@example.org",),
                "smtp_url": f"smtp://localhost:{post.port}",
                "webhooks": (f"{site.url}/in",),
                "webhook_secret_file": secret,
                "webhook_private": True,
                "notify_burst": 1_000,
            }
        )
        for number in range(ROUNDS):
            await decide(settings, range(EACH * number, EACH * (number + 1)))
            with notifying(settings):
                half = EACH * number + EACH // 2
                until(lambda wanted=half: told(post, site) >= wanted, "mail and webhooks are told")  # type: ignore[misc] # bound now
        with notifying(settings):
            until(lambda: told(post, site) == ROUNDS * EACH, "nothing is left")
    ids = [letter["Message-ID"] for _, _, letter in post.letters]
    assert set(ids) == {f"<1-{number}-0.{broker.fleet}@localhost>" for number in range(ROUNDS * EACH)}
    bodies = {(headers["webhook-id"], body) for _, _, headers, body in site.asked}
    assert len(bodies) == ROUNDS * EACH
