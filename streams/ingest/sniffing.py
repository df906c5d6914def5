"""What a record is when it is no JSON, and whose it is when its lines don't say."""

from __future__ import annotations

from typing import Final

from streams.ingest import identity
from streams.ingest.formats.reasons import BINARY
from streams.ports import Record

SNIFFED_BYTES: Final = 2048
_TEXT: Final = bytes({0, 9, 10, 12, 13, 27} | (set(range(32, 256)) - {127}))
_CONTROLS_SHARE_MAX: Final = 0.05
_SERVICE_HEADERS: Final = frozenset({"service", "service.name", "x-service"})
_HOST_HEADERS: Final = frozenset({"host", "hostname", "host.name"})
_FILE_HEADERS: Final = frozenset({"file", "filename", "log.file.path"})
_REMEMBERED_MAX: Final = 4096


def unreadable(value: bytes) -> str:
    """Return why bytes are no text, or ``""``. NULs, bad UTF-8 and colours are text that survives."""
    sample = value[:SNIFFED_BYTES]
    controls = len(sample.translate(None, _TEXT))
    return BINARY if controls > len(sample) * _CONTROLS_SHARE_MAX else ""


class Fallbacks:
    """The service and host that a record's header, file, key or topic give; remembered by key."""

    def __init__(self) -> None:
        self._services: Final[dict[tuple[str, bytes | None], tuple[str, str]]] = {}

    def service(self, record: Record) -> tuple[str, str]:
        """Return (service, rule) by header, file stem, record key or topic, the first that gives a name."""
        if record.headers:
            name = self.header(record)
            if name:
                return name, "header"
            name = identity.of_file(_header(record, _FILE_HEADERS))
            if name:
                return name, "file"
        known = (record.topic, record.key)
        found = self._services.get(known)
        if found is None:
            if len(self._services) >= _REMEMBERED_MAX:
                self._services.clear()
            found = self._services[known] = _by_key(record)
        return found

    def header(self, record: Record) -> str:
        """Return the service that a header gives, or ``""``."""
        return identity.declared(_header(record, _SERVICE_HEADERS))

    def host(self, record: Record) -> str:
        """Return the host that a header gives, or ``""``."""
        return _header(record, _HOST_HEADERS)


def _by_key(record: Record) -> tuple[str, str]:
    name = identity.of_key(record.key) if record.key else ""
    return (name, "key") if name else (identity.declared(record.topic), "topic")


def _header(record: Record, names: frozenset[str]) -> str:
    for name, value in record.headers:
        if name in names and value:
            return value.decode("utf-8", "replace")[: identity.NAME_MAX * 2]
    return ""
