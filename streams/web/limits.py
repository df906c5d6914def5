"""How often a client may ask: token buckets by address, in bounded memory."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from msgspec import Struct

CLIENTS_MAX: Final = 4_096
"""Clients that are remembered; the one that was silent for longest is forgotten first."""
IPV6_BITS: Final = 64
"""One customer of a provider has that many addresses to choose from: they are one client."""


class Rate(Struct, frozen=True):
    """``per_second`` on average, ``burst`` at once."""

    per_second: float
    burst: float


class _Bucket(Struct):
    left: float
    at_s: float


class Limiter:
    """One rate for each client. ``clock`` counts seconds and never goes back."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_s(self, client: str, cost: float = 1.0) -> float:
        """Take ``cost`` from a client's bucket and return 0; or take nothing, and return for how long it must wait."""
        bucket = self._of(client)
        if bucket.left < cost:
            return (cost - bucket.left) / self._rate.per_second
        bucket.left -= cost
        return 0.0

    def _of(self, client: str) -> _Bucket:
        now_s = self._clock()
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._buckets[client] = _Bucket(self._rate.burst, now_s)
            if len(self._buckets) > CLIENTS_MAX:
                self._buckets.popitem(last=False)
            return bucket
        self._buckets.move_to_end(client)
        bucket.left = min(bucket.left + (now_s - bucket.at_s) * self._rate.per_second, self._rate.burst)
        bucket.at_s = now_s
        return bucket


@lru_cache(CLIENTS_MAX)
def client_of(address: str) -> str:
    """Return whom an address counts for."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, IPV6_BITS), strict=False))
    return str(parsed)
