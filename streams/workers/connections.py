"""What probes write as an address, and how a connection to one ends."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


def address_of(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port``; ``ValueError`` when there is no port."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a connection, whatever its other end makes of that."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
