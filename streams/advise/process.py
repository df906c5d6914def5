"""Everything that ``logmend advise`` runs: the decision service, and with a model also the advisors."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from streams import telemetry
from streams.advise.asking import Asker, asker_of
from streams.advise.deciding import Decider
from streams.advise.service import PORT, create_app, serving
from streams.runtime.address import advise_address_file, write_whole
from streams.runtime.kafka import KafkaLog
from streams.runtime.listening import listen, url_of
from streams.settings import Settings

Rewrite = Callable[[str], str]
"""Text to text: a redactor, or what makes a template of a line."""


async def run(
    settings: Settings, stop: asyncio.Event, redact: Rewrite, mask: Rewrite, ready: Callable[[], None] = lambda: None
) -> None:
    """Serve and answer until told to stop. ``redact`` replaces secrets, ``mask`` makes a template of a line's text.

    Raises ``InputError`` when the settings name a provider that can't be asked, a port is taken, or no broker answers.
    """
    async with contextlib.AsyncExitStack() as stack:
        asker = asker_of(settings)
        if asker is not None:
            stack.push_async_callback(asker.aclose)
        listening = stack.enter_context(listen("advise", settings.advise_host, settings.advise_port, PORT))
        await stack.enter_async_context(serving(create_app(Decider(asker, redact), settings.host), listening))
        _say_where(settings, url_of(listening))
        if asker is None:
            ready()
            await stop.wait()
        else:
            await _advise(settings, stop, asker, redact, mask, ready)


def _say_where(settings: Settings, url: str) -> None:
    path = advise_address_file(settings.data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, url.encode())
    telemetry.process_started("advise", url=url, provider=settings.advise_provider)


async def _advise(
    settings: Settings, stop: asyncio.Event, asker: Asker, redact: Rewrite, mask: Rewrite, ready: Callable[[], None]
) -> None:
    """Answer the fleet's questions; only this needs DuckDB, which takes 60 MB."""
    from streams.advise.desk import Desk  # noqa: PLC0415 - see above
    from streams.advise.loop import Loop  # noqa: PLC0415
    from streams.advise.scout import Scout  # noqa: PLC0415

    async with KafkaLog(settings) as log:
        scout = Scout(settings.data_dir / "log", mask)
        desk = Desk(asker, settings.advise_research_confidence_min, redact)
        try:
            await Loop(log, settings.topics, desk, scout, settings.host).run(stop, ready)
        finally:
            await scout.close()
