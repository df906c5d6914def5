"""Notices as signed webhooks, in the form of Standard Webhooks.

    webhook-id: the notice's id           webhook-timestamp: seconds since 1970
    webhook-signature: v1,<base64 of HMAC-SHA256 over "id.timestamp.body">, one for each secret, by space

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import msgspec

from streams.core.errors import InputError
from streams.notify.notice import Message, Notice, NotToldError
from streams.notify.wording import links_of, title_of_message

ANSWER_S: Final = 15.0
PREFIX: Final = "whsec_"
SECRET_BYTES: Final = range(24, 65)
SECRETS_MAX: Final = 4
TYPES: Final = {
    "escalated": "escalation.opened",
    "resolved": "escalation.resolved",
    "auto_resolved": "escalation.auto_resolved",
    "approval_requested": "approval.requested",
    "approval_closed": "approval.closed",
}
FINAL: Final = frozenset({400, 405, 406, 410, 413, 414, 415, 422, 431})
"""Statuses after which the same message will be refused again; others somebody may mend."""


class WebhookChannel:
    """One address. ``http`` is a client of ``addresses``; ``clock_s`` is this host's clock."""

    kind = "webhook"
    bundles = True

    def __init__(
        self,
        url: str,
        secrets: Sequence[bytes],
        http: httpx2.AsyncClient,
        web_url: str,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        # paths of such addresses often are secrets, so the journal knows it by a hash
        self.name = f"webhook:{hashlib.sha256(url.encode()).hexdigest()[:16]}"
        self._url = url
        self._where = urlsplit(url).hostname or ""
        self._secrets = tuple(secrets)
        self._http = http
        self._web_url = web_url
        self._clock_s = clock_s

    def takes(self, _notice: Notice) -> bool:
        """Whoever is called gets everything."""
        return True

    async def send(self, message: Message) -> None:
        """Post a message, signed. Raises ``NotToldError``."""
        body = payload(message, self._web_url)
        headers = {
            "content-type": "application/json",
            "user-agent": "logmend",
            **signed(message.id, round(self._clock_s()), body, self._secrets),
        }
        response = await answered(self._http, "POST", self._url, headers, body, self._where)
        if not response.is_success:
            raise refused(self._where, response)

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._http.aclose()


async def answered(
    http: httpx2.AsyncClient, method: str, url: str, headers: Mapping[str, str], body: bytes, where: str
) -> httpx2.Response:
    """Return status and headers of an answer, whose body is not read. Raises ``NotToldError`` where there is none."""
    try:
        async with asyncio.timeout(ANSWER_S), http.stream(method, url, headers=headers, content=body) as response:
            return response
    except TimeoutError as error:
        raise NotToldError(f"{where}: no answer within {ANSWER_S:g} s") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise NotToldError(f"{where}: {type(error).__name__}") from error


def refused(where: str, response: httpx2.Response) -> NotToldError:
    """Return what an answer other than yes means."""
    said = f"{where}: status {response.status_code}"
    if response.is_redirect:
        said += ", redirects are not followed"
    return NotToldError(said, final=response.status_code in FINAL, retry_after_s=_asked_for(response.headers))


def _asked_for(headers: Mapping[str, str]) -> float:
    """Return the seconds that a server asks to be left alone for, 0 when it names none (RFC 9110, 10.2.3)."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return 0.0
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0


def payload(message: Message, web_url: str) -> bytes:
    """Return the body: type, time and data; of a digest the data are the notices' own bodies."""
    bodies = [_body(one, web_url) for one in message.notices]
    if not message.is_digest:
        return msgspec.json.encode(bodies[0])
    data = {"title": title_of_message(message), "notices": bodies}
    return msgspec.json.encode({"type": "digest", "timestamp": _stamp(message.notices[0]), "data": data})


def _body(notice: Notice, web_url: str) -> dict[str, Any]:
    data = {**msgspec.to_builtins(notice), "links": dict(links_of(notice, web_url))}
    return {"type": TYPES[notice.kind], "timestamp": _stamp(notice), "data": data}


def _stamp(notice: Notice) -> str:
    return datetime.fromtimestamp(notice.at_ms / 1_000, UTC).isoformat().replace("+00:00", "Z")


def signed(message_id: str, timestamp_s: int, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """Return the three headers of Standard Webhooks."""
    content = f"{message_id}.{timestamp_s}.".encode() + body
    marks = (base64.b64encode(hmac.digest(secret, content, "sha256")).decode() for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{mark}" for mark in marks),
    }


def secrets_of(path: Path) -> tuple[bytes, ...]:
    """Return the secrets in a file, ``whsec_<base64>`` a line; several while one is replaced by the next.

    Raises ``InputError`` when there is none, or one that is not of 24 to 64 bytes.
    """
    try:
        lines = [line.strip() for line in path.read_text("ascii").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the secret of webhooks can't be read: {type(error).__name__}") from error
    wanted = f"{path}: wanted {PREFIX}<base64 of 24 to 64 bytes> a line, 1 to {SECRETS_MAX} lines"
    if not 1 <= len(lines) <= SECRETS_MAX or not all(line.startswith(PREFIX) for line in lines):
        raise InputError(wanted)
    try:
        secrets = tuple(base64.b64decode(line.removeprefix(PREFIX), validate=True) for line in lines)
    except binascii.Error as error:
        raise InputError(wanted) from error
    if not all(len(secret) in SECRET_BYTES for secret in secrets):
        raise InputError(wanted)
    return secrets
