"""The injection corpus (``injection.toml``), and the canary that would tell if anything of it were run."""

from __future__ import annotations

import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

SIGN = "/CANARY"
"""Stands in the corpus for the executable that must not be run."""


class Hostile(NamedTuple):
    """A text of the corpus, and the places in which it is refused."""

    kind: str
    text: str
    places: frozenset[str]


@cache
def corpus() -> tuple[Hostile, ...]:
    """Return the whole corpus."""
    raw = tomllib.loads(Path(__file__).with_name("injection.toml").read_text("utf-8"))
    return tuple(
        Hostile(kind, one if isinstance(one, str) else one["text"] * one["times"], frozenset(table["refused_as"]))
        for kind, table in raw.items()
        for one in table["texts"]
    )


def refused_as(place: str) -> list[str]:
    """Return the texts that are refused in a place."""
    return [hostile.text for hostile in corpus() if place in hostile.places]


class Canary:
    """An executable that leaves a file when it is run."""

    def __init__(self, root: Path) -> None:
        self.path = root / "canary"
        self.path.write_text(f"#!{sys.executable} -IS\nimport sys\nopen(sys.argv[0] + '.ran', 'a').close()\n", "utf-8")
        self.path.chmod(0o755)

    def put(self, text: str) -> str:
        """Return a text of the corpus with this canary in it."""
        return text.replace(SIGN, str(self.path))

    def lives(self) -> bool:
        """Say whether nothing was run, and nothing written either."""
        return sorted(one.name for one in self.path.parent.glob("canary*")) == ["canary"]
