"""``logmend advise``: the decision service, and the advisors where there is a model."""

from __future__ import annotations

import asyncio

import click

from streams.advise import process
from streams.cli.process import instance_option, run
from streams.ingest.masking import mask
from streams.ingest.redact import Redactor
from streams.runtime.readiness import ready
from streams.runtime.redaction_key import redaction_key
from streams.settings import Settings


@click.command()
@instance_option
def advise(instance: str) -> None:
    r"""Answer questions on port 8085, and advise on incidents if LOGMEND_ADVISE_PROVIDER names a model.

    One is enough for a fleet; run it where the event log is (logmend eventlog), so that it can look there before it
    asks a model. A model is told patterns, counts and templates of lines, never lines, and can only name one of the
    actions that the rules leave open.

    \b
    Example:
      logmend advise
      LOGMEND_ADVISE_PROVIDER=openai LOGMEND_ADVISE_URL=http://127.0.0.1:11434/v1 LOGMEND_ADVISE_MODEL=qwen3:8b \
        LOGMEND_ADVISE_USD_IN=0 LOGMEND_ADVISE_USD_OUT=0 logmend advise
    """
    run("advise", instance, _advise)


async def _advise(settings: Settings, _instance: str, stop: asyncio.Event) -> None:
    key = redaction_key(settings)
    redactor, other = Redactor(key), Redactor(key)  # one for each thread

    def template(text: str) -> str:
        return mask(other.text(text).encode()).decode("utf-8", "replace")

    await process.run(settings, stop, redactor.text, template, lambda: ready(settings.data_dir))
