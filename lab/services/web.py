"""HTTP/1.1 in one request per connection: as much as the lab's services need, on asyncio, without a thread."""

from __future__ import annotations

import asyncio
import http
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from lab.services.common import EXIT_UNAVAILABLE

HEAD_BYTES_MAX: Final = 16_384
REQUEST_TIMEOUT_S: Final = 5.0
ANSWER_BYTES_MAX: Final = 1024 * 1024


class Request(NamedTuple):
    """A request without a body: ``target`` is path and query as they came, ``peer`` the address that it came from."""

    method: str
    target: str
    path: str
    query: dict[str, str]
    peer: str


class Response(NamedTuple):
    """A status code and a JSON body."""

    status: int
    body: bytes


Handler = Callable[[Request], Awaitable[Response]]
Admit = Callable[[str], bool]
"""Whether a connection from an address may say anything at all."""


def listen(port: int) -> socket.socket:
    """Return a socket that listens on the loopback interface; ``OSError`` (EADDRINUSE) when somebody else does."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        bound.listen(128)
    except OSError:
        bound.close()
        raise
    return bound


def bound_to(port: int, fatal: Callable[[OSError], None]) -> socket.socket:
    """Return what ``listen`` does; that somebody else has the port is told, and ends the process."""
    try:
        return listen(port)
    except OSError as error:
        fatal(error)
        raise SystemExit(EXIT_UNAVAILABLE) from None


async def serve(bound: socket.socket, handler: Handler, admit: Admit = lambda _address: True) -> None:
    """Answer requests until SIGTERM or SIGINT; a connection that is not admitted is closed at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("peername")[0]
        if admit(address):
            await _converse(reader, writer, handler, address)
        else:
            writer.close()

    server = await asyncio.start_server(connection, sock=bound, limit=HEAD_BYTES_MAX)
    await stop.wait()
    server.close()
    await server.wait_closed()


async def ask(host: str, port: int, target: str) -> Response:
    """Return a peer's answer to a GET; ``OSError`` when it is not there, ``ValueError`` when that is no HTTP."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        answer = await reader.read(ANSWER_BYTES_MAX)
        while not reader.at_eof():
            answer += await reader.read(ANSWER_BYTES_MAX)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 3:
        raise ValueError("not an HTTP answer")
    return Response(int(words[1]), body)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler, address: str) -> None:
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_TIMEOUT_S)
        writer.write(encode(await handler(parse(head, address))))
        await writer.drain()
    except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        pass  # the client went away or does not speak HTTP: nobody is left to answer
    finally:
        writer.close()


def parse(head: bytes, address: str) -> Request:
    """Return the request; ``ValueError`` when the first line is not one of HTTP."""
    method, target, _version = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
    parts = urlsplit(target)
    return Request(method, target, parts.path, dict(parse_qsl(parts.query)), address)


def encode(response: Response) -> bytes:
    """Return an answer as it goes over the wire."""
    reason = http.HTTPStatus(response.status).phrase
    head = (
        f"HTTP/1.1 {response.status} {reason}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(response.body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + response.body
