"""The actions that a worker may run, and what their arguments may be (``actions.toml``)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from streams.core.errors import InputError
from streams.core.events import Argument
from streams.core.strategy import ActionRow

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
SPECIALIST: Final = re.compile(r"(?P<row>[a-z]+(?:-[a-z]+)*)-[0-9]{3}")
"""A row of the table of specialists, and a number."""
INTEGER: Final = re.compile(r"0|[1-9][0-9]{0,9}")
JSON_BYTES_MAX: Final = 4096

ParameterValue = int | str


class Parameter(Struct, frozen=True, forbid_unknown_fields=True):
    """One argument that an action takes.

    ``integer``: within the bounds; ``name`` and ``path``: one that the inventory entry declares, or one of ``values``;
    ``specialist``: the name of one; ``json``: at most ``maximum`` bytes.
    """

    name: str
    type: Literal["integer", "name", "path", "specialist", "json"]
    required: bool = False
    minimum: int = 0
    maximum: int = JSON_BYTES_MAX
    values: tuple[str, ...] = ()

    def parse(self, text: str) -> ParameterValue:
        """Return the typed value of an argument; ``InputError`` for anything that the type does not allow."""
        if self.type == "integer":
            return self._integer(text)
        if self.type == "name":
            return self._name(text)
        if self.type == "path":
            return self._path(text)
        if self.type == "specialist":
            return self._specialist(text)
        return self._json(text)

    def _integer(self, text: str) -> int:
        if not INTEGER.fullmatch(text) or not self.minimum <= int(text) <= self.maximum:
            raise InputError(f"{self.name} must be an integer from {self.minimum} to {self.maximum}")
        return int(text)

    def _name(self, text: str) -> str:
        if not NAME.fullmatch(text):
            raise InputError(f"{self.name} must be a name: 1 to 64 of a-z 0-9 . _ -")
        if self.values and text not in self.values:
            raise InputError(f"{self.name} must be one of {', '.join(self.values)}")
        return text

    def _path(self, text: str) -> str:
        if not text.startswith("/") or len(text) > self.maximum:
            raise InputError(f"{self.name} must be an absolute path")
        return text

    def _specialist(self, text: str) -> str:
        if not SPECIALIST.fullmatch(text):
            raise InputError(f"{self.name} must be a specialist's name and number")
        return text

    def _json(self, text: str) -> str:
        if len(text.encode("utf-8", "surrogatepass")) > self.maximum:
            raise InputError(f"{self.name} must be JSON of at most {self.maximum} bytes")
        try:
            msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            raise InputError(f"{self.name} is not JSON") from error
        return text


class ActionSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """One action, for one type of service; the head of ``actions.toml`` says what the columns mean."""

    id: str
    verb: str
    service_type: str
    strategy: str
    success: float
    cost: float
    repeatable: bool
    reversible: bool
    blast_radius: Literal["none", "service", "host"]
    timeout_ms: int
    verification: Literal["probe", "call"]
    requires: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    undo: str = ""
    offered: bool = True
    in_process: bool = False
    looks: bool = False
    parameters: tuple[Parameter, ...] = ()

    def row(self) -> ActionRow:
        """Return the action as the core sees it."""
        return ActionRow(
            id=self.id,
            service_type=self.service_type,
            strategy=self.strategy,
            success=self.success,
            cost=self.cost,
            repeatable=self.repeatable,
            reversible=self.reversible,
            blast_radius=self.blast_radius,
            requires=self.requires,
            patterns=self.patterns,
        )

    def parse(self, arguments: Sequence[Argument]) -> dict[str, ParameterValue]:
        """Return the typed arguments; ``InputError`` for one that is unknown, doubled, missing or out of bounds."""
        allowed = {parameter.name: parameter for parameter in self.parameters}
        values: dict[str, ParameterValue] = {}
        for argument in arguments:
            if argument.name not in allowed or argument.name in values:
                raise InputError(f"{self.id} takes no (second) argument {argument.name[:64]!r}")
            values[argument.name] = allowed[argument.name].parse(argument.value)
        for parameter in self.parameters:
            if parameter.required and parameter.name not in values:
                raise InputError(f"{self.id} needs {parameter.name}")
        return values


@cache
def actions() -> Mapping[str, ActionSpec]:
    """Return the catalogue by action id. The product ships it, so a mistake in it raises ``msgspec`` errors as is."""
    raw = tomllib.loads(Path(__file__).with_name("actions.toml").read_text("utf-8"))
    rows = [msgspec.convert(one, ActionSpec) for row in raw["actions"] for one in _by_type(row)]
    return {row.id: row for row in rows}


def _by_type(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a row of the table once for each type of service that it is for."""
    common = {name: value for name, value in row.items() if name not in {"types", "undo"}}
    for service_type in row["types"]:
        undo = f"{service_type}.{row['undo']}" if "undo" in row else ""
        yield {**common, "id": f"{service_type}.{row['verb']}", "service_type": service_type, "undo": undo}
