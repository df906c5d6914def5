"""Documents that are generated from the tables and schemas they describe: ``python -m streams.documents``.

``--check`` compares the files with what they should be, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from streams.documents import asyncapi, materials, settings, topics

ROOT: Final = Path(__file__).parents[2]
"""The source tree: these documents are not part of an installation."""

DOCUMENTS: Final[Mapping[str, Callable[[], str]]] = {
    "docs/asyncapi.json": lambda: asyncapi.text(ROOT),
    "docs/settings.md": settings.text,
    "docs/topics.md": topics.text,
    "deploy/sbom.cdx.json": lambda: materials.text(ROOT),
}


def stale(root: Path = ROOT) -> Iterator[str]:
    """Yield the documents that are not what they should be."""
    for name, text in DOCUMENTS.items():
        path = root / name
        if not path.is_file() or path.read_text("utf-8") != text():
            yield name


def write(root: Path = ROOT) -> None:
    """Write all of them."""
    for name, text in DOCUMENTS.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text(), "utf-8")
