"""How brokers are spoken to: where, in the clear or by TLS, and as which user."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from streams.core.errors import InputError
from streams.runtime.address import bootstrap
from streams.settings import Settings


def client(settings: Settings) -> dict[str, Any]:
    """Return what every client of aiokafka's takes for these settings: addresses, and what proves who we are.

    Raises ``InputError`` when no broker is known, a file can't be read or settings contradict each other.
    """
    check(settings)
    known: dict[str, Any] = {"bootstrap_servers": bootstrap(settings)}
    if settings.kafka_tls:
        known["ssl_context"] = _context(settings)
    if settings.kafka_user:
        known |= {
            "sasl_mechanism": settings.kafka_mechanism,
            "sasl_plain_username": settings.kafka_user,
            "sasl_plain_password": _password(settings.kafka_password_file),
        }
    transport = "SSL" if settings.kafka_tls else "PLAINTEXT"
    return known | {"security_protocol": f"SASL_{transport}" if settings.kafka_user else transport}


def check(settings: Settings) -> None:
    """Refuse what would be in force for nothing, or tell a password to anybody who listens: raises ``InputError``."""
    if (settings.kafka_tls or settings.kafka_user) and not settings.brokers:
        raise InputError("LOGMEND_KAFKA_TLS and LOGMEND_KAFKA_USER are for brokers of your own: set LOGMEND_BROKERS")
    files = (settings.kafka_ca_file, settings.kafka_certificate_file, settings.kafka_key_file)
    if any(files) and not settings.kafka_tls:
        raise InputError("there are certificates for Kafka, and LOGMEND_KAFKA_TLS is not true")
    if settings.kafka_key_file and not settings.kafka_certificate_file:
        raise InputError("LOGMEND_KAFKA_KEY_FILE needs LOGMEND_KAFKA_CERTIFICATE_FILE")
    if settings.kafka_password_file and not settings.kafka_user:
        raise InputError("there is a password for Kafka, and LOGMEND_KAFKA_USER is not set")
    if settings.kafka_user and not settings.kafka_password_file:
        raise InputError("LOGMEND_KAFKA_USER needs LOGMEND_KAFKA_PASSWORD_FILE")
    if settings.kafka_user and settings.kafka_mechanism == "PLAIN" and not settings.kafka_tls:
        raise InputError("PLAIN without TLS tells the password to whoever listens: set LOGMEND_KAFKA_TLS, or use SCRAM")


def _context(settings: Settings) -> ssl.SSLContext:
    """Return TLS that checks the broker's certificate and name, with a certificate of our own if there is one."""
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca_file)
        if settings.kafka_certificate_file:
            context.load_cert_chain(settings.kafka_certificate_file, settings.kafka_key_file)
    except OSError as error:  # ssl.SSLError is one
        raise InputError(f"the certificates for Kafka can't be used: {error.strerror or error}") from error
    return context


def _password(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"LOGMEND_KAFKA_PASSWORD_FILE={path}: can't be read") from error
