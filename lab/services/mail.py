"""A mailer that hands each message to the relay that its switch names; logs as Go programs with zap do.

The first relay is found by name, at the resolver that is configured, and given a second to answer. The alternative has
an address that needs no name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from pathlib import Path
from typing import Any, Final

from lab.services.common import config_path, configured, read_switch, say, utc_now
from lab.services.resolver import LookupFailedError, resolve
from lab.services.web import Request, Response, ask, bound_to, serve

CONFIG: Final[dict[str, type]] = {"name": str, "port": int, "relays": dict, "switch": str, "resolver_port": int}
RELAY_S: Final = 0.8
LOOKUP_S: Final = 0.6


def log(level: str, where: str, message: str, **fields: object) -> None:
    """Write one line as zap's console encoder does: columns by tabs, fields as JSON."""
    say(f"{utc_now()}Z\t{level}\t{where}\t{message}\t{json.dumps(fields)}")


class UndeliveredError(Exception):
    """The relay did not take the message; the text is as Go's network library would put it."""


class Mail:
    """Answers ``/send?to=`` once a relay has the message."""

    def __init__(self, relays: dict[str, dict[str, Any]], switch: Path, resolver_port: int) -> None:
        self._relays = relays
        self._switch = switch
        self._resolver_port = resolver_port

    async def handle(self, request: Request) -> Response:
        """Answer a request and log it."""
        if request.path != "/send":
            return Response(200 if request.path == "/health" else 404, b"{}")
        name = read_switch(self._switch, tuple(self._relays))
        to = request.query.get("to", "")
        try:
            await self._deliver(self._relays[name], to)
        except UndeliveredError as error:
            log("ERROR", "mail/relay.go:88", "message stays in the queue", relay=name, error=str(error))
            return Response(502, b'{"error": "relay"}')
        log("INFO", "mail/relay.go:71", "message sent", relay=name, to=to)
        return Response(200, json.dumps({"relay": name}).encode())

    async def _deliver(self, relay: dict[str, Any], to: str) -> None:
        address = await self._address(relay["host"])
        peer = f"{address}:{relay['port']}"
        try:
            answer = await asyncio.wait_for(ask(address, relay["port"], f"/deliver/{to}"), RELAY_S)
        except TimeoutError:
            raise UndeliveredError(f"read tcp {peer}: i/o timeout") from None
        except OSError as error:
            raise UndeliveredError(f"dial tcp {peer}: connect: {(error.strerror or str(error)).lower()}") from error
        except ValueError as error:
            raise UndeliveredError(f"read tcp {peer}: EOF") from error
        if answer.status != 200:
            raise UndeliveredError(f"relay answers {answer.status}")

    async def _address(self, host: str) -> str:
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            pass
        try:
            return await resolve(host, self._resolver_port, LOOKUP_S)
        except LookupFailedError as error:
            server = f"127.0.0.1:{self._resolver_port}"
            raise UndeliveredError(f"dial tcp: lookup {host} on {server}: {error}") from error


def main() -> None:
    """Run the mailer until it is told to stop."""
    path = config_path()
    config = configured(path, CONFIG, lambda why: log("FATAL", "mail/main.go:31", "exiting", error=why))
    where = f"listen tcp 127.0.0.1:{config['port']}"
    bound = bound_to(
        config["port"],
        lambda error: log("FATAL", "mail/main.go:44", "exiting", error=f"{where}: bind: {error.strerror}"),
    )
    log("INFO", "mail/main.go:52", "listening", port=config["port"])
    mail = Mail(config["relays"], Path(config["switch"]), config["resolver_port"])
    asyncio.run(serve(bound, mail.handle))
    log("INFO", "mail/main.go:60", "stopped")


if __name__ == "__main__":
    main()
