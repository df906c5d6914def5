from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from streams.ingest import levels
from tests.ingest.given import Given, cut, only
from tests.producers.test_corpus import tallied

APPS = Path(__file__).parent / "apps"
PATTERNS = {"connect()": "connection_refused", "order 19": "database_lock", "write failed": "disk_full"}


class Said(NamedTuple):
    """What an application logged, before any formatter saw it."""

    at_ms: int
    level: str
    message: str

    @property
    def pattern(self) -> str:
        """Return the pattern that the line shows."""
        return next((pattern for words, pattern in PATTERNS.items() if self.message.startswith(words)), "")


def run(*arguments: str) -> tuple[bytes, list[Said]]:
    """Run an application; return what it wrote, and what it meant."""
    done = subprocess.run([sys.executable, *arguments], cwd=APPS, capture_output=True, timeout=30, check=True)
    return done.stdout, [Said(**msgspec.json.decode(line)) for line in done.stderr.splitlines()]


APPLICATIONS = {
    "logging, as JSON by line": (("python_logging.py", "json"), "orders", "json", True),
    "structlog, as JSON by line": (("structlog_app.py",), "orders", "json", True),
    "logging, as text in one record": (("python_logging.py", "plain"), "orders-api", "key", False),
}


@pytest.mark.parametrize("name", APPLICATIONS)
def test_application(name: str) -> None:
    """What a running application logs comes to its own times, levels and service, each line once."""
    arguments, service, rule, by_line = APPLICATIONS[name]
    out, said = run(*arguments)
    now_ms = round(time.time() * 1000)
    values = out.splitlines() if by_line else [out]
    result = cut(*(Given(value, offset=n, key=b"orders-api", timestamp=now_ms) for n, value in enumerate(values)))
    piece = only(result)
    found = sorted((e.at_ms, e.service, e.severity, e.pattern, e.text.splitlines()[0]) for e in result.evidence)
    meant = sorted((s.at_ms, service, levels.of_value(s.level), s.pattern) for s in said if s.pattern)
    assert [row[:4] for row in found] == meant
    assert all(s.message in row[4] for s, row in zip(sorted(s for s in said if s.pattern), found, strict=True))
    assert {(d.service, d.service_rule) for d in piece.detections} == {(service, rule)}
    for s in said:
        assert tallied([piece])[s.at_ms - s.at_ms % 1000, service, levels.of_value(s.level), s.pattern]
    assert piece.lines == len([line for line in out.splitlines() if line])
