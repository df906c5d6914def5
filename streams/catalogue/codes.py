"""What the codes of outcomes mean (``codes.toml``)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec


@cache
def refusals() -> Mapping[str, str]:
    """Return what each code means under which a command is not carried out."""
    raw = tomllib.loads(Path(__file__).with_name("codes.toml").read_text("utf-8"))
    return msgspec.convert(raw["refusals"], dict[str, str])
