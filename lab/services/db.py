"""A small database server: keys and values over TCP, a line each way; logs as PostgreSQL does.

It has a limit of sessions and a real weakness: one that is idle stays for ever, so that a client which never closes its
sessions uses up the limit. One more session is kept for the administrator, who can end idle ones.

    LOGIN <user> <secret> | GET <key> | PUT <key> <value> | END_IDLE <milliseconds> | BYE
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import os
import signal
import socket
import time
from typing import Final

from lab.services.common import config_path, configured, say, utc_now
from lab.services.web import bound_to

CONFIG: Final[dict[str, type]] = {"name": str, "port": int, "sessions_max": int, "secrets": dict}
ADMINISTRATOR: Final = "admin"
LINE_BYTES_MAX: Final = 1024
KEYS_MAX: Final = 1_000
TOO_MANY: Final = "sorry, too many clients already"


def log(level: str, message: str) -> None:
    """Write one line as PostgreSQL's standard error log has it."""
    say(f"{utc_now().replace('T', ' ')} UTC [{os.getpid()}] {level}:  {message}")


class Session:
    """One connection that has logged in."""

    def __init__(self, user: str, writer: asyncio.StreamWriter) -> None:
        self.user = user
        self.writer = writer
        self.idle_since = time.monotonic()


class Server:
    """The keys, the values and the sessions."""

    def __init__(self, sessions_max: int, secrets: dict[str, str]) -> None:
        self._sessions_max = sessions_max
        self._secrets = secrets
        self._values: dict[str, str] = {}
        self._sessions: dict[int, Session] = {}
        self._numbers = itertools.count(1)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        number = next(self._numbers)
        try:
            while line := await reader.readline():
                words = line.decode("utf-8", "replace").split()
                writer.write(f"{self._answer(number, writer, words)}\n".encode())
                await writer.drain()
                if number not in self._sessions:
                    break
        except (ConnectionError, ValueError):
            pass  # the client went away, or sends lines without end
        finally:
            self._sessions.pop(number, None)
            writer.close()

    def _answer(self, number: int, writer: asyncio.StreamWriter, words: list[str]) -> str:
        session = self._sessions.get(number)
        if session is None:
            return self._login(number, writer, words)
        session.idle_since = time.monotonic()
        match words:
            case ["GET", key]:
                return f"OK {self._values.get(key, '')}"
            case ["PUT", key, value] if key in self._values or len(self._values) < KEYS_MAX:
                self._values[key] = value
                return "OK"
            case ["END_IDLE", milliseconds] if session.user == ADMINISTRATOR and milliseconds.isdecimal():
                return f"OK {self._end_idle(int(milliseconds) / 1000)}"
            case ["BYE"]:
                del self._sessions[number]
                return "OK"
        return "ERROR syntax error"

    def _login(self, number: int, writer: asyncio.StreamWriter, words: list[str]) -> str:
        match words:
            case ["LOGIN", user, secret] if hmac.compare_digest(self._secrets.get(user, "-"), secret):
                pass
            case _:
                log("FATAL", f'password authentication failed for user "{words[1] if len(words) > 1 else ""}"')
                return "FATAL password authentication failed"
        if len(self._sessions) >= self._sessions_max + (user == ADMINISTRATOR):
            log("FATAL", TOO_MANY)
            return f"FATAL {TOO_MANY}"
        self._sessions[number] = Session(user, writer)
        log("LOG", f"connection authorized: user={user} database=shop")
        return "OK"

    def _end_idle(self, seconds: float) -> int:
        """Close the sessions that have been idle for so long; return how many."""
        now = time.monotonic()
        idle = [session for session in self._sessions.values() if now - session.idle_since > seconds]
        for session in idle:
            session.writer.close()
        log("LOG", f"ended {len(idle)} idle sessions of {len(self._sessions)} by administrator command")
        return len(idle)


async def run(bound: socket.socket, server: Server) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listening = await asyncio.start_server(server.converse, sock=bound, limit=LINE_BYTES_MAX)
    await stop.wait()
    listening.close()


def main() -> None:
    """Run the database until it is told to stop."""
    path = config_path()
    config = configured(path, CONFIG, lambda why: log("FATAL", why))
    where = f"127.0.0.1:{config['port']}"
    bound = bound_to(config["port"], lambda error: log("FATAL", f"could not bind {where}: {error}"))
    log("LOG", f"database system is ready to accept connections on {where}")
    asyncio.run(run(bound, Server(config["sessions_max"], config["secrets"])))
    log("LOG", "database system is shut down")


if __name__ == "__main__":
    main()
