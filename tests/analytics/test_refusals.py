"""The view `refusals`: what was not carried out, and why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import msgspec

from analytics.views import EventLog
from streams.catalogue.codes import refusals
from streams.workers import orders
from tests.analytics.archive import archive
from tests.analytics.history import History

NOT_CARRIED_OUT = frozenset({"dry_run", "expired"})
"""Codes that the pool gives without an error: what is in order but not wanted, or too late."""


def codes(path: Path) -> Iterator[str]:
    """Yield the codes under which a module refuses: ``RefusedError(code, why)`` and ``_check(passed, code, why)``."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id="RefusedError"), args=[ast.Constant(value=str(code)), _]):
                yield code
            case ast.Call(func=ast.Name(id="_check"), args=[_, ast.Constant(value=str(code)), _]):
                yield code


def test_every_code_is_in_the_table() -> None:
    """The table says what each code means under which the pool refuses, and none that it never gives."""
    given = {code for path in Path(orders.__file__).parent.glob("*.py") for code in codes(path)}
    assert given | NOT_CARRIED_OUT == set(refusals())


async def test_a_refusal_says_what_and_why(tmp_path: Path) -> None:
    """Each refusal has service, action, code and meaning; what nobody decided shows, what is not archived is NULL."""
    history = History()
    history.begin()
    history.see("shop", "process_crash")
    (sent,) = history.commands
    forged = msgspec.structs.replace(sent, id="1-4711-0", seq=4711, previous_seq=sent.seq, action="process.explode")
    history.command(forged, 0)
    history.refuse(sent.id, "halted", seq=sent.seq)
    history.refuse(forged.id, "wrong_hash", seq=forged.seq)
    history.refuse("1-4712-0", "expired", seq=4712, status="expired")
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query("SELECT id, service, action, status, code, decided FROM refusals ORDER BY code").rows()
        reasons = log.query("SELECT code, reason FROM refusals").rows()
    assert rows == [
        ("1-4712-0", None, None, "expired", "expired", None),
        (sent.id, "shop", sent.action, "refused", "halted", True),
        ("1-4711-0", "shop", "process.explode", "refused", "wrong_hash", False),
    ]
    assert all(refusals()[code] == reason for code, reason in reasons)
