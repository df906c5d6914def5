"""What models cost (``models.toml``)."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

SNAPSHOT: Final = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")

Dollars = Annotated[float, Meta(ge=0, le=10_000)]


class Price(Struct, frozen=True, kw_only=True):
    """US dollars for a million tokens, which is millionths of a dollar for one."""

    usd_in: Dollars
    usd_out: Dollars

    def microusd(self, tokens_in: int, tokens_out: int) -> int:
        """Return what so many tokens cost, in millionths of a dollar, rounded up."""
        return math.ceil(tokens_in * self.usd_in + tokens_out * self.usd_out)


class _Row(Price, frozen=True, kw_only=True, forbid_unknown_fields=True):
    provider: str
    id: str
    source: str
    read: date


@cache
def prices() -> Mapping[tuple[str, str], Price]:
    """Return the price of each model, by provider and id."""
    raw = tomllib.loads(files("streams.catalogue").joinpath("models.toml").read_text("utf-8"))
    return {(row.provider, row.id): row for row in msgspec.convert(raw["models"], list[_Row])}


def price(provider: str, model: str) -> Price | None:
    """Return a model's price, None when the table doesn't know it."""
    return prices().get((provider, model)) or prices().get((provider, SNAPSHOT.sub("", model)))
