"""Real servers on this host: of mail, and of HTTP as good or as bad as a test wants it."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.certificates import certificate

Answer = Callable[[BaseHTTPRequestHandler], None]


class Tls:
    """A certificate for localhost that only vouches for itself: contexts of a server and of who trusts it."""

    def __init__(self, directory: Path) -> None:
        made = certificate(directory)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(made.server)
        self.client = ssl.create_default_context(cafile=str(made.trusted))


class Post:
    """A mail server's memory: what came, from whom, to whom. ``refuse`` maps a recipient to what it is answered."""

    def __init__(self) -> None:
        self.port = 0
        self.refuse: dict[str, str] = {}
        self.letters: list[tuple[str, list[str], EmailMessage]] = []
        self.encrypted: list[bool] = []
        self.logins: list[bytes] = []

    async def handle_RCPT(  # noqa: N802 - the library calls it so
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take or refuse a recipient."""
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        """Keep a letter."""
        letter = email.message_from_bytes(envelope.content or b"", policy=email.policy.default)  # type: ignore[arg-type] # bytes unless decode_data
        assert isinstance(letter, EmailMessage)
        self.letters.append((str(envelope.mail_from), list(envelope.rcpt_tos), letter))
        self.encrypted.append(session.ssl is not None)
        return "250 OK"

    def login(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any) -> AuthResult:
        """Let in who knows the password."""
        assert isinstance(given, LoginPassword)
        self.logins.append(given.login)
        return AuthResult(success=given == LoginPassword(b"me", b"secret"), handled=False)


@contextmanager
def posting(tls: Tls | None = None, *, at_once: bool = False, auth: bool = False) -> Iterator[Post]:
    """Run a mail server until the block ends: with STARTTLS required, with TLS from the start (``at_once``)."""
    post = Post()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        post.port = probe.getsockname()[1]
    more: dict[str, Any] = {}
    if tls is not None and at_once:
        more["ssl_context"] = tls.server
    elif tls is not None:
        more |= {"tls_context": tls.server, "require_starttls": True}
    if auth:
        more |= {"auth_required": True, "authenticator": post.login}
    controller = Controller(post, hostname="127.0.0.1", port=post.port, **more)
    controller.start()
    try:
        yield post
    finally:
        controller.stop()


class Site:
    """An HTTP server's memory: method, path, headers and body of each request; what it answers, the last for ever."""

    def __init__(self, answers: tuple[int | Answer, ...]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = ""
        self.ended = threading.Event()


def redirect(handler: BaseHTTPRequestHandler) -> None:
    """Send elsewhere."""
    handler.send_response(302)
    handler.send_header("Location", "/elsewhere")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


@contextmanager
def serving(*answers: int | Answer, tls: Tls | None = None) -> Iterator[Site]:
    """Serve on a free port of this host until the block ends. An answer is a status, or what writes one."""
    site = Site(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = site.answers[min(len(site.asked), len(site.answers) - 1)]
            site.asked.append((self.command, self.path, headers, body))
            if callable(answer):
                answer(self)
                return
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.server.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    site.url = f"http{'s' if tls else ''}://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield site
    finally:
        site.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def said(body: Any, status: int = 200) -> Answer:
    """Return an answer with a body of JSON."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        content = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer
