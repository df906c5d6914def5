"""Hyperscan databases: compiled here for rules that we ship, in a limited child process for those that users write.

Hyperscan matches in time linear in the text and refuses look-around and back-references, but compiling may take long
for some expressions. A child with limits on time and memory keeps that away from the process that reads lines.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import hyperscan
import msgspec
from msgspec import Struct

from streams.core.errors import InputError

EXPRESSION_CHARACTERS_MAX: Final = 1000
EXPRESSIONS_MAX: Final = 5000
COMPILE_SECONDS_MAX: Final = 30
"""Processor time for compiling all expressions that users wrote, each by itself."""
COMPILE_BYTES_MAX: Final = 2 * 1024**3
HEAD_OFFSET_MAX: Final = 200
"""A level stands within this many bytes of a line's beginning."""


class Expression(Struct, frozen=True):
    """One expression: what it is called in messages, the text, and how it matches."""

    name: str
    text: str
    case_sensitive: bool = False
    head_only: bool = False


def compile_here(expressions: Sequence[Expression]) -> hyperscan.Database:
    """Compile in this process; the id of a match is the expression's index. ``hyperscan.error`` when one is refused."""
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    bounds = hyperscan.ExpressionExt  # type: ignore[attr-defined]  # the wheel's stubs leave it out
    head = bounds(flags=hyperscan.HS_EXT_FLAG_MAX_OFFSET, max_offset=HEAD_OFFSET_MAX)
    anywhere = bounds(flags=0)
    database.compile(
        expressions=[expression.text.encode() for expression in expressions],
        ids=list(range(len(expressions))),
        flags=[_flags(expression) for expression in expressions],
        ext=[head if expression.head_only else anywhere for expression in expressions],
    )
    return database


def _flags(expression: Expression) -> int:
    flags: int = hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_SINGLEMATCH
    return flags if expression.case_sensitive else flags | hyperscan.HS_FLAG_CASELESS


def check_compiles(expressions: Sequence[Expression]) -> None:
    """Raise ``InputError``, naming the first expression that is refused and why, unless all are within the limits."""
    found = problems(expressions)
    if found:
        raise InputError(next(iter(found.values())))


def problems(expressions: Sequence[Expression]) -> dict[int, str]:
    """Return what is wrong with expressions, by index; they are compiled in a child with limits on time and memory."""
    if len(expressions) > EXPRESSIONS_MAX:
        return {EXPRESSIONS_MAX: f"{len(expressions)} expressions: at most {EXPRESSIONS_MAX} are allowed"}
    long = {
        index: f"{expression.name}: longer than {EXPRESSION_CHARACTERS_MAX} characters"
        for index, expression in enumerate(expressions)
        if len(expression.text) > EXPRESSION_CHARACTERS_MAX
    }
    return long or dict(_in_child(tuple(expressions)))


@lru_cache(maxsize=64)
def _in_child(expressions: tuple[Expression, ...]) -> tuple[tuple[int, str], ...]:
    try:
        child = subprocess.run(
            [sys.executable, "-m", "streams.ingest.compiling"],
            input=msgspec.json.encode(expressions),
            capture_output=True,
            timeout=3 * COMPILE_SECONDS_MAX,
            check=False,
        )
        output = child.stdout
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
    said = [line.split(" ", 2) for line in output.decode("utf-8", "replace").splitlines()]
    refused = [(int(index), f"{expressions[int(index)].name}: {why}") for verb, index, why in said if verb == "refused"]
    if not said or said[-1][0] != "done":
        index = int(said[-1][1]) if said else 0
        spent = f"{COMPILE_SECONDS_MAX} s or {COMPILE_BYTES_MAX >> 30} GB for compiling are spent"
        left = f"with {len(expressions) - index} of {len(expressions)} expressions to go"
        refused.append((index, f"{expressions[index].name}: {spent} {left}; simplify it, or have fewer"))
    return tuple(refused)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (COMPILE_SECONDS_MAX, COMPILE_SECONDS_MAX))
    resource.setrlimit(resource.RLIMIT_AS, (COMPILE_BYTES_MAX, COMPILE_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def child(source: bytes) -> None:
    """Compile each expression by itself; say on standard output which is under way and which is refused."""
    _limit()
    for index, expression in enumerate(msgspec.json.decode(source, type=tuple[Expression, ...])):
        os.write(1, f"trying {index} -\n".encode())
        try:
            compile_here([expression])
        except hyperscan.error as error:
            os.write(1, f"refused {index} {error}\n".encode())
    os.write(1, b"done 0 -\n")


if __name__ == "__main__":
    child(sys.stdin.buffer.read())
