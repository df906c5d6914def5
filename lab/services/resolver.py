"""A stub resolver: one question for an address over UDP, as RFC 1035 has it, to the server that is configured."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import struct
from typing import Final

TRIES: Final = 2
NO_SUCH_NAME: Final = 3
ADDRESS_RECORD: Final = 1


class LookupFailedError(OSError):
    """The name has no address, or the server says nothing of use."""


def question(number: int, name: str) -> bytes:
    """Return the packet that asks for a name's IPv4 address."""
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", ADDRESS_RECORD, 1)


def answer(asked: bytes, code: int, address: str) -> bytes:
    """Return the packet that answers a question: a code (0: found), and an address that is valid for no time."""
    number = asked[:2]
    record = (
        b"" if code else struct.pack(">3HIH", 0xC00C, ADDRESS_RECORD, 1, 0, 4) + ipaddress.IPv4Address(address).packed
    )
    return number + struct.pack(">5H", 0x8180 | code, 1, 0 if code else 1, 0, 0) + asked[12:] + record


def address_in(packet: bytes, asked: bytes) -> str:
    """Return the address that a packet answers with; ``LookupFailedError`` when it does not."""
    if len(packet) < 12 or packet[:2] != asked[:2]:
        raise LookupFailedError("server misbehaving")
    _, flags, _, answers, _, _ = struct.unpack(">6H", packet[:12])
    if flags & 0xF == NO_SUCH_NAME:
        raise LookupFailedError("no such host")
    if flags & 0xF or not answers:
        raise LookupFailedError("server misbehaving")
    return str(ipaddress.IPv4Address(packet[-4:]))


class _Waiter(asyncio.DatagramProtocol):
    def __init__(self, answered: asyncio.Future[bytes]) -> None:
        self._answered = answered

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the socket is connected
        if not self._answered.done():
            self._answered.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(LookupFailedError(str(exc)))


async def resolve(name: str, port: int, timeout_s: float) -> str:
    """Return the IPv4 address of a name, from the server on a loopback port; ``LookupFailedError`` says why not."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Waiter(answered), remote_addr=("127.0.0.1", port))
    asked = question(secrets.randbelow(1 << 16), name)
    try:
        for _ in range(TRIES):
            transport.sendto(asked)
            done, _ = await asyncio.wait([answered], timeout=timeout_s / TRIES)
            if done:
                return address_in(answered.result(), asked)
    finally:
        transport.close()
    raise LookupFailedError("no servers could be reached")
