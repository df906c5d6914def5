"""What all requests of people have in common: where one stands, and how it is said that it is not done."""

from __future__ import annotations

from typing import Final

from streams.core.events import Coordinate, Gate
from streams.core.state import Draft, Turn

SHORT_CHARACTERS: Final = 120
"""Of a person's text, what becomes a decision's reason; all of it is in the fact."""


def short(text: str) -> str:
    """Return the begin of a person's text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= SHORT_CHARACTERS else f"{line[: SHORT_CHARACTERS - 1]}…"


def refuse(
    turn: Turn,
    where: Coordinate,
    reason: str,
    *,
    refers_to: str = "",
    service: str = "",
    gates: tuple[Gate, ...] = (),
) -> None:
    """Say that what the message at ``where`` asked for is not done; ``refers_to`` is a decision that we know."""
    turn.write(
        Draft(kind="request_refused", reason=reason, refers_to=refers_to, service=service, gates=gates, causes=(where,))
    )
