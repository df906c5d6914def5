from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.ingest import matcher
from streams.ingest.redact import RECORD_CHARACTERS_MAX, SPENT_CHARACTERS, TEXT_CHARACTERS_MAX, Redactor
from streams.ingest.secret_shapes import SHAPES, Shape
from streams.ingest.slicer import Slicer
from streams.topics import Topics
from tests.ingest.given import Given, cut, cut_values, only, records
from tests.ingest.redaction import corpus
from tests.ingest.redaction.making import Case

FRAGMENTS = (
    *(
        "password",
        "=",
        ":",
        " ",
        '"',
        "'",
        "\\",
        "token",
        " is ",
        "secret",
        "key",
        "_key",
        "Key",
        "auth",
        "cookie",
        "; ",
    ),
    *(
        "://",
        "u:",
        "@",
        "h/",
        "Ab3dEf6hIj9kLm2n",
        "hunter2!x",
        "4111",
        "1111 1111 1111",
        "--",
        "-u ",
        "-p",
        "mysql ",
        ", ",
    ),
    *(
        "eyJhbGciOi",
        ".eyJzdWIi",
        ".sig_",
        "Bearer ",
        "basic",
        "%20",
        "%3D",
        "&quot;",
        "<password>",
        "</",
        "é",
        "\n",
        "[",
        "]",
    ),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "sk-",
        "AK" + "IA",
        "$2b$10$",
        "session",
        "sid",
        "&code=",
    ),
    *("[value:0123456789ab]", "0123456789abcdef0123456789abcdef", "gh" + "p_", "hooks.slack.com/services/", "login x "),
)
"""What secrets are made of and stand in."""

SECRETS = {
    "password=hunter2!x": "hunter2",
    'DB_PASSWORD: "s3cr3t-pass"': "s3cr3t",
    "{'api_key': 'abcdef123456'}": "abcdef123456",
    "--client-secret=qwertyuiop": "qwertyuiop",
    "postgresql://user:p4ssw0rd@db.example.com:5432/x": "p4ssw0rd",
    "amqp://guest:gu3st@10.0.0.1//": "gu3st",
    "Authorization: Bearer abcDEF123.456-789_xyz": "abcDEF123",
    "authorization: Basic dXNlcjpwYXNzd29yZA==": "dXNlcjpw",
    "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl end": "eyJhbGci",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----": "MIIEow",
    "-----BEGIN PRIVATE KEY-----\nMIIEow and cut": "MIIEow",
    "key AKIAIOSFODNN7EXAMPLE": "AKIAIOSF",
    "pushed with ghp_abcdefghijklmnopqrstuvwxyz0123456789": "ghp_abc",
    "card 4111 1111 1111 1111 declined": "1111",
}


@pytest.mark.parametrize("text", SECRETS)
def test_secret_is_replaced(text: str) -> None:
    """No part of a secret is left, and a tag stands in its place."""
    shown = Redactor().text(text)
    assert SECRETS[text] not in shown
    assert ":" in shown
    assert "]" in shown


@pytest.mark.parametrize(
    "text",
    [
        "Failed password for root from 10.0.0.5 port 22 ssh2",
        "order 1234567890123456 shipped",
        "http://10.0.0.1:8080/path@x",
        "the secret is out",
        "2024-02-01T10:00:00.250Z pid=4711 took 12 ms",
        "tokens=0",
    ],
)
def test_harmless_text_is_kept(text: str) -> None:
    """What only sounds like a secret is left as it is."""
    assert Redactor().text(text) == text


def test_tags_are_stable_and_keyed() -> None:
    """Equal secrets have equal tags under one key and different ones under another."""
    first, second = Redactor(b"a").text("password=hunter2"), Redactor(b"a").text("x password=hunter2")
    assert second.endswith(first)
    assert Redactor(b"b").text("password=hunter2") != first


def test_equal_secrets_have_equal_tags_wherever_they_stand() -> None:
    """The digest is that of the secret alone: named, in an address, escaped, in a flag or in a sentence."""
    redactor = Redactor(b"a")
    texts = (
        "password=Hunter2!x",
        '{"password": "Hunter2!x"}',
        '{"body": "{\\"password\\": \\"Hunter2!x\\"}"}',
        "amqp://u:Hunter2!x@h/",
        "amqp://u:Hunter2%21x@h/",
        "tool --password Hunter2!x run",
        "curl -u me:Hunter2!x h",
        "my password is Hunter2!x",
        "<password>Hunter2!x</password>",
    )
    digests = {found for text in texts for found in re.findall(r":([0-9a-f]{12})\]", redactor.text(text))}
    assert len(digests) == 1


def test_a_key_has_one_tag_however_it_is_broken_into_lines() -> None:
    """The lines of a private key are joined by breaks, by escaped breaks or by syslog's; it is the same key."""
    body, redactor = ("MIIEpAIBAAKCAQEA7bq", "Zk3rT0vYw1xS9uQ2pLd"), Redactor(b"a")
    shown = {
        redactor.text(f"-----BEGIN PRIVATE KEY-----{between}{between.join(body)}{between}-----END PRIVATE KEY-----")
        for between in ("\n", "\\n", "\\\\n", "#012", "\r\n", " ")
    }
    assert len(shown) == 1


def test_cards_are_one_card_with_and_without_separators() -> None:
    """The digits of a card make its tag."""
    redactor = Redactor(b"a")
    assert (
        len({redactor.text(text) for text in ("4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111")}) == 1
    )


def test_a_tag_tells_nothing_without_the_key() -> None:
    """The tag of a common password is not its hash, keyed or not, by any key that stands in the source."""
    tag = re.findall(r":([0-9a-f]{12})\]", Redactor(b"k" * 32).text("password=hunter2"))[0]
    for guess in (b"", b"logmend", b"logmend.redact"):
        assert Redactor(guess).tag("value", "hunter2")[7:-1] != tag
        assert not hashlib.blake2b(b"hunter2", key=guess).hexdigest().startswith(tag)
    assert not hashlib.blake2b(b"hunter2", digest_size=6).hexdigest().startswith(tag)


def test_a_hundred_thousand_secrets_have_as_many_tags() -> None:
    """Tags are long enough: among a hundred thousand secrets no two share one."""
    redactor = Redactor(b"a")
    assert len({redactor.tag("value", f"secret-{number}") for number in range(100_000)}) == 100_000


@pytest.mark.parametrize("wrap", [lambda line: line, lambda line: json.dumps({"level": "error", "message": line})])
def test_a_key_over_several_records_leaves_no_line(wrap: Callable[[str], str]) -> None:
    """Of a private key that is sent line by line no whole line is left in what is stored."""
    body = [base64.b64encode(bytes((7 * line + 3 * at * at) % 256 for at in range(48))).decode() for line in range(20)]
    lines = ["-----BEGIN RSA PRIVATE KEY-----", *body, "-----END RSA PRIVATE KEY-----"]
    found = cut_values(*(wrap(line).encode() for line in ("ERROR bad key", *lines)))
    kept = "\n".join(one.text for one in found.evidence)
    assert not [line for line in body if line in kept]


def test_a_head_that_is_cut_shows_no_half_secret() -> None:
    """A long line that is shown with the lines after it ends at a word: no half of a key is taken for none."""
    token = "gh" + "p_" + "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb7d"
    for before in range(985, 1024):
        head = f"2026-11-21 10:00:00 ERROR {'x' * (before - 27)} {token} y"
        found = cut_values(f"{head}\n\tat a.B.c(B.java:1)\njava.lang.OutOfMemoryError: heap".encode())
        assert found.evidence
        assert not any(token[:8] in one.text for one in found.evidence)


@pytest.mark.parametrize("case", corpus.whole(), ids=lambda case: case.shape)
def test_redacting_the_corpus_twice_changes_nothing(case: Case) -> None:
    """What was redacted once holds nothing more to redact, so a tag never stands for a tag."""
    redactor = Redactor(b"a")
    once = redactor.text(case.line)
    assert redactor.text(once) == once


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
def test_the_scan_before_misses_nothing(text: str) -> None:
    """Whatever an expression would replace, the scan that chooses the expressions has chosen it."""
    redactor = Redactor(b"a")
    slow = text
    for substitute, replace in redactor._replace:
        slow = substitute(replace, slow)
    assert redactor.text(text) == slow


def _most(pattern: object) -> int:
    """Return how often the innermost part of an expression may be repeated, repeats within repeats multiplied."""
    most = 1
    for operation, argument in pattern:  # type: ignore[attr-defined]  # the parser's own nodes have no types
        name = str(operation)
        if name in {"MAX_REPEAT", "MIN_REPEAT"}:
            low, high, inner = argument
            within = _most(inner)
            most = max(most, within * (min(int(high), 4096) if int(high) > 1 else 1), low)
        elif name == "BRANCH":
            most = max(most, *(_most(one) for one in argument[1]))
        elif name in {"SUBPATTERN", "ASSERT", "ASSERT_NOT"}:
            most = max(most, _most(argument[-1]))
    return most


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.kind} {shape.judge} {shape.hint[:20]}")
def test_repeats_are_few(shape: Shape) -> None:
    """Repeats within repeats come to at most 40 000, a repeat without bound counted as 4096: none stands in another."""
    parsed = re._parser.parse(shape.exact.pattern, shape.exact.flags & ~re.UNICODE)  # type: ignore[attr-defined]
    assert _most(parsed) <= 40_000


def test_secret_over_the_cut() -> None:
    """A secret that begins before the cut does not show its beginning."""
    text = "x" * (TEXT_CHARACTERS_MAX - 20) + " password=hunter2hunter2hunter2"
    assert "hunter2" not in Redactor().text(text)


@pytest.mark.parametrize("tail", ["_KEY=" + "eyJ" * 1_000, "Set-Cookie: a=; " + "é; " * 900, "words, " * 300])
def test_a_record_has_a_limit_of_what_is_looked_at_and_kept(tail: str) -> None:
    """Of thousands of lines of one record the later ones are cut before the slow part; the next record's is whole."""
    lines = (f"2024-03-01T12:00:00Z h{number} s{number}: No space left on device {tail}" for number in range(2_000))
    result = cut(
        *records("\n".join(lines).encode(), f"password=hunter2hunter2 No space left on device {tail}".encode())
    )
    texts = [evidence.text for evidence in result.evidence if evidence.offset == 0]
    assert len(texts) > 1_500
    assert sum(map(len, texts)) < RECORD_CHARACTERS_MAX + TEXT_CHARACTERS_MAX + len(texts) * SPENT_CHARACTERS
    assert len(texts[0]) > SPENT_CHARACTERS >= len(texts[-1]) > 20
    assert len(result.evidence[-1].text) > SPENT_CHARACTERS


def test_what_is_cut_for_its_record_shows_no_half_secret() -> None:
    """Past the limit a text is cut between words, and its secrets are still tags; names are not cut."""
    redactor = Redactor()
    redactor.left_characters = 0
    text = "password=hunter2hunter2 " + "x" * 70 + " token: abcDEF123456abcDEF123456abcDEF123456"
    assert re.fullmatch(r"password=\[\w+:[0-9a-f]{12}\] x{70} token: ?", redactor.text(text))
    name = "password-service-" + "n" * 103
    assert redactor.name(name) == name


@given(st.one_of(st.text(max_size=300), st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)))
def test_redacting_twice_changes_nothing(text: str) -> None:
    """What is redacted holds nothing more to redact."""
    once = Redactor().text(text)
    assert Redactor().text(once) == once


def test_template_ids_tell_nothing_of_a_secret() -> None:
    """Lines that differ in their secret alone share a template, whatever the key: no secret can be tried out."""
    lines = [f"ERROR: something odd, password={word} given".encode() for word in ("hunterbravo", "correcthorse")]
    ids = {
        detection.template
        for key in (b"one", b"two")
        for line in lines
        for detection in only(cut(Given(line), by=Slicer(matcher.shipped(), Topics(), Redactor(key)))).detections
    }
    assert len(ids) == 1
    assert "" not in ids


@pytest.mark.parametrize("before", ["", "token=", "Bearer%20", "session_id_", "\\n", "x" * 90])
def test_web_tokens_are_found_inside_a_run(before: str) -> None:
    """A web token is a secret wherever it begins, and what stands before it stays."""
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF123_-x"
    text = Redactor().text(before + token)
    assert token[:12] not in text
    assert text.startswith(before)
