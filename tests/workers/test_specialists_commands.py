"""Commands that bring specialists up and let them go: what is in order, and what is refused under which code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from streams.catalogue import teams
from streams.core.commands import command_sha256
from streams.core.config import Inventory
from streams.core.events import Argument
from streams.workers.checks import ExpiredError, check
from streams.workers.members import KEEP_MS_MAX, Release, Spawn
from streams.workers.orders import RefusedError
from streams.workers.roles import ROLES, abilities
from tests.workers.kit import command, process_spec
from tests.workers.plans import ASKED, NAME, PLAN
from tests.workers.test_checks import CLOCK_MS, moment

LET_GO = {"specialist": NAME, "plan": PLAN}


def asked(spec: Any, kind: str = "spawn", **fields: Any) -> Any:
    """Return a command that is in order, but for what is given."""
    arguments = {"spawn": ASKED, "release": LET_GO}[kind]
    given = {"kind": kind, "arguments": arguments, "expires_ms": CLOCK_MS, **fields}
    return command(spec, given.pop("action", f"specialist.{kind}"), **given)


def test_commands_in_order_pass(tmp_path: Path) -> None:
    """A spawn says who comes, in which part and with how much; a release who goes."""
    spec = process_spec(tmp_path)
    spawn = check(asked(spec), moment(spec))
    assert isinstance(spawn, Spawn)
    assert (spawn.specialist, spawn.row.name, spawn.part, spawn.plan) == (NAME, "database-optimizer", "primary", PLAN)
    assert (spawn.cpu, spawn.memory_mb, spawn.bandwidth_mbps, spawn.keep_ms) == (0.5, 128.0, 20.0, 60_000)
    assert check(asked(spec, "release"), moment(spec)) == Release(NAME, PLAN)


@pytest.mark.parametrize("row", teams().specialists, ids=lambda row: row.name)
def test_each_specialist_may_hold_what_its_row_says(tmp_path: Path, row: Any) -> None:
    """Every row of the table can be asked for with all that it may hold, and can do more than to look."""
    spec = process_spec(tmp_path)
    held = {"cpu": f"{row.cpu}", "memory_mb": f"{row.memory_mb}", "bandwidth_mbps": f"{row.bandwidth_mbps}"}
    given = {**ASKED, "specialist": f"{row.name}-001", **held}
    assert isinstance(check(asked(spec, arguments=given), moment(spec)), Spawn)
    assert {action.partition(".")[2] for action in abilities(row.name)} == {*row.verbs, "look"}


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("specialist", ["", NAME[:-4], "nobody-001", "executor-001", f"{NAME}1", f"{NAME}\n", "../x-001"], ""),
        ("part", ["", "leader", "primary "], "bad_argument"),
        ("way", ["", "alone"], "bad_argument"),
        ("plan", ["", "../x", "a b", "x" * 65], "bad_argument"),
        ("cpu", ["", "0", "-1", "nan", "inf", "0.51", "1e-1", "\u0661", "0x1", " 0.5"], "bad_argument"),
        ("memory_mb", ["0", "129", "1e9"], "bad_argument"),
        ("bandwidth_mbps", ["0", "21"], "bad_argument"),
        ("keep_ms", ["", "0", "-1", "1.5", f"{KEEP_MS_MAX + 1}"], "bad_argument"),
    ],
)
def test_forged_arguments_are_refused(tmp_path: Path, name: str, values: list[str], code: str) -> None:
    """What is no name of a specialist, no part, no way or more than one may hold is refused."""
    spec = process_spec(tmp_path)
    for value in values:
        with pytest.raises(RefusedError) as refused:
            check(asked(spec, arguments={**ASKED, name: value}), moment(spec))
        assert refused.value.code == (code or "unknown_specialist"), value


def test_arguments_are_those_that_are_needed(tmp_path: Path) -> None:
    """One too few, one too many and one that comes twice are refused."""
    spec = process_spec(tmp_path)
    fewer = {name: value for name, value in ASKED.items() if name != "keep_ms"}
    good = tuple(Argument(name=name, value=value) for name, value in ASKED.items())
    twice = asked(spec, sha256="x")
    for one in (
        asked(spec, arguments=fewer),
        asked(spec, arguments={**ASKED, "argv": "id"}),
        asked(spec, "release", arguments={**LET_GO, "argv": "id"}),
        asked(spec, "release", arguments={"plan": PLAN}),
        _rehashed(twice, (*good, good[0])),
    ):
        with pytest.raises(RefusedError) as refused:
            check(one, moment(spec))
        assert refused.value.code == "bad_argument"


@pytest.mark.parametrize(
    ("in_command", "in_moment", "code"),
    [
        ({"sha256": "0" * 64}, {}, "wrong_hash"),
        ({}, {"host": "h2"}, "wrong_host"),
        ({"epoch": 2}, {}, "wrong_epoch"),
        ({"action": "process.restart"}, {}, "unknown_action"),
        ({"action": "specialist.release"}, {}, "unknown_action"),
        ({"id": "../x"}, {}, "bad_id"),
        ({}, {"halted_by": "ann"}, "halted"),
        ({}, {"skew_ms": 6_000}, "clock_skew"),
        ({}, {"inventory": Inventory()}, "inventory_changed"),
        ({"target": b"{}"}, {}, "inventory_changed"),
    ],
)
def test_a_spawn_passes_the_checks_of_an_action(
    tmp_path: Path, in_command: dict[str, Any], in_moment: dict[str, Any], code: str
) -> None:
    """Hash, host, epoch, kill switch, clock and inventory: each check alone refuses it."""
    spec = process_spec(tmp_path)
    with pytest.raises(RefusedError) as refused:
        check(asked(spec, **in_command), moment(spec, **in_moment))
    assert refused.value.code == code


def test_nobody_comes_for_a_service_that_is_only_observed(tmp_path: Path) -> None:
    """A service in mode observe has no plans."""
    spec = process_spec(tmp_path, mode="observe")
    with pytest.raises(RefusedError) as refused:
        check(asked(spec), moment(spec))
    assert refused.value.code == "mode"


@pytest.mark.parametrize(
    "in_moment", [{"halted_by": "ann"}, {"skew_ms": 6_000}, {"inventory": Inventory()}, {"clock_ms": CLOCK_MS + 9}]
)
def test_letting_go_is_never_too_late(tmp_path: Path, in_moment: dict[str, Any]) -> None:
    """Neither a halt nor time nor another inventory keeps a specialist; of a spawn an expired one is too late."""
    spec = process_spec(tmp_path)
    assert check(asked(spec, "release"), moment(spec, **in_moment))
    with pytest.raises((RefusedError, ExpiredError)):
        check(asked(spec), moment(spec, **in_moment))


@pytest.mark.parametrize("fields", [{"host": "h2"}, {"epoch": 2}, {"sha256": "0" * 64}])
def test_letting_go_is_asked_for_by_who_may(tmp_path: Path, fields: dict[str, Any]) -> None:
    """A release for another host, of another epoch or with another hash is refused."""
    spec = process_spec(tmp_path)
    with pytest.raises(RefusedError):
        check(asked(spec, "release", **fields), moment(spec))


def test_nobody_else_has_abilities() -> None:
    """A name that is neither a role's nor a specialist's runs nothing."""
    assert abilities("nobody") == abilities("") == frozenset()
    assert all(abilities(role) == ROLES[role] for role in ROLES)
    assert set(ROLES) == {"architect", "coder", "critic", "deployer", "executor"}


def _rehashed(spoilt: Any, arguments: tuple[Argument, ...]) -> Any:
    changed = replace(spoilt, arguments=arguments)
    return replace(changed, sha256=command_sha256(changed))
