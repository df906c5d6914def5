"""One issue for each escalation, whatever happens, and nothing in it that is more than text."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx2
import pytest
from msgspec.structs import replace

from streams.core.errors import InputError
from streams.notify.github import GitHubChannel, check_token
from streams.notify.notice import NotToldError
from tests.notify.corpus import HOSTILE
from tests.notify.deciding import approval, escalated, message, notice
from tests.notify.serving import Site, said, serving
from tests.notify.test_cases import told

KEY = b"k" * 32


class Repository:
    """GitHub's issues of one repository, as far as its documentation says how they behave."""

    def __init__(self) -> None:
        self.issues: list[dict[str, Any]] = []
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.loses_answers = False
        """Does what it is asked, and never says so."""

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        site: Site = handler.server.site  # type: ignore[attr-defined] # put there below
        method, path, _, body = site.asked[-1]
        place, _, query = path.partition("?")
        number = re.search(r"/issues/(\d+)/comments$", place)
        rows = self.comments.setdefault(int(number[1]), []) if number else self.issues
        if method == "GET":
            page = int(re.search(r"[?&]page=(\d+)", f"?{query}")[1])  # type: ignore[index] # always there
            shown = rows if number else rows[::-1]
            said(shown[(page - 1) * 100 : page * 100])(handler)
            return
        rows.append({"number": len(rows) + 1, "created_at": "2027-01-15T08:00:00Z", **json.loads(body)})
        said({}, 500 if self.loses_answers else 201)(handler)


@asynccontextmanager
async def channel(site: Site, directory: Path, key: bytes = KEY) -> AsyncIterator[GitHubChannel]:
    """Return the channel to a repository."""
    token = directory / "token"
    token.write_text("github_pat_1\n")
    http = httpx2.AsyncClient(timeout=None)
    made = GitHubChannel(f"{site.url}/api/v3", "acme/shop", token, key, "https://web.example", http)
    try:
        yield made
    finally:
        await made.aclose()


@asynccontextmanager
async def github(directory: Path) -> AsyncIterator[tuple[GitHubChannel, Repository, Site]]:
    """Return a channel, the repository behind it, and its server."""
    repository = Repository()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.server.site = site  # type: ignore[attr-defined] # for the repository
        repository(handler)

    with serving(answer) as site:
        async with channel(site, directory) as made:
            yield made, repository, site


async def test_an_escalation_becomes_one_issue(tmp_path: Path) -> None:
    """However often it is sent; title, context and links are in it, and the token in the header."""
    async with github(tmp_path) as (made, repository, site):
        for _ in range(3):
            await made.send(message(notice(7)))
    (issue,) = repository.issues
    assert issue["title"] == "critical: process_crash on shop needs a person"
    assert "attempts used up" in issue["body"]
    assert "[Escalation](https://web.example/escalation/7)" in issue["body"]
    assert {headers["authorization"] for _, _, headers, _ in site.asked} == {"Bearer github_pat_1"}
    assert {path.partition("?")[0] for _, path, _, _ in site.asked} == {"/api/v3/repos/acme/shop/issues"}


async def test_an_issue_that_was_opened_unheard_is_found_again(tmp_path: Path) -> None:
    """Where the answer was lost, the next attempt opens no second one."""
    async with github(tmp_path) as (made, repository, _):
        repository.loses_answers = True
        with pytest.raises(NotToldError, match="status 500"):
            await made.send(message())
        await made.send(message())
    assert len(repository.issues) == 1


async def test_an_issue_is_found_behind_many_others(tmp_path: Path) -> None:
    """Also on the third page of the list."""
    async with github(tmp_path) as (made, repository, _):
        await made.send(message())
        new = {"created_at": "2027-01-15T09:00:00Z", "body": None}
        repository.issues += [{"number": number, **new} for number in range(2, 252)]
        await made.send(message())
    assert len(repository.issues) == 251


async def test_the_end_is_one_comment(tmp_path: Path) -> None:
    """On the issue of that escalation, however often it is sent."""
    async with github(tmp_path) as (made, repository, _):
        await made.send(message(notice(1)))
        await made.send(message(notice(2)))
        for _ in range(2):
            await made.send(message(replace(notice(2), id="1-9-0", kind="auto_resolved", reason="healed")))
    assert {number: len(rows) for number, rows in repository.comments.items()} == {2: 1}
    assert "healed" in repository.comments[2][0]["body"]


async def test_the_end_of_what_has_no_issue_is_a_failure(tmp_path: Path) -> None:
    """There is nothing to comment on."""
    async with github(tmp_path) as (made, _, _):
        with pytest.raises(NotToldError, match="not there") as caught:
            await made.send(message(replace(notice(2), id="1-9-0", kind="resolved")))
    assert caught.value.final


async def test_nobody_else_can_make_the_mark(tmp_path: Path) -> None:
    """An issue with a mark of another key keeps none from being opened."""
    async with github(tmp_path) as (made, repository, site):
        async with channel(site, tmp_path, b"x" * 32) as other:
            await other.send(message())
        await made.send(message())
    assert len(repository.issues) == 2


@pytest.mark.parametrize("hostile", [one for one in HOSTILE if "\ud800" not in one])
async def test_no_text_becomes_markdown(tmp_path: Path, hostile: str) -> None:
    """All of it stands in one fenced block, which it can't end; behind it are our links and the mark."""
    async with github(tmp_path) as (made, repository, _):
        await made.send(message(replace(notice(), service=hostile, reason=hostile, recommended=hostile)))
    (issue,) = repository.issues
    begin, *inside = issue["body"].split("\n")
    fence = begin.removesuffix("text")
    assert set(fence) == {"`"}
    end = inside.index(fence)
    assert not any(line.strip().startswith(fence) for line in inside[:end])
    behind = [line for line in inside[end + 1 :] if line]
    assert len(behind) == 3
    assert behind[2].startswith("<!-- logmend 1-1-0 ")
    assert "\n" not in issue["title"]


async def test_a_full_answer_without_sense_is_a_failure(tmp_path: Path) -> None:
    """What is no list of issues opens none."""
    with serving(said({"message": "?"})) as site:
        async with channel(site, tmp_path) as made:
            with pytest.raises(NotToldError, match="not of its format"):
                await made.send(message())
    assert len(site.asked) == 1


async def test_who_needs_a_yes_gets_no_issue(tmp_path: Path) -> None:
    """A request for approval is over before anybody looks."""
    async with github(tmp_path) as (made, _, _):
        assert [made.takes(one) for one in told(escalated(1), approval(2, incident="b"))] == [True, False]


def test_a_file_without_a_token_is_refused(tmp_path: Path) -> None:
    """Empty, of several lines, or missing."""
    path = tmp_path / "token"
    for text in ("", "a\nb", "ü"):
        path.write_text(text)
        with pytest.raises(InputError):
            check_token(path)
    with pytest.raises(InputError, match="can't be read"):
        check_token(tmp_path / "none")
