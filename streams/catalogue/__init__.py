"""Data before code: the tables that Logmend ships, each with a typed loader."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

import msgspec

from streams.core.strategy import Catalogue


@cache
def strategies() -> Catalogue:
    """Return the shipped strategy tables (``strategies.toml``)."""
    raw = tomllib.loads(files(__name__).joinpath("strategies.toml").read_text("utf-8"))
    return msgspec.convert(raw, Catalogue)
