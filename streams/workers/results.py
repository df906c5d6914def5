"""What an action is told of its host, and what it says when it is over."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Effect = Literal["none", "once", "unknown"]


class Surroundings(Struct, frozen=True):
    """What an action may know of the host beside its order.

    ``checkpoints`` is where checkpoints of services go that declare no directory; ``protected`` are the pid files of
    services that nobody may touch on behalf of another; ``environment`` is what a service inherits, before what it
    declares; ``tool_path`` are directories, by colon, to look for systemctl, docker and kubectl in first.
    """

    checkpoints: str
    protected: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    tool_path: str = ""


class Result(Struct, frozen=True):
    """The end of an action: success as it saw it, a short word, whether the outside was touched, and a remark.

    ``detail`` goes to the log of the pool only, never into an outcome.
    """

    ok: bool
    code: str
    effect: Effect
    detail: str = ""
