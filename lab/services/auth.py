"""An HTTPS server that checks customers' tokens and knows their roles; logs as Java applications do, with traces.

It serves with the certificate that is in its file at the moment, and reads its signing key and its roles anew for each
request. It obeys the modes of files even when root runs it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import socket
import ssl
import threading
from pathlib import Path
from types import FrameType
from typing import Final

from lab.services.common import config_path, configured, say, utc_now
from lab.services.privilege import obey_file_modes
from lab.services.web import HEAD_BYTES_MAX, Request, Response, bound_to, encode, parse

CONFIG: Final[dict[str, type]] = {"name": str, "port": int, "certificate": str, "signing_key": str, "roles": str}
TALK_S: Final = 3.0
FRAMES: Final = {
    "NioEndpoint": (
        "sun.security.ssl.Alert.createSSLException(Alert.java:131)",
        "java.lang.Thread.run(Thread.java:840)",
    ),
    "SessionController": (
        "com.shop.auth.TokenVerifier.verify(TokenVerifier.java:58)",
        "com.shop.auth.SessionController.open(SessionController.java:34)",
    ),
    "RoleStore": (
        "java.base/sun.nio.fs.UnixException.translateToIOException(UnixException.java:90)",
        "com.shop.auth.RoleStore.read(RoleStore.java:27)",
    ),
}


def log(level: str, logger: str, message: str, exception: str = "") -> None:
    """Write a line as Spring Boot does, and the trace of an exception below it."""
    stamp = utc_now().replace("T", " ")
    lines = [f"{stamp} {level:>5} {os.getpid()} --- [https-jsse-nio-exec] com.shop.auth.{logger:<20} : {message}"]
    if exception:
        lines += [exception, *(f"\tat {frame}" for frame in FRAMES[logger])]
    say("\n".join(lines))


class BadCredentialsError(ValueError):
    """A token that was not signed with our key."""


def sign(key: bytes, user: str) -> str:
    """Return the token of a user."""
    return hmac.new(key, user.encode(), hashlib.sha256).hexdigest()


class Auth:
    """Answers ``/session?user=&token=``."""

    def __init__(self, signing_key: Path, roles: Path) -> None:
        self._signing_key = signing_key
        self._roles = roles

    def handle(self, request: Request) -> Response:
        """Answer a request and log it."""
        user = request.query.get("user", "")
        try:
            roles = self._open(user, request.query.get("token", ""))
        except BadCredentialsError as error:
            exception = f"org.springframework.security.authentication.BadCredentialsException: {error}"
            log("WARN", "SessionController", f"Authentication failed for user {user}", exception)
            return Response(401, b'{"error": "credentials"}')
        except OSError as error:
            log("ERROR", "RoleStore", "no roles", f"java.io.FileNotFoundException: {error.filename} ({error.strerror})")
            return Response(500, b'{"error": "roles"}')
        log("INFO", "SessionController", f"opened a session for user {user}")
        return Response(200, json.dumps({"user": user, "roles": roles}).encode())

    def _open(self, user: str, token: str) -> list[str]:
        if not hmac.compare_digest(sign(self._signing_key.read_bytes(), user), token):
            raise BadCredentialsError("token signature does not match")
        roles: list[str] = json.loads(self._roles.read_bytes()).get(user, [])
        return roles


class Https:
    """A thread for each connection; the certificate is loaded again when its file has changed."""

    def __init__(self, bound: socket.socket, certificate: Path, auth: Auth) -> None:
        self._bound = bound
        self._certificate = certificate
        self._auth = auth
        self._loaded = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def run(self) -> None:
        """Accept until the listening socket is closed."""
        while True:
            try:
                connection, (address, _port) = self._bound.accept()
            except OSError:
                return
            self._load()
            threading.Thread(target=self._converse, args=(connection, address), daemon=True).start()

    def _load(self) -> None:
        changed = self._certificate.stat().st_mtime_ns
        if changed != self._loaded:
            self._context.load_cert_chain(self._certificate)
            self._loaded = changed
            log("INFO", "NioEndpoint", f"loaded the certificate from {self._certificate}")

    def _converse(self, connection: socket.socket, address: str) -> None:
        connection.settimeout(TALK_S)
        try:
            with self._context.wrap_socket(connection, server_side=True) as secure:
                secure.sendall(encode(self._auth.handle(parse(_head(secure), address))))
        except ssl.SSLError as error:
            alert = (error.reason or "closed").lower().replace("sslv3_alert_", "").replace("tlsv1_alert_", "")
            exception = f"javax.net.ssl.SSLHandshakeException: Received fatal alert: {alert}"
            log("ERROR", "NioEndpoint", f"Handshake with {address} ended", exception)
        except (OSError, ValueError):
            pass  # the client went away or does not speak HTTP: nobody is left to answer
        finally:
            connection.close()


def _head(secure: ssl.SSLSocket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < HEAD_BYTES_MAX and (more := secure.recv(HEAD_BYTES_MAX)):
        head += more
    return head


def main() -> None:
    """Run the server until it is told to stop."""
    path = config_path()
    obey_file_modes()
    config = configured(path, CONFIG, lambda why: log("ERROR", "Application", why))
    bound = bound_to(
        config["port"],
        lambda error: log(
            "ERROR", "Application", f"Web server failed to start. Port {config['port']} was already in use: {error}"
        ),
    )

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        bound.shutdown(socket.SHUT_RDWR)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    log("INFO", "Application", f"Started {config['name']} on port {config['port']}")
    auth = Auth(Path(config["signing_key"]), Path(config["roles"]))
    Https(bound, Path(config["certificate"]), auth).run()
    log("INFO", "Application", "Stopped")


if __name__ == "__main__":
    main()
