"""How long certificates are still valid: those in files, and those that servers show.

Loaded when one is asked for: few services have a certificate, and this takes a worker a third of its start.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from streams.workers.connections import address_of, hang_up

CERTIFICATE_BYTES_MAX: Final = 1 << 20
CERTIFICATE_SECONDS: Final = 3.0


def days_left_of(targets: Iterable[str]) -> list[float]:
    """Return the days until the certificates in files or behind addresses end; those that can't be read are left out.

    Not for a thread that runs an event loop: it runs one of its own.
    """
    return asyncio.run(_days(targets))


async def _days(targets: Iterable[str]) -> list[float]:
    found = []
    for target in targets:
        with contextlib.suppress(OSError, ValueError):  # a timeout is an OSError too
            async with asyncio.timeout(CERTIFICATE_SECONDS):
                found.append(days_left(await certificate_of(target)))
    return found


async def certificate_of(target: str) -> x509.Certificate:
    """Return the certificate in a file, or the one that ``host:port`` shows; ``OSError``, ``ValueError`` for none."""
    if target.startswith("/"):
        return x509.load_pem_x509_certificate(await asyncio.to_thread(_read, target))
    return x509.load_der_x509_certificate(await _shown(*address_of(target)))


def days_left(certificate: x509.Certificate) -> float:
    """Return the days until a certificate ends; below 0 when it has."""
    return (certificate.not_valid_after_utc - datetime.now(UTC)).total_seconds() / 86_400


def _read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(CERTIFICATE_BYTES_MAX)


async def _shown(host: str, port: int) -> bytes:
    """Return the certificate that a server shows, whoever it is: an untrusted one has an end too."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    try:
        data: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        await hang_up(writer)
    if not data:
        raise ValueError("the server shows no certificate")
    return data
