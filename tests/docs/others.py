"""Schemas of others, as ``vendored/README.md`` names them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

VENDORED = Path(__file__).parent / "vendored"


def schema(name: str) -> dict[str, Any]:
    """Return a schema by its name without the endings."""
    with gzip.open(VENDORED / f"{name}.schema.json.gz") as file:
        known: dict[str, Any] = json.load(file)
    return known


def faults(value: object, known: dict[str, Any]) -> Iterator[str]:
    """Yield what a schema says against a document, with where it stands."""
    for error in Draft7Validator(known).iter_errors(value):
        yield f"{error.json_path}: {error.message[:200]}"
