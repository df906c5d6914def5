"""``logmend notify``: tells people of what waits for them."""

from __future__ import annotations

import asyncio
import contextlib

import click

from streams.cli.process import instance_option, run
from streams.core.errors import InputError
from streams.notify.channels import channels_of
from streams.notify.journal import Journal, journal_dir
from streams.notify.process import Teller, close_all
from streams.runtime.kafka import KafkaLog
from streams.runtime.readiness import ready
from streams.runtime.watching import reading
from streams.settings import Settings


@click.command()
@instance_option
def notify(instance: str) -> None:
    r"""Tell people of escalations and approval requests, by e-mail, signed webhooks and GitHub issues.

    One is enough for a fleet; a second one tells everything twice. What can't be delivered is tried again for a day.

    \b
    Example:
      LOGMEND_MAIL_TO=ops@example.org LOGMEND_WEB_URL=https://logmend.example.org logmend notify
      LOGMEND_WEBHOOKS=https://hooks.example.org/logmend LOGMEND_WEBHOOK_SECRET_FILE=secret logmend notify
    """
    run("notify", instance, _notify)


async def _notify(settings: Settings, _instance: str, stop: asyncio.Event) -> None:
    channels = channels_of(settings)
    if not channels:
        raise InputError("nobody is to be told: set LOGMEND_MAIL_TO, LOGMEND_WEBHOOKS or LOGMEND_GITHUB_REPO")
    with contextlib.closing(Journal.open(journal_dir(settings.data_dir), settings.notify_burst)) as journal:
        try:
            async with KafkaLog(settings) as log:
                with reading("notify", log) as watched:
                    teller = Teller(watched, settings.topics.decisions, journal, channels)
                    await teller.run(stop, lambda: ready(settings.data_dir))
        finally:
            await close_all(channels)
