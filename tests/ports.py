"""Ports of this host that nobody uses."""

from __future__ import annotations

import contextlib
import socket


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def free_ports(count: int) -> int:
    """Return the first of so many neighbouring ports that nobody uses. Raises ``OSError`` when there are none."""
    for first in range(20_000, 60_000, 50):
        with contextlib.suppress(OSError), contextlib.ExitStack() as probes:
            for port in range(first, first + count):
                probes.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise OSError(f"there are no {count} neighbouring ports left")
