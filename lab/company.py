"""Services that a run has beside those of its site: a scenario's own."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from lab.site import Site
from streams.core.inventory import ServiceSpec


def _nothing() -> None:
    """Nobody is there to be started or stopped."""


class Company(Struct, frozen=True, kw_only=True):
    """Services as the inventory knows them; the ``log_file`` of each is shipped.

    ``start`` returns when all of them serve and raises ``RuntimeError`` when one does not. ``stop`` may be called at
    any time, also for what a run that was killed has left.
    """

    specs: tuple[ServiceSpec, ...] = ()
    start: Callable[[], None] = _nothing
    stop: Callable[[], None] = _nothing


Invite = Callable[[Site], Company]
"""Makes the files of a scenario's own services on a fresh site, nothing started yet."""


def nobody(_site: Site) -> Company:
    """Return a company of none."""
    return Company()
