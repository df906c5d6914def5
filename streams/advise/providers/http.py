"""One POST to a model's HTTP interface: bounded in time and size, redirects not followed, errors typed.

Nothing of what a server says is repeated but the type of its error, if that is a plain word: servers repeat keys.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, NoReturn, TypeVar

import httpx2
import msgspec

from streams.advise.providers.base import BadReplyError, FailedError, RateLimitedError, RefusedError, TimedOutError

BODY_BYTES_MAX: Final = 256 * 1024
"""An answer of the most tokens that are asked for is 20 KB, and the thoughts that some servers add as many again."""
CONNECT_SECONDS: Final = 5.0
HEADERS: Final = {
    "accept": "application/json",
    "accept-encoding": "identity",  # a packed chunk can be a thousand times its size: bodies are taken as they are sent
    "content-type": "application/json",
    "user-agent": "logmend",
}
OVERLOADED: Final = 529
"""Anthropic's and Bedrock's own status: busy with others."""
FOR_A_MOMENT: Final = frozenset({408, 409, 500, 502, 503, 504, OVERLOADED})
OURS_TO_MEND: Final = frozenset({401, 402, 403, 404})
"""Key, bill, permission, model: every question meets the same until somebody mends it."""
MONEY: Final = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "enforced_spend_limit_reached",
        "contract_spend_limit_reached",
        "linked_organization_spend_limit_reached",
    }
)
"""Words of a 429 that no waiting mends."""
FILTERED: Final = frozenset({"content_filter", "content_policy_violation"})
WORD: Final = re.compile(r"[a-z]+(_[a-z]+){0,5}")
WORD_CHARS_MAX: Final = 48

Reply = TypeVar("Reply")


class _Details(msgspec.Struct):
    error_code: Any = None


class _Error(msgspec.Struct):
    type: Any = None
    code: Any = None
    details: Any = None


class _Refusal(msgspec.Struct):
    error: _Error


def client() -> httpx2.AsyncClient:
    """Return a client that follows no redirects. Proxies and certificates are those of the environment."""
    # The time limit is that of each question; only a host that doesn't answer the door is given up sooner.
    return httpx2.AsyncClient(follow_redirects=False, timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS))


async def post(
    http: httpx2.AsyncClient,
    url: str,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    deadline_s: float,
    kind: type[Reply],
) -> Reply:
    """Send a request and return its answer as ``kind``. Raises ``NoAnswerError``."""
    headers = {**HEADERS, **headers}
    text = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    try:
        async with asyncio.timeout(deadline_s), http.stream("POST", url, headers=headers, content=text) as response:
            content = await _limited(response)
    except TimeoutError as error:
        raise TimedOutError(f"no answer within {deadline_s:.1f} s", down=True, billed=True) from error
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol) as error:
        raise FailedError(f"not reached: {type(error).__name__}", again=True, down=True) from error
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise FailedError(f"broke off: {type(error).__name__}", again=True, down=True, billed=True) from error
    if response.status_code != HTTPStatus.OK:
        _refuse(response, content)
    return _decoded(content, kind)


def _decoded(content: bytes, kind: type[Reply]) -> Reply:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadReplyError("the reply is not of the provider's format", down=True, billed=True) from error


async def _limited(response: httpx2.Response) -> bytes:
    """Return a response's body, unless it is longer than any answer."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise BadReplyError(f"the reply is longer than {BODY_BYTES_MAX} bytes", billed=True)
    return bytes(body)


def _refuse(response: httpx2.Response, content: bytes) -> NoReturn:
    """Raise what a status other than 200 means."""
    status = response.status_code
    words = _words(content)
    said = f"status {status}" + (f", {words[0]}" if words else "")
    again = response.headers.get("x-should-retry") != "false"  # both makers' own clients go by it
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        raise FailedError(f"{said}: redirects are not followed", down=True)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        again = again and MONEY.isdisjoint(words)
        raise RateLimitedError(said, retry_after_s=retry_after(response.headers), again=again)
    if not FILTERED.isdisjoint(words):
        raise RefusedError(said)
    raise FailedError(said, again=again and status in FOR_A_MOMENT, down=status in FOR_A_MOMENT | OURS_TO_MEND)


def _words(content: bytes) -> list[str]:
    """Return the plain words that an error is called by, the most exact one first."""
    try:
        error = msgspec.json.decode(content, type=_Refusal).error
        details = msgspec.convert(error.details or {}, _Details)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []
    named = (details.error_code, error.code, error.type)
    return [name for name in named if isinstance(name, str) and len(name) <= WORD_CHARS_MAX and WORD.fullmatch(name)]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to be left alone for, None when it says nothing that can be read.

    Source: RFC 9110, 10.2.3 (seconds or a date); ``retry-after-ms`` is OpenAI's and Azure's.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        return seconds if math.isfinite(seconds) and seconds >= 0 else None
    try:
        until = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, OverflowError):
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
