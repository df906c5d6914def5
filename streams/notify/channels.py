"""Which channels the settings name; what is wrong with them is said before anything is told."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from streams.core.errors import InputError
from streams.notify.addresses import client
from streams.notify.github import GitHubChannel, check_token
from streams.notify.mail import Letterhead, MailChannel, server_of
from streams.notify.notice import Channel
from streams.notify.webhook import WebhookChannel, secrets_of
from streams.runtime.redaction_key import redaction_key
from streams.settings import Settings


def is_configured(settings: Settings) -> bool:
    """Say whether anybody is to be told of anything."""
    return bool(settings.mail_to or settings.webhooks or settings.github_repo)


def channels_of(settings: Settings) -> list[Channel]:
    """Return a channel for each recipient, address and repository. Raises ``InputError`` when one can't be."""
    return [*_mail(settings), *_webhooks(settings), *_github(settings)]


def described(settings: Settings) -> str:
    """Return in a few words who is told. Raises ``InputError`` as ``channels_of``."""
    channels = channels_of(settings)
    kinds = {kind: sum(one.kind == kind for one in channels) for kind in ("mail", "webhook", "github")}
    words = {"mail": "recipient(s) of mail", "webhook": "webhook(s)", "github": "GitHub repository"}
    return ", ".join(f"{count} {words[kind]}" for kind, count in kinds.items() if count) or "nobody"


def _mail(settings: Settings) -> list[Channel]:
    if not settings.mail_to:
        return []
    server = server_of(settings.smtp_url, settings.smtp_user, _password(settings))
    if server.user and server.scheme == "smtp" and not _is_here(server.host):
        raise InputError("LOGMEND_SMTP_URL: a password is not sent unencrypted: use starttls:// or smtps://")
    head = Letterhead(
        sender=settings.mail_from, recipients=settings.mail_to, fleet=settings.fleet, web_url=settings.web_url
    )
    return [MailChannel(server, head, recipient) for recipient in dict.fromkeys(settings.mail_to)]


def _password(settings: Settings) -> str:
    if bool(settings.smtp_user) != bool(settings.smtp_password_file):
        raise InputError("LOGMEND_SMTP_USER and LOGMEND_SMTP_PASSWORD_FILE belong together: set both or neither")
    return _line(settings.smtp_password_file) if settings.smtp_password_file else ""


def _line(path: Path) -> str:
    try:
        line = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the password can't be read: {type(error).__name__}") from error
    if not line or len(line.splitlines()) > 1:
        raise InputError(f"{path}: wanted a password, in one line")
    return line


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _webhooks(settings: Settings) -> list[Channel]:
    if not settings.webhooks:
        return []
    if settings.webhook_secret_file is None:
        raise InputError("LOGMEND_WEBHOOK_SECRET_FILE: webhooks are signed: name a file with their secret")
    if not settings.webhook_private and any(url.startswith("http:") for url in settings.webhooks):
        raise InputError("LOGMEND_WEBHOOKS: https only, unless LOGMEND_WEBHOOK_PRIVATE=true allows private networks")
    secrets = secrets_of(settings.webhook_secret_file)
    return [
        WebhookChannel(url, secrets, client(private=settings.webhook_private), settings.web_url)
        for url in dict.fromkeys(settings.webhooks)
    ]


def _github(settings: Settings) -> list[Channel]:
    if not settings.github_repo:
        return []
    if settings.github_token_file is None:
        raise InputError("LOGMEND_GITHUB_TOKEN_FILE: name a file with a token that may write issues")
    check_token(settings.github_token_file)
    url = urlsplit(settings.github_url)
    if url.scheme != "https" and not _is_here(url.hostname or ""):
        raise InputError("LOGMEND_GITHUB_URL: a token is not sent unencrypted: use https://")
    http = httpx2.AsyncClient(follow_redirects=False, timeout=None)  # each request has a limit of its own
    key, token = redaction_key(settings), settings.github_token_file
    return [GitHubChannel(settings.github_url, settings.github_repo, token, key, settings.web_url, http)]
