"""The process ``logmend web``: follows the log, and serves pages and API until it is told to stop."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Final

import uvicorn

from streams.ingest.redact import Redactor
from streams.ports import PolledLog
from streams.runtime.address import web_address_file, write_whole
from streams.runtime.kafka import KafkaLog
from streams.runtime.listening import Server, listen, url_of
from streams.runtime.readiness import ready
from streams.runtime.redaction_key import redaction_key
from streams.settings import Settings
from streams.web.app import Deps, create_app
from streams.web.auth import Gatekeeper
from streams.web.clock import BrokerClock
from streams.web.following import Following
from streams.web.history import History
from streams.web.letters import Letters
from streams.web.model import Model
from streams.web.saying import Voice
from streams.web.tokens import TokenFile, check_tokens

PORT: Final = 8_000
"""What is chosen if it is free (SEED_TABLES, section 4)."""
CONNECTIONS_MAX: Final = 1_000
KEEP_ALIVE_S: Final = 20
STOP_S: Final = 2
"""How long answers that are under way may take at the end; browsers that follow changes never end by themselves."""
HEADERS_BYTES_MAX: Final = 32 * 1024


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set.

    Raises ``InputError`` when the address can't be had, or tokens are needed and there are none.
    """
    check_tokens(settings)
    listening = listen("web", settings.web_host, settings.web_port, PORT)
    try:
        async with KafkaLog(settings) as log:
            deps, following = assembled(settings, log, stop)
            await following.open()
            said = web_address_file(settings.data_dir)
            said.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(said, url_of(listening).encode())
            await _run(deps, following, listening, stop)
    finally:
        listening.close()


def assembled(settings: Settings, log: PolledLog, stop: asyncio.Event) -> tuple[Deps, Following]:
    """Return what the application works with, over a log, and what keeps it up to date."""
    clock = BrokerClock(lambda: int(time.time() * 1000), time.monotonic)
    redactor = Redactor(redaction_key(settings))
    deps = Deps(
        settings=settings,
        model=Model(clock, settings.topics.inbox_people),
        history=History(settings.data_dir / "log"),
        voice=Voice(log, settings.topics, redactor),
        gate=Gatekeeper(TokenFile(settings.data_dir), settings.web_host, time.monotonic),
        letters=Letters(log, settings.topics, redactor),
        redact=redactor.text,
        stopping=stop,
    )
    return deps, Following(log, settings.topics, deps.model, deps.history)


async def _run(deps: Deps, following: Following, listening: socket.socket, stop: asyncio.Event) -> None:
    """Do everything at once; what fails first ends the process, and is raised."""
    server = Server(
        uvicorn.Config(
            create_app(deps),
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # who asks is who connects: anybody could claim another address otherwise
            server_header=False,
            http="httptools",
            loop="none",
            ws="none",
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_S,
        )
    )
    try:
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(work) for work in (following.run(), deps.voice.run())]
            serving = group.create_task(server.serve([listening]))
            ready(deps.settings.data_dir)
            await stop.wait()
            server.should_exit = True
            await serving
            for work in working:
                work.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    finally:
        deps.history.close()
