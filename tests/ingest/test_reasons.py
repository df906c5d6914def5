"""What people read of dead letters is what the program says."""

from __future__ import annotations

from pathlib import Path

from streams.ingest.formats import reasons

README = Path(reasons.__file__).parents[1] / "README.md"


def table() -> list[str]:
    """Return the rows of the table of reasons: every family, then what can be said of some reasons alone."""
    families = [f"| `{name}` | {found.means} | {found.remedy} |" for name, found in reasons.FAMILIES.items()]
    return families + [f"| `{beginning}` | | {remedy} |" for beginning, remedy in reasons.REMEDIES.items()]


def test_the_table_of_reasons() -> None:
    """The documentation's table has each family of reasons and each remedy word by word, and no other row."""
    section = README.read_text().partition("\n## Dead letters\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == table()
