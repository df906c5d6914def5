"""Counts every answer, whoever gives it: an endpoint, or what stands before it."""

from __future__ import annotations

import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams import telemetry

FAILED: Final = 500


class Counting:
    """ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; of an answer that never ends its head counts too.

        What is raised before that is answered further out, with 500.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.monotonic()
        headed = False

        async def counted(message: Message) -> None:
            nonlocal headed
            if message["type"] == "http.response.start":
                headed = True
                telemetry.web_answered(message["status"], time.monotonic() - began)
            await send(message)

        try:
            await self.app(scope, receive, counted)
        except Exception:
            if not headed:
                telemetry.web_answered(FAILED, time.monotonic() - began)
            raise
