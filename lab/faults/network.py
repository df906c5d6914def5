"""Faults of the network and of peers: refused, silent, nameless, out of reach, slow."""

from __future__ import annotations

from lab import control
from lab.faults.base import Fault, FaultError, PeerFault
from lab.site import API, CART, MAIL, PROXY, SEARCH


class Refused(Fault):
    """The API is stopped by somebody, and the proxy that depends on it is refused: the API has to come back."""

    name = "refused"
    service = PROXY
    cause = API
    pattern = "connection_refused"
    heals = "process.restart"
    tells = "the API was stopped, and refuses the proxy's connections"

    def _break(self) -> None:
        self._pid()
        control.stop(self.site, API)
        if control.pid_of(self.site, API) is not None:
            raise FaultError(f"{self.name}: {API} does not stop")


class NoAnswer(PeerFault):
    """The mail relay accepts connections and never answers."""

    name = "no_answer"
    service = MAIL
    peer, how = "relay_a", "silent"
    pattern = "network_timeout"
    heals = "process.fallback"
    tells = "the mail relay does not answer in time"


class NoRoute(PeerFault):
    """The relay's name leads to an address that the kernel has no way to."""

    name = "no_route"
    service = MAIL
    peer, how = "dns", "unroutable"
    pattern = "network_unreachable"
    heals = "process.fallback"
    tells = "the mail relay's network is unreachable"
    stands_in = "an address without a route, instead of a route that is lost; the error is the kernel's"


class NoName(PeerFault):
    """The name server does not know the relay any more."""

    name = "no_name"
    service = MAIL
    peer, how = "dns", "nxdomain"
    pattern = "dns_failure"
    heals = "process.fallback"
    tells = "the mail relay's name does not resolve"


class Dependency(PeerFault):
    """The payment provider hangs up on every call."""

    name = "dependency"
    service = CART
    peer, how = "payments_eu", "down"
    pattern = "service_dependency"
    heals = "docker.fallback"
    tells = "the cart's payment provider is down"


class Slow(PeerFault):
    """What suggests more to those who search takes its time, and every search waits for it."""

    name = "slow"
    service = SEARCH
    peer, how = "recommender", "slow"
    pattern = "performance_degradation"
    heals = "process.degrade"
    tells = "searches take longer than customers wait"
