"""Certificates of the lab: an authority of its own, and servers' certificates that it signs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streams.workers.files import write_whole

AUTHORITY_NAME: Final = "lab authority"
SERVER_NAME: Final = "localhost"
VALID_DAYS: Final = 90


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(subject: str, key: ec.EllipticCurvePrivateKey, ends: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(AUTHORITY_NAME))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - timedelta(days=VALID_DAYS + 1))
        .not_valid_after(ends)
    )


def make_authority(path: Path) -> None:
    """Write a new authority: its certificate, which clients trust, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(AUTHORITY_NAME, key, datetime.now(UTC) + timedelta(days=VALID_DAYS))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    write_whole(path, _pem(builder.sign(key, hashes.SHA256()), key), 0o600)


def issue(authority: Path, path: Path, ends: datetime) -> None:
    """Write a new server certificate with its key, signed by an authority, that ends at a time."""
    data = authority.read_bytes()
    signer = serialization.load_pem_private_key(data, None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{authority} has another kind of key")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(SERVER_NAME, key, ends).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)]), critical=False
    )
    write_whole(path, _pem(builder.sign(signer, hashes.SHA256()), key), 0o600)
