"""Clients of Kafka that do not come up leave no connection behind."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import AuthenticationFailedError

from streams.runtime import kafka
from streams.runtime.kafka import connected


class Client:
    """A client whose start ends as it is told to."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
        self.starting = asyncio.Event()
        self.stopped = 0

    async def start(self) -> None:
        """Fail, or take for ever."""
        self.starting.set()
        if self.error is not None:
            raise self.error
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Count."""
        self.stopped += 1


@pytest.mark.parametrize("error", [None, AuthenticationFailedError("who?")], ids=["cancelled", "refused"])
async def test_a_start_that_does_not_end_well_is_stopped(error: BaseException | None) -> None:
    """One that was cancelled while it connects, and one that fails for good, is stopped once; the error is raised."""
    client = Client(error)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connecting = asyncio.ensure_future(connected(lambda: client, f"127.0.0.1:{port}"))
    await client.starting.wait()
    if error is None:
        connecting.cancel()
    with pytest.raises(asyncio.CancelledError if error is None else type(error)):
        await connecting
    assert client.stopped == 1
    server.close()
    await server.wait_closed()


async def test_a_producer_that_does_not_start_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else has it yet."""
    client = Client(AuthenticationFailedError("who?"))
    monkeypatch.setattr(kafka, "AIOKafkaProducer", lambda **_: client)
    with pytest.raises(AuthenticationFailedError):
        await kafka.start_producer({})
    assert client.stopped == 1
