"""HTTP to addresses that we may talk to, and to no others: looked up once, checked, and connected to as checked.

A name that is looked up twice can lead elsewhere the second time, so the connection goes to the very address that was
checked; certificate and Host header are those of the name. Redirects are not followed, proxies are not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from typing import Final

import httpx2

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

CONNECT_S: Final = 5.0
ADDRESSES_MAX: Final = 4
"""Of a name, how many are tried."""
NEVER: Final = tuple(
    ipaddress.ip_network(one)
    for one in (
        *("0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "198.18.0.0/15", "224.0.0.0/3", "::/128", "fe80::/10"),
        *("fec0::/10", "ff00::/8", "fd00:ec2::254/128"),
        *("::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "100::/64"),
    )
)
"""Of no use to a webhook, whatever is allowed: link-local (there clouds keep their keys), multicast, reserved, and IPv6
addresses that stand for one of IPv4. Source: IANA's special-purpose address registries; AWS for fd00:ec2::254."""


class NotAllowedError(httpx2.ConnectError):
    """A name has no address that we may talk to."""


def may_reach(address: Address, *, private: bool, encrypted: bool) -> bool:
    """Say whether an address may be talked to: unencrypted only on private networks, and those only if allowed."""
    if any(address in one for one in NEVER if one.version == address.version):
        return False
    return encrypted if address.is_global else private


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Connects to allowed addresses only. ``private``: also to private networks and this host."""

    def __init__(self, *, private: bool, tls: ssl.SSLContext | None = None) -> None:
        self._private = private
        # a kept connection is found again by its address alone, so another name could get it
        limits = httpx2.Limits(max_keepalive_connections=0)
        self._inner = httpx2.AsyncHTTPTransport(verify=tls or True, trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to the first of its host's addresses that is reached.

        Raises as httpx2 does, and ``NotAllowedError``.
        """
        name = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        found = await look_up(name, port)
        encrypted = request.url.scheme == "https"
        if not found or not all(may_reach(one, private=self._private, encrypted=encrypted) for one in found):
            raise NotAllowedError("its address is one that may not be talked to", request=request)
        for address in found[:-1]:
            with contextlib.suppress(httpx2.ConnectError, httpx2.ConnectTimeout):
                return await self._inner.handle_async_request(_at(request, address))
        return await self._inner.handle_async_request(_at(request, found[-1]))

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._inner.aclose()


def _at(request: httpx2.Request, address: Address) -> httpx2.Request:
    """Return a request that goes to an address; name in certificate and Host header stay what they are."""
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )


async def look_up(name: str, port: int) -> Sequence[Address]:
    """Return the addresses of a name. Raises ``httpx2.ConnectError`` when there are none."""
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx2.ConnectError("its name has no address") from error
    return [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in rows[:ADDRESSES_MAX]]


def client(*, private: bool, tls: ssl.SSLContext | None = None) -> httpx2.AsyncClient:
    """Return a client that talks to allowed addresses only and follows no redirects."""
    transport = GuardedTransport(private=private, tls=tls)
    timeout = httpx2.Timeout(None, connect=CONNECT_S)  # the time for all of a request is its sender's matter
    return httpx2.AsyncClient(transport=transport, follow_redirects=False, timeout=timeout, trust_env=False)
