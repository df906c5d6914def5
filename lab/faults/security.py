"""Faults of security: certificates, credentials, permissions, and somebody who should not be there."""

from __future__ import annotations

import secrets

from lab.faults.base import Fault
from lab.furnish import signing_key, write_certificate
from lab.health import get
from lab.rogue import STRANGER
from lab.site import AUTH, GATE


class Expired(Fault):
    """The HTTPS server's certificate ended yesterday, and its customers turn away."""

    name = "expired"
    service = AUTH
    pattern = "tls_certificate"
    heals = "process.renew_certificate"
    tells = "the certificate of the HTTPS server has expired"

    def _break(self) -> None:
        self._pid()
        write_certificate(self.site, ends_in_days=-1.0)

    def _mend(self) -> None:
        write_certificate(self.site)


class Credential(Fault):
    """A rotation puts another signing key in place, and no customer's token is good any more."""

    name = "credential"
    service = AUTH
    pattern = "authentication_failure"
    heals = "process.rollback_config"
    tells = "customers' tokens are rejected after a rotation of the key"
    _good = b""

    def _break(self) -> None:
        self._pid()
        path = signing_key(self.site)
        self._good = path.read_bytes()
        path.write_bytes(secrets.token_bytes(len(self._good)))

    def _mend(self) -> None:
        signing_key(self.site).write_bytes(self._good)


class Permission(Fault):
    """The mode of the file with the roles leaves nobody any right."""

    name = "permission"
    service = AUTH
    pattern = "permission_denied"
    heals = "process.rollback_config"
    tells = "the HTTPS server may not read its roles"

    def _break(self) -> None:
        self._pid()
        (self.site.directory(AUTH) / "roles.json").chmod(0)

    def _mend(self) -> None:
        (self.site.directory(AUTH) / "roles.json").chmod(0o640)


class Intruder(Fault):
    """A stranger looks for holes, and the gate answers; healed is that customers are served and the stranger is not."""

    name = "intruder"
    service = GATE
    pattern = "security_intrusion"
    heals = "process.isolate"
    tells = "the gate answers somebody who looks for holes"

    def is_healthy(self) -> bool:
        """Say whether customers are served, and the stranger (while there is one) is not."""
        return super().is_healthy() and not (self._rogue is not None and self._is_answered())

    def _is_answered(self) -> bool:
        try:
            get(self.site.ports[GATE], "/health", source=STRANGER)
        except OSError:
            return False
        return True

    def _break(self) -> None:
        self._pid()
        self._let_in("scan", str(self.site.ports[GATE]))
        self._await_rogue()
