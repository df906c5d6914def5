"""Mail says everything, as text only, to a real server, encrypted where it is told to."""

from __future__ import annotations

import html.parser
import socket
from email import message_from_bytes
from email.policy import default

import pytest
from msgspec.structs import replace

from streams.notify.mail import Letterhead, MailChannel, Server, letter, server_of
from streams.notify.notice import Message, NotToldError, Tried, Vote
from streams.notify.wording import plain
from tests.notify.corpus import HOSTILE
from tests.notify.deciding import message, notice
from tests.notify.serving import Post, Tls, posting

HEAD = Letterhead(
    sender="logmend@example.org",
    recipients=("eva@example.org", "max@example.org"),
    fleet="prod",
    web_url="https://logmend.example.org/ops",
)
EVA = "eva@example.org"


def channel(post: Post, scheme: str = "smtp", tls: Tls | None = None, **more: str) -> MailChannel:
    """Return the channel to eva over a server."""
    context = tls.client if tls else None
    server = Server(scheme=scheme, host="localhost", port=post.port, tls=context, **more)
    return MailChannel(server, HEAD, EVA)


async def test_the_whole_context_arrives_in_text_and_html() -> None:
    """Issue, what was tried, votes, recommendation, links and ids are in both parts."""
    full = replace(
        notice(7),
        tried=(Tried(id="1-2-0", action="process.restart", outcome="the symptom came back"),),
        votes=(Vote(advisor="root_cause", said="process.rollback_config", confidence=0.8),),
        consensus="2 of 3: process.rollback_config",
        confidence=0.7,
        recommended="process.rollback_config",
    )
    with posting() as post:
        await channel(post).send(message(full))
    ((sender, recipients, mail),) = post.letters
    assert (sender, recipients) == ("logmend@example.org", [EVA])
    assert mail["To"] == "eva@example.org, max@example.org"
    assert mail["Subject"] == "[prod] critical: process_crash on shop needs a person"
    assert mail["Message-ID"] == "<1-7-0.prod@example.org>"
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert page is not None
    said = (
        *("attempts used up", "shop", "h1", "process_crash", "critical", "process.restart", "the symptom came back"),
        *("root_cause", "process.rollback_config (0.80)", "2 of 3: process.rollback_config (0.70)", "Recommended"),
        *("https://logmend.example.org/ops/escalation/7", "https://logmend.example.org/ops/why/1-7-0", "1-40-0"),
    )
    assert [one for one in said if one not in text.get_content()] == []
    assert [one for one in said if one not in page.get_content()] == []


def test_a_repeat_is_the_same_message_and_a_follow_up_belongs_to_the_first() -> None:
    """The Message-ID is the notice's; of its end, the first one's is named in References."""
    first, again = letter(message(), HEAD), letter(message(), HEAD)
    assert (first["Message-ID"], first["Date"]) == (again["Message-ID"], again["Date"])
    end = replace(notice(), id="1-9-0", kind="auto_resolved")
    follow_up = letter(message(end), HEAD)
    assert follow_up["Message-ID"] != first["Message-ID"]
    assert follow_up["References"] == follow_up["In-Reply-To"] == first["Message-ID"]


def test_a_digest_names_each_notice() -> None:
    """Each escalation is a row with its id."""
    mail = letter(Message(id="digest-1-1-0", notices=tuple(notice(number) for number in range(150))), HEAD)
    text = mail.get_body(("plain",))
    assert text is not None
    assert [number for number in range(150) if f"(1-{number}-0)" not in text.get_content()] == []
    assert mail["Subject"] == "[prod] 150 notices at once, 150 of them wait for a person"


class _Elements(html.parser.HTMLParser):
    """Lists the elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_becomes_a_header_or_markup(hostile: str) -> None:
    """Whatever names and reasons hold, headers, parts and elements are those of harmless ones."""

    def mail_of(text: str) -> tuple[list[str], list[tuple[str, tuple[str, ...]]], str]:
        one = replace(
            notice(),
            service=text,
            host=text,
            pattern=text,
            reason=text,
            recommended=text,
            tried=(Tried(id="1-2-0", action=text, outcome=text),),
            votes=(Vote(advisor=text, said=text, confidence=0.5),),
        )
        mail = message_from_bytes(letter(message(one), HEAD).as_bytes(), policy=default)
        page, body = mail.get_body(("html",)), mail.get_body(("plain",))
        assert page is not None
        assert body is not None
        elements = _Elements()
        elements.feed(page.get_content())
        assert mail["To"] == "eva@example.org, max@example.org"
        assert plain(text)[:40] in body.get_content()
        return mail.keys(), elements.found, mail["Subject"]

    headers, elements, subject = mail_of(hostile)
    harmless, same, _ = mail_of("harmless")
    assert headers == harmless
    assert elements == same
    assert subject.strip().startswith("[prod] critical: ")


async def test_starttls_and_a_password(tls: Tls) -> None:
    """With starttls:// all is encrypted before anything is said, and the user logs in."""
    with posting(tls, auth=True) as post:
        await channel(post, "starttls", tls, user="me", password="secret").send(message())
    assert (post.logins, post.encrypted) == ([b"me"], [True])


async def test_encrypted_from_the_start(tls: Tls) -> None:
    """smtps:// is encrypted from the first byte on."""
    with posting(tls, at_once=True) as post:
        await channel(post, "smtps", tls).send(message())
    assert len(post.letters) == 1


async def test_who_offers_no_encryption_gets_nothing() -> None:
    """starttls:// does not fall back to plain text."""
    with posting() as post, pytest.raises(NotToldError):
        await channel(post, "starttls", user="me", password="secret").send(message())
    assert (post.letters, post.logins) == ([], [])


async def test_a_certificate_that_nobody_vouches_for_ends_it(tls: Tls) -> None:
    """Nothing is sent to a server that proves nothing."""
    with posting(tls) as post, pytest.raises(NotToldError):
        await channel(post, "starttls").send(message())
    assert post.letters == []


async def test_a_wrong_password_can_be_mended(tls: Tls) -> None:
    """It is no reason to give a message up."""
    with posting(tls, auth=True) as post, pytest.raises(NotToldError, match="535") as caught:
        await channel(post, "starttls", tls, user="me", password="wrong").send(message())
    assert not caught.value.final


@pytest.mark.parametrize(("answer", "final"), [("450 come again", False), ("550 no such person", True)])
async def test_a_refused_recipient_is_a_failure(answer: str, final: bool) -> None:  # noqa: FBT001 - a table
    """What the server says decides whether it is tried for long."""
    with posting() as post:
        post.refuse[EVA] = answer
        with pytest.raises(NotToldError, match=answer) as caught:
            await channel(post).send(message())
    assert caught.value.final is final


async def test_a_server_that_is_not_there_is_a_failure() -> None:
    """It is tried again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        post = Post()
        post.port = probe.getsockname()[1]
        with pytest.raises(NotToldError):
            await channel(post).send(message())


def test_ports_are_those_of_the_scheme() -> None:
    """Where none is given."""
    ports = [server_of(f"{scheme}://mail.example.org", "", "").port for scheme in ("smtp", "starttls", "smtps")]
    assert ports == [25, 587, 465]
    assert server_of("smtp://[::1]:2525", "", "").port == 2525
