"""What an action is told of its host, and what it says when it is over."""

from __future__ import annotations

from typing import Literal, Self

import msgspec
from msgspec import Struct

Effect = Literal["none", "once", "unknown"]


class Surroundings(Struct, frozen=True):
    """What an action may know of the host beside its order.

    ``checkpoints`` is where checkpoints of services go that declare no directory; ``protected`` are the pid files of
    services that nobody may touch on behalf of another; ``environment`` is what a service inherits, before what it
    declares; ``tool_path`` are directories, by colon, to look for systemctl, docker and kubectl in first;
    ``dependencies`` are the ports of those services of this host that the service depends on, by their names; ``trace``
    is the W3C traceparent of the line that led to the order, if it came with one.
    """

    checkpoints: str
    protected: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    tool_path: str = ""
    dependencies: dict[str, int] = {}
    trace: str = ""


class Result(Struct, frozen=True):
    """The end of an action: success as it saw it, a short word, whether the outside was touched, and a remark.

    ``detail`` goes to the log of the pool only, never into an outcome. ``findings`` are what a look saw, by their codes
    in the catalogue.
    """

    ok: bool
    code: str
    effect: Effect
    detail: str = ""
    findings: dict[str, float] = {}

    def after(self, *, touched: bool) -> Self:
        """Return the result of an action that this is the last step of; ``touched``: an earlier one had an effect."""
        return msgspec.structs.replace(self, effect="once") if touched and self.effect == "none" else self
