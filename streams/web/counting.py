"""Counts every answer, whoever gives it: an endpoint, or what stands before it."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams import telemetry


class Counting:
    """ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; of an answer that never ends its head counts too."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                telemetry.web_answered(message["status"], time.monotonic() - began)
            await send(message)

        await self.app(scope, receive, counted)
