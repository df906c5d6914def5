"""What must hold immediately before acting (SPEC X6): one row per check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.core.commands import command_sha256
from streams.core.config import Inventory
from streams.workers.checks import SKEW_MAX_MS, ExpiredError, Moment, check
from streams.workers.orders import Order, RefusedError
from tests.workers.kit import HOST, command, process_spec

CLOCK_MS = 1_800_000_000_000


def moment(*services: Any, **fields: Any) -> Moment:
    """Return a moment in which everything is in order."""
    given: dict[str, Any] = {
        "host": HOST,
        "clock_ms": CLOCK_MS,
        "skew_ms": 0,
        "epoch": 1,
        "own_epoch": 1,
        "halted_by": "",
        "inventory": Inventory(services=services),
    }
    return Moment(**{**given, **fields})


def test_a_command_in_order_passes(tmp_path: Path) -> None:
    """When nothing is wrong the order names the service, and says that it may be repeated."""
    spec = process_spec(tmp_path)
    order = check(command(spec, "process.restart", expires_ms=CLOCK_MS), moment(spec))
    assert isinstance(order, Order)
    assert (order.spec, order.action.id, order.repeatable) == (spec, "process.restart", True)


@pytest.mark.parametrize(
    ("in_command", "in_moment", "code"),
    [
        ({"sha256": "0" * 64}, {}, "wrong_hash"),
        ({"kind": "advice"}, {}, "wrong_kind"),
        ({"kind": "look"}, {}, "wrong_kind"),
        ({"kind": "spawn"}, {}, "unknown_action"),
        ({"kind": "release"}, {}, "unknown_action"),
        ({}, {"host": "h2"}, "wrong_host"),
        ({"epoch": 2}, {}, "wrong_epoch"),
        ({}, {"epoch": 2}, "wrong_epoch"),
        ({"epoch": 2}, {"epoch": 2}, "wrong_epoch"),
        ({}, {"halted_by": "ann"}, "halted"),
        ({}, {"skew_ms": SKEW_MAX_MS + 1}, "clock_skew"),
        ({}, {"skew_ms": -SKEW_MAX_MS - 1}, "clock_skew"),
        ({}, {"inventory": Inventory()}, "inventory_changed"),
        ({"action": "process.explode", "sha256": ""}, {}, "unknown_action"),
        ({"arguments": {"grace_ms": "-1"}}, {}, "bad_argument"),
    ],
)
def test_a_command_not_in_order_is_refused(
    tmp_path: Path, in_command: dict[str, Any], in_moment: dict[str, Any], code: str
) -> None:
    """Each check alone refuses the command, under its own code."""
    spec = process_spec(tmp_path)
    fields = {"action": "process.restart", "expires_ms": CLOCK_MS, **in_command}
    asked = command(spec, fields.pop("action"), **fields)
    with pytest.raises(RefusedError) as refused:
        check(asked, moment(spec, **in_moment))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("skew_ms", "late_ms", "expired"),
    [(0, 0, False), (0, 1, True), (4_000, 4_000, False), (4_000, 4_001, True), (-4_000, -4_000, False)],
)
def test_expiry_is_in_the_brokers_clock(tmp_path: Path, skew_ms: int, late_ms: int, *, expired: bool) -> None:
    """A command expires when our clock, less the skew, has passed its time."""
    spec = process_spec(tmp_path)
    asked = command(spec, "process.restart", expires_ms=CLOCK_MS - late_ms)
    if expired:
        with pytest.raises(ExpiredError):
            check(asked, moment(spec, skew_ms=skew_ms))
    else:
        check(asked, moment(spec, skew_ms=skew_ms))


@pytest.mark.parametrize(
    ("mode", "protected", "approved_by", "code"),
    [
        ("auto", False, "", ""),
        ("auto", True, "", "not_approved"),
        ("auto", True, "ann", ""),
        ("approve", False, "", "not_approved"),
        ("approve", False, "ann", ""),
        ("observe", False, "ann", "mode"),
    ],
)
def test_permission_follows_the_mode(
    tmp_path: Path, mode: str, approved_by: str, code: str, *, protected: bool
) -> None:
    """An observed service is never touched, one that asks for approval or is protected only with it."""
    spec = process_spec(tmp_path, mode=mode, protected=protected)
    asked = command(spec, "process.restart", expires_ms=CLOCK_MS, approved_by=approved_by)
    if code:
        with pytest.raises(RefusedError) as refused:
            check(asked, moment(spec))
        assert refused.value.code == code
    else:
        check(asked, moment(spec))


@pytest.mark.parametrize("field", ["incident", "strategy", "service", "attempt", "timeout_ms", "target", "arguments"])
def test_the_hash_covers_what_is_done(tmp_path: Path, field: str) -> None:
    """A change of what is done changes the hash; sending it again under another number does not."""
    asked = command(process_spec(tmp_path), "process.restart")
    other = {"attempt": 2, "timeout_ms": 1, "target": b"x", "arguments": ()}.get(field, "x")
    if field == "arguments":
        asked = command(process_spec(tmp_path), "process.restart", arguments={"grace_ms": "1"})
    assert command_sha256(msgspec.structs.replace(asked, **{field: other})) != asked.sha256
    sent = msgspec.structs.replace(asked, id="1-9-0", seq=9, previous_seq=8, expires_ms=1, approved_by="ann")
    assert command_sha256(sent) == asked.sha256
