"""What a scenario came to: typed figures, the claims they bear out or not, and tables for people."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.text import Text

from lab.display import WIDE, table


class Claim(Struct, frozen=True, kw_only=True):
    """One sentence that a run must bear out, what was found, and whether it did."""

    says: str
    found: str
    holds: bool


class Table(Struct, frozen=True, kw_only=True):
    """Rows for people; a cell is printed as ``str`` has it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


class Report(Struct, frozen=True, kw_only=True):
    """What every scenario reports; each adds its own figures, which ``tables`` shows."""

    scenario: str
    seconds: float
    claims: tuple[Claim, ...]

    @property
    def ok(self) -> bool:
        """Whether there are claims and all of them hold."""
        return bool(self.claims) and all(claim.holds for claim in self.claims)

    def tables(self) -> tuple[Table, ...]:
        """Return the scenario's figures as tables."""
        return ()

    def as_json(self) -> bytes:
        """Return the verdict and all figures as one JSON object."""
        return msgspec.json.encode({"ok": self.ok, **msgspec.to_builtins(self)})


def show(console: Console, report: Report) -> None:
    """Print the tables, each claim with what was found, and the verdict; where there is no terminal, unfolded."""
    if not console.is_terminal:
        console = Console(file=console.file, width=WIDE)
    for one in report.tables():
        console.print()
        console.print(table(one.columns, one.rows, one.title))
    console.print()
    claims = ((claim.says, claim.found, "holds" if claim.holds else "DOES NOT HOLD") for claim in report.claims)
    console.print(table(("claim", "found", ""), claims, "Claims"))
    console.print()
    held = sum(claim.holds for claim in report.claims)
    verdict = f"{report.scenario}: {held} of {len(report.claims)} claims hold, in {report.seconds:.0f} s."
    console.print(Text(verdict, style="bold green" if report.ok else "bold red"))
