"""The world beyond the fleet: two mail relays, a name server, a recommender and two payment providers, in one process.

How each behaves stands in a file of its own that is read for each request: ``ok``; ``silent`` (takes the request and
never answers); ``slow``; ``down`` (hangs up). The name server: ``ok``, ``nxdomain``, or ``unroutable``, an address that
the kernel has no way to. Nothing of this is in the inventory: a service has to find another way.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final, cast

from lab.services.resolver import NO_SUCH_NAME, answer
from lab.services.web import HEAD_BYTES_MAX, Response, encode, listen
from lab.site import OUTSIDE, Site
from streams.workers.files import write_whole

WELL: Final = "ok"
NAME_SERVER: Final = "dns"
SLOW_S: Final = 1.2
SILENT_S: Final = 60.0
UNROUTABLE: Final = "127.255.255.255"
"""The broadcast address of loopback: a connection to it ends in ENETUNREACH, by the kernel, on any Linux."""
BODIES: Final = {"recommender": b'["more", "of", "the", "same"]'}
READY_S: Final = 10.0


def behave(site: Site, peer: str, how: str) -> None:
    """Say how a peer behaves from now on."""
    write_whole(site.outside / peer, how.encode())


def started(site: Site, ports: Mapping[str, int] | None = None) -> subprocess.Popen[bytes]:
    """Start the process and return when it listens; it ends with its standard input, so with the lab at the latest.

    ``ports`` are those of other peers than the site's, by name.
    """
    site.outside.mkdir(exist_ok=True)
    peers = {peer: site.ports[peer] for peer in OUTSIDE} if ports is None else ports
    for peer in peers:
        behave(site, peer, WELL)
    named = [f"{peer}={port}" for peer, port in peers.items()]
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.outside", str(site.outside), *named],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    if process.stdout is None or process.stdout.readline() != b"ready\n":
        process.kill()
        raise RuntimeError("the peers beyond the fleet do not start")
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """End it and wait until it is gone."""
    process.kill()
    process.communicate()


def _how(behaviour: Path, peer: str) -> str:
    return (behaviour / peer).read_text("ascii")


async def _serve(behaviour: Path, peer: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    how = _how(behaviour, peer)
    with contextlib.suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        await reader.readuntil(b"\r\n\r\n")
        if how == "silent":
            await asyncio.wait_for(reader.read(), SILENT_S)  # until the client has had enough
        elif how != "down":
            await asyncio.sleep(SLOW_S if how == "slow" else 0)
            writer.write(encode(Response(200, BODIES.get(peer, b'{"ok": true}'))))
            await writer.drain()
    writer.close()


class _Names(asyncio.DatagramProtocol):
    """Answers every question with loopback's address, unless it is to behave otherwise."""

    def __init__(self, behaviour: Path) -> None:
        self._behaviour = behaviour

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        how = _how(self._behaviour, NAME_SERVER)
        said = answer(
            data, NO_SUCH_NAME if how == "nxdomain" else 0, UNROUTABLE if how == "unroutable" else "127.0.0.1"
        )
        self._transport.sendto(said, addr)


async def _run(behaviour: Path, ports: dict[str, int]) -> None:
    loop = asyncio.get_running_loop()
    for peer, port in ports.items():
        if peer == NAME_SERVER:
            await loop.create_datagram_endpoint(lambda: _Names(behaviour), local_addr=("127.0.0.1", port))
        else:
            await asyncio.start_server(partial(_serve, behaviour, peer), sock=listen(port), limit=HEAD_BYTES_MAX)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)  # whoever still waits for a peer that is silent is no reason to stay


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description="The peers of the Logmend lab.")
    parser.add_argument("behaviour", type=Path)
    parser.add_argument("peers", nargs="+", help="NAME=PORT")
    arguments = parser.parse_args()
    pairs = (peer.partition("=") for peer in arguments.peers)
    asyncio.run(_run(arguments.behaviour, {name: int(port) for name, _, port in pairs}))


if __name__ == "__main__":
    main()
