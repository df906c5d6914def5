"""What every decoder returns: lines that are read already, or objects that are read as JSON."""

from __future__ import annotations

from typing import Any, Final

from streams.ingest.json_lines import Read

Item = Read | dict[str, Any]
"""One line of a record: what was read of it, or an object whose fields ``JsonReader`` tells."""

LINES_MAX: Final = 8_704
"""How many lines a decoder makes of one record. A record is cut off at 8 192 (``lines.RECORD_LINES_MAX``), which is
looked at every 256 lines, so that decoders must make a few more."""

BLANK_TEXT: Final = b"{}"
"""The text of a line that says nothing at all: it is counted all the same."""


def line(text: bytes, service: tuple[str, str], host: str, level: str, at_ms: int) -> Read:
    """Return a line; ``service`` is (name, rule). ``""`` and 0 stand for what was not said. The text is never empty."""
    return text or BLANK_TEXT, *service, host, level, at_ms
