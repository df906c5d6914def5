"""An issue on GitHub for each escalation, and a comment on it once that is over. Off unless a repository is named.

An issue is known again by a mark in its body, made with this installation's key: nobody else can make one, and so
nobody can keep an issue from being opened. Issues are listed, not searched: the search is minutes behind.

Source: GitHub REST API, "Issues", "Issue comments", version 2022-11-28.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
from msgspec import Struct

from streams.core.errors import InputError
from streams.notify.notice import APPROVALS, FOLLOW_UPS, Message, Notice, NotToldError
from streams.notify.webhook import ANSWER_S, refused
from streams.notify.wording import page_of, text_of, title_of

VERSION: Final = "2022-11-28"
PER_PAGE: Final = 100
PAGES_MAX: Final = 50
BODY_BYTES_MAX: Final = 16 * 1024 * 1024
"""A hundred issues of the 65 536 characters that GitHub takes, and what stands around them."""
BEFORE_MS: Final = 3_600_000
"""How far GitHub's clock may be behind the broker's."""
TOKEN: Final = re.compile(r"[!-~]{1,512}")


class _Found(Struct):
    number: int = 0
    body: str | None = None
    created_at: str = ""


class GitHubChannel:
    """One repository, ``owner/name``. ``key`` makes the marks; ``token`` is a file, read for each message."""

    kind = "github"
    bundles = False

    def __init__(
        self, api_url: str, repo: str, token: Path, key: bytes, web_url: str, http: httpx2.AsyncClient
    ) -> None:
        self.name = f"github:{repo}"
        self._issues = f"{api_url.rstrip('/')}/repos/{repo}/issues"
        self._token = token
        self._key = key
        self._web_url = web_url
        self._http = http

    def takes(self, notice: Notice) -> bool:
        """Escalations become issues; what waits for a yes only minutes does not."""
        return notice.kind not in APPROVALS

    async def send(self, message: Message) -> None:
        """Open an issue or comment on one, unless that was done before. Raises ``NotToldError``."""
        (notice,) = message.notices
        headers = self._headers()
        issue = await self._find(headers, self._issues, notice.about, notice.opened_ms)
        if notice.kind not in FOLLOW_UPS:
            if issue is None:
                await self._ask(headers, "POST", self._issues, {"title": title_of(notice), "body": self._body(notice)})
            return
        if issue is None:
            raise NotToldError("GitHub: its issue is not there", final=True)
        comments = f"{self._issues}/{issue.number}/comments"
        if await self._find(headers, comments, notice.id, notice.at_ms) is None:
            await self._ask(headers, "POST", comments, {"body": self._body(notice)})

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    def _body(self, notice: Notice) -> str:
        """Return text in a fence that it can't end, links (ours), and the mark."""
        page = page_of(Message(id=notice.id, notices=(notice,)), self._web_url)
        text = text_of(msgspec.structs.replace(page, links=()))
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
        links = "".join(f"\n[{label}]({url})" for label, url in page.links)
        return f"{fence}text\n{text}{fence}\n{links}\n\n{self._mark(notice.id)}\n"

    def _mark(self, decision_id: str) -> str:
        code = hmac.digest(self._key, f"github issue {decision_id}".encode(), "sha256").hex()[:32]
        return f"<!-- logmend {decision_id} {code} -->"

    def _headers(self) -> dict[str, str]:
        return {
            "accept": "application/vnd.github+json",
            "accept-encoding": "identity",
            "authorization": f"Bearer {token_of(self._token)}",
            "content-type": "application/json",
            "user-agent": "logmend",
            "x-github-api-version": VERSION,
        }

    async def _find(self, headers: Mapping[str, str], url: str, decision_id: str, since_ms: int) -> _Found | None:
        """Return the issue or comment with a decision's mark, made at ``since_ms`` or later; None for none."""
        mark = self._mark(decision_id)
        async for one in self._listed(headers, url, since_ms - BEFORE_MS):
            if mark in (one.body or ""):
                return one
        return None

    async def _listed(self, headers: Mapping[str, str], url: str, since_ms: int) -> AsyncIterator[_Found]:
        since = datetime.fromtimestamp(max(since_ms, 0) / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for page in range(1, PAGES_MAX + 1):
            query = f"state=all&sort=created&direction=desc&since={since}&per_page={PER_PAGE}&page={page}"
            found = await self._ask(headers, "GET", f"{url}?{query}")
            for one in found:
                yield one
            if len(found) < PER_PAGE or found[-1].created_at < since:
                return
        raise NotToldError(f"GitHub: more than {PAGES_MAX * PER_PAGE} issues since then")

    async def _ask(
        self, headers: Mapping[str, str], method: str, url: str, body: Mapping[str, Any] | None = None
    ) -> list[_Found]:
        """Return the issues or comments of an answer."""
        content = None if body is None else msgspec.json.encode(body)
        try:
            async with (
                asyncio.timeout(ANSWER_S),
                self._http.stream(method, url, headers=headers, content=content) as response,
            ):
                if response.status_code not in {HTTPStatus.OK, HTTPStatus.CREATED}:
                    raise refused("GitHub", response)
                answer = await _limited(response)
        except TimeoutError as error:
            raise NotToldError(f"GitHub: no answer within {ANSWER_S:g} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise NotToldError(f"GitHub: {type(error).__name__}") from error
        if method != "GET":
            return []  # what was made is found by its mark
        try:
            return msgspec.json.decode(answer, type=list[_Found])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise NotToldError("GitHub: the answer is not of its format") from error


async def _limited(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise NotToldError("GitHub: the answer is too long")
    return bytes(body)


def token_of(path: Path) -> str:
    """Return the token in a file. Raises ``NotToldError`` when there is none."""
    try:
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotToldError(f"{path}: the token can't be read: {type(error).__name__}") from error
    if not TOKEN.fullmatch(token):
        raise NotToldError(f"{path} holds no token")
    return token


def check_token(path: Path) -> None:
    """Raise ``InputError`` when a file holds no token."""
    try:
        token_of(path)
    except NotToldError as error:
        raise InputError(str(error)) from error
