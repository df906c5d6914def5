"""Notices as e-mail over SMTP. Each recipient is a channel of its own: what one server refuses, the others still get.

The Message-ID is made of the notice's id, so a message that is sent again is the same one, and readers show it once.
Headers are built by the library's strict policy from one line of visible characters each.
"""

from __future__ import annotations

import contextlib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final
from urllib.parse import urlsplit

import aiosmtplib
from jinja2 import Environment, PackageLoader, StrictUndefined
from msgspec import Struct

from streams.notify.notice import FOLLOW_UPS, Message, Notice, NotToldError
from streams.notify.wording import page_of, plain, text_of, title_of_message

PORTS: Final = {"smtp": 25, "starttls": 587, "smtps": 465}
TIMEOUT_S: Final = 30.0
PERMANENT: Final = 500
AUTHENTICATION: Final = frozenset({530, 534, 535, 538})
"""Refusals that somebody can mend here (RFC 4954, 6)."""
TEMPLATES: Final = Environment(
    loader=PackageLoader("streams.notify"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


class Server(Struct, frozen=True, kw_only=True):
    """A mail server. ``scheme``: smtp (unencrypted), starttls (encrypted or not at all), smtps. ``tls`` None: usual."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None


def server_of(url: str, user: str, password: str) -> Server:
    """Return the server that ``scheme://host[:port]`` names."""
    parts = urlsplit(url)
    port = parts.port or PORTS[parts.scheme]
    return Server(scheme=parts.scheme, host=parts.hostname or "localhost", port=port, user=user, password=password)


class Letterhead(Struct, frozen=True, kw_only=True):
    """What is the same on all messages: sender, all recipients, the fleet's name, where the web is found."""

    sender: str
    recipients: tuple[str, ...]
    fleet: str
    web_url: str


class MailChannel:
    """One recipient."""

    kind = "mail"
    bundles = True

    def __init__(self, server: Server, head: Letterhead, recipient: str) -> None:
        self.name = f"mail:{recipient}"
        self._server = server
        self._head = head
        self._recipient = recipient

    def takes(self, _notice: Notice) -> bool:
        """People get everything."""
        return True

    async def send(self, message: Message) -> None:
        """Hand a message over to the server. Raises ``NotToldError``."""
        body = letter(message, self._head).as_bytes()
        try:
            await self._hand_over(body)
        except aiosmtplib.SMTPResponseException as error:
            raise NotToldError(f"{self._server.host}: {_said(error)}", final=_is_final(error)) from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = error.recipients[0]
            raise NotToldError(f"{self._server.host}: {_said(refused)}", final=_is_final(refused)) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotToldError(f"{self._server.host}: {type(error).__name__}") from error

    async def aclose(self) -> None:
        """Nothing is held between messages."""

    async def _hand_over(self, body: bytes) -> None:
        server = self._server
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.scheme == "smtps",
            start_tls=server.scheme == "starttls",
            tls_context=server.tls,
            timeout=TIMEOUT_S,
        )
        try:
            await smtp.connect()
            if server.user:
                await smtp.login(server.user, server.password)
            await smtp.sendmail(self._head.sender, [self._recipient], body)
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await smtp.quit()  # the message is theirs already
        finally:
            smtp.close()


def _said(error: aiosmtplib.SMTPResponseException) -> str:
    return f"{error.code} {plain(error.message, 100)}"


def _is_final(error: aiosmtplib.SMTPResponseException) -> bool:
    return error.code >= PERMANENT and error.code not in AUTHENTICATION


def letter(message: Message, head: Letterhead) -> EmailMessage:
    """Return a message as e-mail, in text and HTML."""
    page = page_of(message, head.web_url)
    first = message.notices[0]
    mail = EmailMessage(SMTP)
    # the library decodes encoded words in what it is given, and writes the line breaks in them as such (CVE-2024-6923)
    mail["Subject"] = f"[{head.fleet}] {title_of_message(message)}".replace("=?", "= ?")
    mail["From"] = head.sender
    mail["To"] = ", ".join(head.recipients)
    mail["Date"] = datetime.fromtimestamp(first.at_ms / 1_000, UTC)
    mail["Message-ID"] = message_id(message.id, head)
    if first.kind in FOLLOW_UPS and not message.is_digest:
        mail["In-Reply-To"] = mail["References"] = message_id(first.about, head)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: out-of-office programs keep quiet
    mail.set_content(text_of(page), cte="quoted-printable")
    mail.add_alternative(TEMPLATES.get_template("mail.html").render(page=page), "html", cte="quoted-printable")
    return mail


def message_id(notice_id: str, head: Letterhead) -> str:
    """Return the Message-ID of a notice or digest."""
    return f"<{notice_id}.{head.fleet}@{head.sender.rpartition('@')[2]}>"
