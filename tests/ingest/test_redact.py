from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.ingest.redact import TEXT_CHARACTERS_MAX, Redactor

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


def test_secret_over_the_cut() -> None:
    """A secret that begins before the cut does not show its beginning."""
    text = "x" * (TEXT_CHARACTERS_MAX - 20) + " password=hunter2hunter2hunter2"
    assert "hunter2" not in Redactor().text(text)


@given(st.text(max_size=300))
def test_redacting_twice_changes_nothing(text: str) -> None:
    """What is redacted holds nothing more to redact."""
    once = Redactor().text(text)
    assert Redactor().text(once) == once
