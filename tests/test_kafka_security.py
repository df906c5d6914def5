"""Brokers are spoken to as the settings say, and contradictions are named before anything is sent."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from streams.core.errors import InputError
from streams.runtime.security import client
from streams.settings import Settings

BROKERS = "kafka-1:9093"


def password(tmp_path: Path) -> Path:
    """Return a file with a password, and a line end as editors leave it."""
    path = tmp_path / "password"
    path.write_text("s3cret pass\n")
    return path


def test_a_broker_that_takes_anybody_is_spoken_to_in_the_clear() -> None:
    """Nothing set is no TLS and no user."""
    assert client(Settings(brokers=BROKERS)) == {"bootstrap_servers": BROKERS, "security_protocol": "PLAINTEXT"}


def test_a_user_is_proved_by_scram_over_tls(tmp_path: Path) -> None:
    """User and password go by SCRAM unless it is said otherwise; TLS checks certificate and name."""
    known = client(
        Settings(brokers=BROKERS, kafka_tls=True, kafka_user="detect", kafka_password_file=password(tmp_path))
    )
    context = known.pop("ssl_context")
    assert known == {
        "bootstrap_servers": BROKERS,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "detect",
        "sasl_plain_password": "s3cret pass",
    }
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"brokers": "", "kafka_tls": True}, "are for brokers of your own: set LOGMEND_BROKERS"),
        ({"kafka_ca_file": "/ca.pem"}, "LOGMEND_KAFKA_TLS is not true"),
        ({"kafka_tls": True, "kafka_ca_file": "/no/ca.pem"}, "can't be used: No such file"),
        ({"kafka_tls": True, "kafka_key_file": "/key.pem"}, "needs LOGMEND_KAFKA_CERTIFICATE_FILE"),
        ({"kafka_password_file": "/p"}, "LOGMEND_KAFKA_USER is not set"),
        ({"kafka_user": "detect"}, "needs LOGMEND_KAFKA_PASSWORD_FILE"),
        ({"kafka_user": "detect", "kafka_password_file": "/no/password"}, "/no/password: can't be read"),
        (
            {"kafka_user": "detect", "kafka_password_file": "/p", "kafka_mechanism": "PLAIN"},
            "PLAIN without TLS tells the password",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(given: dict[str, Any], says: str) -> None:
    """A setting that would be in force for nothing, and a file that is missing, are named."""
    with pytest.raises(InputError, match=says):
        client(Settings(**{"brokers": BROKERS, **given}))


def test_no_password_is_shown() -> None:
    """Settings name files: printing them tells no secret."""
    assert "password" not in repr(Settings(brokers=BROKERS)).replace("password_file", "")
