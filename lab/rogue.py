"""A process that is in the way: it takes a port, a SQLite file's exclusive lock, all sessions of a database, or scans.

It goes when it is killed, when the process that started it is gone, or after five minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Final

LIFE_S: Final = 300.0
PAUSE_S: Final = 0.2
SCAN_S: Final = 1.0
STRANGER: Final = "127.0.0.66"
TARGETS: Final = ("/../../../../etc/passwd", "/wp-login.php", "/.env", "/cgi-bin/test.sh", "/.git/config")
TAKE_S: Final = 10.0
"""How long it tries to get what it is after: the service may be holding it for another moment."""


def take_port(port: int) -> socket.socket:
    """Listen on the loopback port and never accept; ``OSError`` when somebody else keeps it."""
    deadline = time.monotonic() + TAKE_S
    while True:
        taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", port))
            taken.listen(1)
        except OSError:
            taken.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return taken


def take_lock(database: str) -> sqlite3.Connection:
    """Begin an exclusive transaction that nobody will end; ``sqlite3.OperationalError`` after ten seconds."""
    connection = sqlite3.connect(database, timeout=TAKE_S, isolation_level=None)
    connection.execute("begin exclusive")
    return connection


def take_sessions(port: int) -> list[socket.socket]:
    """Log in to the lab's database until it has no session left, and say nothing more."""
    held: list[socket.socket] = []
    while True:
        session = socket.create_connection(("127.0.0.1", port), TAKE_S)
        session.sendall(b"LOGIN shop shop\n")
        if not session.recv(64).startswith(b"OK"):
            session.close()
            return held
        held.append(session)


def scan(port: int, target: str) -> None:
    """Ask for what a stranger should not get, from a stranger's address; whatever comes of it."""
    with contextlib.suppress(OSError), closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as stranger:
        stranger.settimeout(SCAN_S)
        stranger.bind((STRANGER, 0))
        stranger.connect(("127.0.0.1", port))
        stranger.sendall(f"GET {target} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
        stranger.recv(1024)


def hold(what: str, which: str) -> Iterator[None]:
    """Take it, then yield again and again as long as it is to be held."""
    held: list[socket.socket | sqlite3.Connection] = []
    if what == "port":
        held.append(take_port(int(which)))
    elif what == "lock":
        held.append(take_lock(which))
    elif what == "sessions":
        held.extend(take_sessions(int(which)))
    for target in itertools.cycle(TARGETS):
        if what == "scan":
            scan(int(which), target)
        yield


def main() -> int:
    """Take it, say ``ready`` on standard output, and hold it."""
    parser = argparse.ArgumentParser(description="A process of the Logmend lab that is in the way.")
    parser.add_argument("what", choices=("port", "lock", "sessions", "scan"))
    parser.add_argument("which", help="a port number, or the path of a SQLite file")
    arguments = parser.parse_args()
    parent = os.getppid()
    end = time.monotonic() + LIFE_S
    for number, _ in enumerate(hold(arguments.what, arguments.which)):
        if number == 0:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
        if os.getppid() != parent or time.monotonic() > end:
            break
        time.sleep(PAUSE_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
