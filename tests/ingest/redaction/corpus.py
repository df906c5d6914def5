"""The corpus: two halves, each secret with every way that producers write its line."""

from __future__ import annotations

from functools import cache

from tests.ingest.redaction import held_out, second
from tests.ingest.redaction.making import Case, cases

SEED = 20_261_121


@cache
def half(name: str) -> tuple[Case, ...]:
    """Return the cases of ``held_out`` or ``second``."""
    return cases({"held_out": held_out.SHAPES, "second": second.SHAPES}[name], SEED)


def whole() -> tuple[Case, ...]:
    """Return all cases."""
    return half("held_out") + half("second")
