"""W3C Trace Context as producers send it with a line (https://www.w3.org/TR/trace-context/#traceparent-header)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

HEADER: Final = "traceparent"
_FORM: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
)


def traceparent(headers: Iterable[tuple[str, bytes | None]]) -> str:
    """Return the trace that a record's headers name, in the form of version 00; ``""`` when they name none.

    Later versions begin alike. Of the flags only *sampled* is known: the others are not passed on.
    """
    for name, value in headers:
        if name.lower() != HEADER:
            continue
        said = bytes(value or b"")
        found = _FORM.fullmatch(said)
        if found and (found[4] is None or not said.startswith(b"00")):
            sampled = int(found[3], 16) & 1
            return f"00-{found[1].decode()}-{found[2].decode()}-{sampled:02x}"
    return ""
