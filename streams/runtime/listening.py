"""Where a process of ours answers HTTP: the socket, its URL, and uvicorn that leaves signals to the process."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Generator
from typing import Final

import uvicorn

from streams.core.errors import InputError

BACKLOG: Final = 512


def listen(command: str, host: str, port: int, preferred: int) -> socket.socket:
    """Return a socket that listens at an address; port 0 is ``preferred`` if that is free, else any.

    Raises ``InputError`` when it can't be had, naming the settings of ``logmend <command>``.
    """
    for one in (port,) if port else (preferred, 0):
        try:
            return _listening(host, one)
        except OSError as error:
            why = error.strerror
    variables = f"LOGMEND_{command.upper()}_HOST, LOGMEND_{command.upper()}_PORT"
    raise InputError(f"logmend {command} can't listen at {host}:{port or preferred}: {why}; set {variables}")


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # with its protocol: asyncio switches Nagle's algorithm off for sockets that name TCP, else an answer takes 40 ms
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG)  # a port that is bound only is not taken: another may bind it too
        made.settimeout(0)
    except OSError:
        made.close()
        raise
    return made


def url_of(listening: socket.socket) -> str:
    """Return where a program on this machine finds what listens there."""
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield
