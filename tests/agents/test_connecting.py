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
        self.go_on = asyncio.Event()
        self.done = False

    async def start(self) -> None:
        """Fail, or take until it may go on."""
        self.starting.set()
        if self.error is not None:
            raise self.error
        await self.go_on.wait()
        self.done = True

    async def stop(self) -> None:
        """Count."""
        self.stopped += 1


@pytest.mark.parametrize("error", [None, AuthenticationFailedError("who?")], ids=["cancelled", "refused"])
async def test_a_start_that_does_not_end_well_is_stopped(
    monkeypatch: pytest.MonkeyPatch, error: BaseException | None
) -> None:
    """One that was cancelled while it connects, and one that fails for good, is stopped once; the error is raised."""
    monkeypatch.setattr(kafka, "START_ENDS_S", 0.0)
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


async def test_a_start_under_way_comes_to_its_end_before_it_is_stopped() -> None:
    """What aiokafka has opened by then is closed only by a client that has started."""
    client = Client(None)
    starting = asyncio.ensure_future(kafka.started(client))
    await client.starting.wait()
    starting.cancel()
    await asyncio.sleep(0)
    client.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert (client.done, client.stopped) == (True, 1)


async def test_a_producer_that_does_not_start_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else has it yet."""
    client = Client(AuthenticationFailedError("who?"))
    monkeypatch.setattr(kafka, "AIOKafkaProducer", lambda **_: client)
    with pytest.raises(AuthenticationFailedError):
        await kafka.start_producer({})
    assert client.stopped == 1
