"""The table of decision kinds and the code that writes them agree."""

from __future__ import annotations

import re
from pathlib import Path

import streams.core
from streams.core.commands import COMMAND_KINDS
from streams.core.kinds import DECISION_KINDS

CORE = Path(streams.core.__file__).parent
WRITTEN = re.compile(
    r"(?:kind=|_draft\(course, |"
    r'about\(\w+, |_people\(turn, message, fact, |_report\(turn, incident, attempt, )"([a-z_]+)"'
)


def test_every_kind_that_is_written_is_explained() -> None:
    """What the core writes and what the table explains are the same kinds."""
    source = "\n".join(path.read_text("utf-8") for path in CORE.glob("*.py") if path.name != "kinds.py")
    source = (
        source.replace('"approval_requested" if asks else "commanded"', '"approval_requested"') + 'kind="commanded"'
    )
    assert set(WRITTEN.findall(source)) - set(COMMAND_KINDS) == set(DECISION_KINDS)
