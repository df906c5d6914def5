"""A notice in words: a title, and sections of labelled rows that text, HTML and GitHub all show.

Names and reasons may go back to what somebody wrote into a log. They become one line each, without anything that a
terminal, a header or a reading direction could take for more than text.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from streams.notify.notice import APPROVALS, FOLLOW_UPS, Message, Notice

VALUE_CHARACTERS_MAX: Final = 500
TITLE_CHARACTERS_MAX: Final = 150
SPACED: Final = frozenset({"Cc", "Zl", "Zp", "Zs"})
STRANGE: Final = frozenset({"Cf", "Cs", "Co", "Cn"})
"""Unicode categories: the former become a space, the latter (bidirectional marks, half characters) a sign for it."""


class Section(Struct, frozen=True):
    """Rows under a heading, each a label and a value."""

    title: str
    rows: tuple[tuple[str, str], ...]


class Page(Struct, frozen=True):
    """What is shown of a message; ``links`` are of our own web, each with its label."""

    title: str
    lead: str
    sections: tuple[Section, ...]
    links: tuple[tuple[str, str], ...]


def plain(text: str, characters_max: int = VALUE_CHARACTERS_MAX) -> str:
    """Return a text as one line of visible characters, cut off if it is longer."""
    kept = text[: characters_max + 1]
    seen = "".join(_shown(one) for one in kept)
    line = " ".join(seen.split())
    return line if len(text) <= characters_max else f"{line[: characters_max - 1]}…"


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    return " " if category in SPACED else "\ufffd" if category in STRANGE else character


def title_of(notice: Notice) -> str:
    """Return what a notice is about, in one line."""
    what = f"{notice.pattern} on {notice.service}"
    match notice.kind:
        case "escalated":
            said = f"{notice.severity}: {what} needs a person"
        case "approval_requested":
            said = f"{notice.severity}: {notice.action} for {what} waits for a yes"
        case "resolved":
            said = f"resolved: {what}"
        case "auto_resolved":
            said = f"over by itself: {what}"
        case "approval_closed":
            said = f"waits for no yes any more: {what}"
    return plain(said, TITLE_CHARACTERS_MAX)


def title_of_message(message: Message) -> str:
    """Return what a message is about, in one line."""
    if not message.is_digest:
        return title_of(message.notices[0])
    count = sum(one.kind not in FOLLOW_UPS for one in message.notices)
    return f"{len(message.notices)} notices at once, {count} of them wait for a person"


def page_of(message: Message, web_url: str) -> Page:
    """Return what is shown of a message; ``web_url`` is where our web is found, ``""`` when nobody said."""
    if message.is_digest:
        return _digest(message, web_url)
    notice = message.notices[0]
    sections = [Section("Issue", _issue(notice))]
    if notice.kind == "approval_requested":
        sections.append(Section("Would be done, once a person agrees", _asked(notice)))
    if notice.tried:
        sections.append(Section("Tried before", tuple((plain(one.action), plain(one.outcome)) for one in notice.tried)))
    if notice.votes or notice.consensus:
        sections.append(Section("Advisors", _advisors(notice)))
    if notice.recommended and notice.kind not in FOLLOW_UPS:
        sections.append(Section("Recommended", (("action", plain(notice.recommended)),)))
    sections.append(Section("Ids", _ids(notice)))
    return Page(title_of(notice), plain(notice.reason), tuple(sections), links_of(notice, web_url))


def links_of(notice: Notice, web_url: str) -> tuple[tuple[str, str], ...]:
    """Return where our web shows more of a notice."""
    if not web_url:
        return ()
    base = web_url.rstrip("/")
    if notice.kind == "approval_requested":
        return ("Answer it", f"{base}/approvals"), ("Why", f"{base}/why/{notice.about}")
    if notice.kind == "approval_closed":
        return (("Why", f"{base}/why/{notice.id}"),)
    return ("Escalation", f"{base}/escalation/{notice.number}"), ("Why", f"{base}/why/{notice.id}")


def text_of(page: Page) -> str:
    """Return a page as text."""
    lines = [page.title, *([page.lead] if page.lead else [])]
    for section in page.sections:
        width = max((len(label) for label, _ in section.rows), default=0)
        lines += ["", section.title, *(f"  {label.ljust(width)}  {value}".rstrip() for label, value in section.rows)]
    if page.links:
        lines += ["", *(f"{label}: {url}" for label, url in page.links)]
    return "\n".join(lines) + "\n"


def moment(at_ms: int) -> str:
    """Return a time of the broker's clock in UTC."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _digest(message: Message, web_url: str) -> Page:
    rows = tuple((moment(one.at_ms), f"{title_of(one)} ({plain(one.about)})") for one in message.notices)
    lead = "There were too many within a minute to send each by itself."
    links = (("Escalations", f"{web_url.rstrip('/')}/"),) if web_url else ()
    return Page(title_of_message(message), lead, (Section("Notices", rows),), links)


def _issue(notice: Notice) -> tuple[tuple[str, str], ...]:
    rows = (
        ("service", notice.service),
        ("host", notice.host),
        ("pattern", notice.pattern),
        ("category", notice.category),
        ("severity", notice.severity),
        ("lines", str(notice.lines)),
        ("phase", str(notice.phase)),
        ("since", moment(notice.opened_ms)),
        ("told of", moment(notice.at_ms)),
    )
    return tuple((label, plain(value)) for label, value in rows if value)


def _asked(notice: Notice) -> tuple[tuple[str, str], ...]:
    arguments = tuple((plain(name), plain(value)) for name, value in notice.arguments)
    return (("action", plain(notice.action)), ("risk", f"{notice.risk:.2f}"), *arguments)


def _advisors(notice: Notice) -> tuple[tuple[str, str], ...]:
    votes = tuple((plain(one.advisor), f"{plain(one.said)} ({one.confidence:.2f})") for one in notice.votes)
    if not notice.consensus:
        return votes
    sure = "" if notice.confidence is None else f" ({notice.confidence:.2f})"
    return (*votes, ("together", plain(notice.consensus) + sure))


def _ids(notice: Notice) -> tuple[tuple[str, str], ...]:
    about = "approval" if notice.kind in APPROVALS else "escalation"
    return (("incident", plain(notice.incident)), (about, plain(notice.about)), ("decision", plain(notice.id)))
