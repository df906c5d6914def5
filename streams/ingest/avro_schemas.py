"""Avro from strangers: a schema is checked before fastavro sees it, and its payloads are read within bounds.

fastavro ends the process (SIGSEGV) on deep data of a recursive schema, and makes five million items of five bytes when
items take no bytes. So what is decoded with is not the schema as it was registered but a plain copy of it: without
recursion and items of no bytes, bounded in depth and width, with names of our own, without logical types and defaults.
Times stay numbers, whose size tells their unit (``stamps.of_number``); bytes are read as text.

Layouts: Apache Avro 1.12 specification, "Schema Declaration" and "Binary Encoding".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from fastavro import parse_schema, schemaless_reader

from streams.core.errors import InputError
from streams.ports import SCHEMA_BYTES_MAX

PAYLOAD_BYTES_MAX: Final = 8 * 1024 * 1024
LEVELS_MAX: Final = 32
"""How deep data may be nested; each level is a call in fastavro."""
NODES_MAX: Final = 20_000
"""Types that are written down in a schema and what it refers to."""
VALUES_MAX: Final = 100_000
"""Values of one payload; reading so many takes about 50 ms."""
FIXED_BYTES_MAX: Final = 65_536
_TEXTUAL: Final = frozenset({"string", "bytes"})
_COMPLEX: Final = frozenset({"record", "error", "enum", "fixed", "array", "map"})
_PRIMITIVES: Final = {"boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "string": 1, "bytes": 1, "null": 0}
"""The fewest bytes that a value of each type takes."""


class _Shape(NamedTuple):
    """What data of a type come to, containers counted as empty.

    ``bytes_min`` are the fewest bytes of one value, ``free_max`` the most values (records, nulls) that come without a
    byte of their own, ``levels`` the calls that reading it nests.
    """

    bytes_min: int
    free_max: int
    levels: int


class AvroReader:
    """Reads payloads of one schema that was checked. ``of`` makes one."""

    def __init__(self, parsed: Any, reads_max: int, *, has_fixed: bool) -> None:
        self._parsed: Final = parsed
        self._reads_max: Final = reads_max
        self._has_fixed: Final = has_fixed

    @classmethod
    def of(cls, text: str, references: Sequence[str] = ()) -> AvroReader:
        """Check a schema (JSON text) and compile it; ``references`` are what it refers to, each after its own.

        Raises ``InputError`` with the reason when data of this schema can't be read safely.
        """
        if sum(len(each.encode()) for each in (text, *references)) > SCHEMA_BYTES_MAX:
            raise InputError(f"more than {SCHEMA_BYTES_MAX // 1024} KB")
        checker = _Checker()
        known = [checker.check(each)[0] for each in references]
        plain, shape = checker.check(text)
        reads_max = (VALUES_MAX - shape.free_max) // (1 + checker.free_by_read)
        if reads_max <= 0:
            raise InputError("too many values")
        root = {"type": "record", "name": "root", "fields": [{"name": "value", "type": plain}]}
        names: dict[str, Any] = {}
        try:
            for each in known:
                parse_schema(each, names)
            return cls(parse_schema(root, names), reads_max, has_fixed=checker.has_fixed)
        except Exception as error:
            raise InputError(f"not valid: {type(error).__name__}") from error

    def read(self, payload: bytes) -> Any:
        """Return a payload's value as JSON knows values; ``InputError`` when it is none of this schema."""
        if len(payload) > PAYLOAD_BYTES_MAX:
            raise InputError(f"payload of more than {PAYLOAD_BYTES_MAX >> 20} MB")
        source = _Payload(payload, self._reads_max)
        try:
            value = schemaless_reader(source, self._parsed, None, handle_unicode_errors="replace")["value"]
        except MemoryError:
            raise
        except InputError:
            raise
        except Exception as error:
            raise InputError("payload does not fit its schema") from error
        if source.left:
            raise InputError("bytes after the payload")
        return _without_bytes(value) if self._has_fixed else value


class _Payload:
    """The file that fastavro reads from: never beyond the end, never backwards, and not without a limit.

    Each value but those without bytes takes at least one read, so reads bound what a payload can grow to.
    """

    __slots__ = ("_at", "_data", "_end", "_reads_left")

    def __init__(self, data: bytes, reads_max: int) -> None:
        self._data = data
        self._at = 0
        self._end = len(data)
        self._reads_left = reads_max

    def read(self, size: int) -> bytes:
        at = self._at
        end = at + size
        self._reads_left -= 1
        if size < 0 or end > self._end:
            raise InputError("payload ends too soon")
        if self._reads_left < 0:
            raise InputError("too many values")
        self._at = end
        return self._data[at:end]

    @property
    def left(self) -> int:
        return self._end - self._at


def _without_bytes(value: Any) -> Any:
    """Return a value whose bytes (of fixed size) are hexadecimal text; its depth is that of its schema."""
    match value:
        case bytes():
            return value.hex()
        case dict():
            return {key: _without_bytes(held) for key, held in value.items()}
        case list():
            return [_without_bytes(held) for held in value]
    return value


class _Checker:
    """Walks schemas that may name each other's types, and writes plain copies of them."""

    def __init__(self) -> None:
        self.has_fixed = False
        self.free_by_read = 0
        """The most values without bytes that come with one byte of an item."""
        self._named: dict[str, tuple[str, _Shape | None]] = {}
        """By full name: our name, and the shape once the definition is complete."""
        self._nodes = 0

    def check(self, text: str) -> tuple[Any, _Shape]:
        """Return a plain copy of a schema, and the shape of its data. Raises ``InputError``."""
        try:
            schema = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            if text.strip() not in _PRIMITIVES:
                raise InputError("not JSON") from error
            schema = text.strip()
        return self._type(schema, "", 0)

    def _type(self, schema: Any, space: str, depth: int) -> tuple[Any, _Shape]:
        self._nodes += 1
        if depth > LEVELS_MAX:
            raise InputError("nested too deeply")
        if self._nodes > NODES_MAX:
            raise InputError("too many types")
        match schema:
            case str():
                return self._name(schema, space)
            case list():
                return self._union(schema, space, depth)
            case {"type": str(kind)} if kind in _COMPLEX:
                plain, shape = self._complex(kind, schema, space, depth)
                if shape.levels > LEVELS_MAX:
                    raise InputError("nested too deeply")
                return plain, shape
            case {"type": inner}:
                return self._type(inner, space, depth + 1)
        raise InputError("not an Avro schema")

    def _name(self, name: str, space: str) -> tuple[Any, _Shape]:
        if name in _PRIMITIVES:
            size = _PRIMITIVES[name]
            return ("string" if name in _TEXTUAL else name), _Shape(size, 0 if size else 1, 1)
        for full in (_full(name, space), name):
            if full in self._named:
                ours, shape = self._named[full]
                if shape is None:
                    raise InputError("recursive")
                # Each mention counts as all that it stands for: a few names could stand for billions of values.
                return ours, shape
        raise InputError("a type is not defined")

    def _complex(self, kind: str, schema: dict[str, Any], space: str, depth: int) -> tuple[Any, _Shape]:
        match kind:
            case "array":
                plain, shape = self._items(schema.get("items"), space, depth)
                return {"type": "array", "items": plain}, shape
            case "map":
                plain, shape = self._items(schema.get("values"), space, depth)
                return {"type": "map", "values": plain}, shape
        full = self._begin(schema, space)
        ours = self._named[full][0]
        match kind:
            case "enum":
                plain, shape = {"symbols": _symbols(schema)}, _Shape(1, 0, 1)
            case "fixed":
                plain, shape = self._fixed(schema)
            case _:
                plain, shape = self._record(schema, full.rpartition(".")[0], depth)
        self._named[full] = (ours, shape)
        return {"type": "record" if kind == "error" else kind, "name": ours, **plain}, shape

    def _union(self, branches: list[Any], space: str, depth: int) -> tuple[Any, _Shape]:
        if not branches or any(type(branch) is list for branch in branches):
            raise InputError("not an Avro schema")
        found = [self._type(branch, space, depth + 1) for branch in branches]
        shapes = [shape for _, shape in found]
        size = 1 + min(shape.bytes_min for shape in shapes)
        free = max(shape.free_max for shape in shapes)
        return [plain for plain, _ in found], _Shape(size, free, 1 + max(shape.levels for shape in shapes))

    def _record(self, schema: dict[str, Any], space: str, depth: int) -> tuple[dict[str, Any], _Shape]:
        fields, shapes = [], []
        for field in _list(schema.get("fields")):
            if type(field) is not dict or type(field.get("name")) is not str or "type" not in field:
                raise InputError("not an Avro schema")
            plain, shape = self._type(field["type"], space, depth + 1)
            fields.append({"name": field["name"], "type": plain})
            shapes.append(shape)
        size = sum(shape.bytes_min for shape in shapes)
        free = 1 + sum(shape.free_max for shape in shapes)
        return {"fields": fields}, _Shape(size, free, 1 + max((shape.levels for shape in shapes), default=0))

    def _fixed(self, schema: dict[str, Any]) -> tuple[dict[str, Any], _Shape]:
        size = schema.get("size")
        if type(size) is not int or not 0 <= size <= FIXED_BYTES_MAX:
            raise InputError(f"fixed of more than {FIXED_BYTES_MAX} bytes")
        self.has_fixed = True
        return {"size": size}, _Shape(size, 0 if size else 1, 1)

    def _items(self, schema: Any, space: str, depth: int) -> tuple[Any, _Shape]:
        plain, shape = self._type(schema, space, depth + 1)
        if not shape.bytes_min:
            raise InputError("items without bytes")
        self.free_by_read = max(self.free_by_read, shape.free_max)
        return plain, _Shape(1, 0, 1 + shape.levels)

    def _begin(self, schema: dict[str, Any], space: str) -> str:
        """Enter a named type that is being defined; return its full name."""
        name, within = schema.get("name"), schema.get("namespace")
        if type(name) is not str or not name:
            raise InputError("a type without a name")
        full = _full(name, within if type(within) is str else space)
        if full in self._named:
            raise InputError("recursive" if self._named[full][1] is None else "a type is defined twice")
        self._named[full] = (f"t{len(self._named)}", None)
        return full


def _full(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise InputError("not an Avro schema")
    return value


def _symbols(schema: dict[str, Any]) -> list[Any]:
    symbols = _list(schema.get("symbols"))
    if not symbols:
        raise InputError("an enum without symbols")
    return symbols
