"""A cart whose checkout asks the payment provider that its switch names; logs as .NET's console logger does.

A provider that does not answer is left alone for a while (a circuit breaker); every checkout meanwhile fails at once.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Final

from lab.services.common import config_path, configured, read_switch, say, utc_now
from lab.services.web import Request, Response, ask, bound_to, serve

CONFIG: Final[dict[str, type]] = {"name": str, "port": int, "providers": dict, "switch": str}
PROVIDER_S: Final = 0.8
OPEN_S: Final = 2.0


def log(level: str, category: str, message: str) -> None:
    """Write one line as ``SimpleConsoleFormatter`` does with ``SingleLine``."""
    say(f"{utc_now()}Z {level}: Shop.Cart.{category}[0] {message}")


class Cart:
    """Answers ``/checkout?amount=``."""

    def __init__(self, providers: dict[str, int], switch: Path) -> None:
        self._providers = providers
        self._switch = switch
        self._open_until: dict[str, float] = {}

    async def handle(self, request: Request) -> Response:
        """Answer a request and log it."""
        if request.path != "/checkout":
            return Response(200 if request.path == "/health" else 404, b"{}")
        name = read_switch(self._switch, tuple(self._providers))
        if await self._paid(name, request.query.get("amount", "0")):
            log("info", "Checkout", f"Order paid by {name}")
            return Response(200, json.dumps({"paid_by": name}).encode())
        log("fail", "Checkout", f"Upstream service {name} is unavailable, its circuit breaker is open")
        return Response(424, b'{"error": "payment"}')

    async def _paid(self, name: str, amount: str) -> bool:
        if time.monotonic() < self._open_until.get(name, 0.0):
            return False
        try:
            answer = await asyncio.wait_for(ask("127.0.0.1", self._providers[name], f"/pay/{amount}"), PROVIDER_S)
        except (OSError, ValueError, TimeoutError):
            self._open_until[name] = time.monotonic() + OPEN_S
            return False
        return answer.status == 200


def main() -> None:
    """Run the cart until it is told to stop."""
    path = config_path()
    config = configured(path, CONFIG, lambda why: log("crit", "Program", why))
    bound = bound_to(
        config["port"],
        lambda error: log(
            "crit", "Program", f"Failed to bind to address http://127.0.0.1:{config['port']}: {error.strerror}"
        ),
    )
    log("info", "Program", f"Now listening on: http://127.0.0.1:{config['port']}")
    asyncio.run(serve(bound, Cart(config["providers"], Path(config["switch"])).handle))
    log("info", "Program", "Application is shutting down")


if __name__ == "__main__":
    main()
