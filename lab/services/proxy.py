"""A reverse proxy in front of the API that logs as nginx does through syslog: access lines, and errors of upstream."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from datetime import UTC, datetime
from typing import Final

from lab.services.common import config_path, configured
from lab.services.web import Request, Response, ask, bound_to, serve

CONFIG: Final[dict[str, type]] = {"name": str, "port": int, "upstream_port": int, "upstream_timeout_ms": int}


def log(service: str, message: str) -> None:
    """Write one syslog line (ISO stamp in UTC, host, name[pid]) to standard error."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    sys.stderr.write(f"{stamp} {socket.gethostname()} {service}[{os.getpid()}]: {message}\n")
    sys.stderr.flush()


class Proxy:
    """Forwards each request to the API; 502 when it cannot be reached, 504 when it does not answer in time."""

    def __init__(self, name: str, upstream_port: int, timeout_s: float) -> None:
        self._name = name
        self._upstream_port = upstream_port
        self._timeout_s = timeout_s

    async def handle(self, request: Request) -> Response:
        """Answer ``/proxy-health`` itself, forward everything else, and log either."""
        if request.path == "/proxy-health":
            response = Response(200, b'{"status": "ok"}')
        else:
            response = await self._forward(request)
        line = f'127.0.0.1 - - "{request.method} {request.target} HTTP/1.1" {response.status} {len(response.body)}'
        log(self._name, line)
        return response

    async def _forward(self, request: Request) -> Response:
        try:
            return await asyncio.wait_for(ask("127.0.0.1", self._upstream_port, request.target), self._timeout_s)
        except TimeoutError:
            cause = "upstream timed out (110: Connection timed out) while reading response header from upstream"
            status = 504
        except ConnectionError as error:
            number = error.errno or errno.ECONNRESET
            cause = f"connect() failed ({number}: {os.strerror(number)}) while connecting to upstream"
            status = 502
        except ValueError:
            cause = "upstream prematurely closed connection while reading response header from upstream"
            status = 502
        upstream = f"http://127.0.0.1:{self._upstream_port}{request.target}"
        request_line = f"{request.method} {request.target} HTTP/1.1"
        log(self._name, f'[error] {cause}, client: 127.0.0.1, request: "{request_line}", upstream: "{upstream}"')
        return Response(status, b'{"error": "upstream"}')


def main() -> None:
    """Run the proxy until it is told to stop."""
    path = config_path()
    config = configured(path, CONFIG, lambda why: log("shop-proxy", f"[emerg] {why}"))
    bound = bound_to(
        config["port"],
        lambda error: log(config["name"], f"[emerg] bind() to 127.0.0.1:{config['port']} failed: {error}"),
    )
    log(config["name"], f"[notice] start, upstream 127.0.0.1:{config['upstream_port']}")
    proxy = Proxy(config["name"], config["upstream_port"], config["upstream_timeout_ms"] / 1000)
    asyncio.run(serve(bound, proxy.handle))
    log(config["name"], "[notice] exit")


if __name__ == "__main__":
    main()
