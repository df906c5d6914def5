"""Every action of the catalogue, over the fake and the real edge: what is promised in its row is what it does."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from streams.catalogue.actions import ActionSpec, Parameter, actions
from streams.core.commands import command_sha256
from streams.core.events import Argument, Command
from streams.core.inventory import ServiceSpec
from streams.workers.roles import ROLES, role_of
from tests.contract.actions_cases import ACTIONS, CASES, Case, Edge, End, World, case_of, spec_of
from tests.contract.actions_fake import Fake
from tests.contract.actions_real import Blocker, Real
from tests.workers.kit import Executor, command, end_services, target

EDGES = ("fake", "real")
each_action = pytest.mark.parametrize("action", ACTIONS)
each_edge = pytest.mark.parametrize("kind", EDGES)

OpenEdge = Callable[[str, str, World], Edge]


class Web(NamedTuple):
    """The HTTP server that stands for the services' own, and what it was asked."""

    port: int
    seen: list[str]


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    """Serve HTTP for all cases."""
    with target() as (port, seen):
        yield Web(port, seen)


@pytest.fixture(scope="module")
def worker() -> Iterator[Executor]:
    """Yield one real worker of each role for all cases."""
    root = Path(tempfile.mkdtemp(prefix="contract"))
    with Executor(root) as executor:
        yield executor
    shutil.rmtree(root)


@pytest.fixture
def opened(tmp_path: Path, worker: Executor, web: Web) -> Iterator[OpenEdge]:
    """Return a maker of an edge on which an action's service is in the world before it."""
    made: list[Real] = []

    def make(kind: str, action: str, before: World) -> Edge:
        if kind == "fake":
            return Fake(spec_of(action, tmp_path, before, web=web.port), before)
        edge = Real(tmp_path, worker, web.seen)
        made.append(edge)
        edge.blocker = Blocker() if before.blocked else None
        port = edge.blocker.port if edge.blocker else 0
        edge.arrange(spec_of(action, tmp_path, before, web=web.port, port=port), before)
        return edge

    yield make
    for edge in made:
        edge.end()
        if edge.spec.type == "process":
            end_services(tmp_path)


def asked(edge: Edge, action: str, seq: int = 0, **fields: Any) -> Command:
    """Return the command for an action on an edge's service, with its case's arguments."""
    arguments = {"arguments": dict(case_of(action).arguments), **fields}
    return command(edge.spec, action, seq, **arguments)


def sibling(action: str, verb: str) -> str:
    """Return another action for the same type of service."""
    return f"{action.partition('.')[0]}.{verb}"


# ------------------------------------------------------------------------------------------------------- the table


def test_every_row_has_a_case() -> None:
    """A row of the catalogue that nobody wrote a case for fails here, and a case of no row too."""
    rows = actions()
    assert [action for action in rows if action not in ACTIONS] == []
    verbs = {row.verb for row in rows.values()}
    assert [name for name in CASES if name not in rows and name not in verbs] == []


@each_action
def test_columns_agree(action: str) -> None:
    """An undo is an action of the same type that takes the same arguments, and names what may be had back."""
    row = actions()[action]
    undo = actions().get(row.undo)
    assert (undo is not None) == bool(row.undo)
    assert undo is None or undo.service_type == row.service_type
    assert undo is None or {one.name for one in row.parameters if one.required} <= {one.name for one in undo.parameters}
    assert row.reversible or not row.undo
    assert role_of(action) in ROLES


# ---------------------------------------------------------------------------------------------------- what it does


@each_edge
@each_action
def test_it_does_what_it_says(opened: OpenEdge, kind: str, action: str) -> None:
    """The action ends ok, and the world afterwards is the world before with its changes and no other."""
    case = case_of(action)
    edge = opened(kind, action, case.before)
    assert edge.world() == case.before
    assert edge.run(asked(edge, action)) == End("done", ok=True, code=case.code, effect=case.effect)
    assert edge.world() == replace(case.before, **case.changes)


@each_edge
@each_action
def test_the_same_command_takes_effect_once(opened: OpenEdge, kind: str, action: str) -> None:
    """A command that comes to the host again changes nothing more, and ends as it did."""
    edge = opened(kind, action, case_of(action).before)
    given = asked(edge, action)
    first = edge.deliver(given)
    after = edge.world()
    assert edge.deliver(given) == first
    assert edge.world() == after


@each_edge
@pytest.mark.parametrize("action", [action for action in ACTIONS if actions()[action].repeatable])
def test_what_is_repeatable_may_be_repeated(opened: OpenEdge, kind: str, action: str) -> None:
    """Run again as after a crash, a repeatable action leaves the service in the same state, and is ok again."""
    edge = opened(kind, action, case_of(action).before)
    given = asked(edge, action)
    edge.run(given)
    after = edge.world()
    assert edge.run(given).ok
    assert edge.world().steady() == after.steady()


@each_edge
@pytest.mark.parametrize("action", [action for action in ACTIONS if actions()[action].undo])
def test_an_undo_restores(opened: OpenEdge, kind: str, action: str) -> None:
    """The undo that the row names brings the world back, all but what only counts."""
    edge = opened(kind, action, case_of(action).before)
    before = edge.world()
    assert edge.run(asked(edge, action)).ok
    assert edge.run(asked(edge, actions()[action].undo, 1, arguments=dict(case_of(action).arguments))).ok
    assert edge.world().steady() == before.steady()


def one_way(before: World, after: World) -> bool:
    """Say whether something happened that can't be made not to have happened."""
    return (
        (before.running and after.running and after.begun > before.begun)
        or (after.reloaded, after.jobs, after.requests) > (before.reloaded, before.jobs, before.requests)
        or (after.caches, after.blocked) != (before.caches, before.blocked)
        or after.log + after.older != before.log + before.older
    )


@each_edge
@each_action
def test_reversible_is_true(opened: OpenEdge, kind: str, action: str) -> None:
    """What is reversible loses nothing, and comes back by an undo or another verb; what is not loses something."""
    row, case = actions()[action], case_of(action)
    edge = opened(kind, action, case.before)
    edge.run(asked(edge, action))
    after = edge.world()
    assert one_way(case.before, after) is not row.reversible
    if case.back:
        edge.run(asked(edge, sibling(action, case.back), 1, arguments=dict(case.arguments)))
        assert edge.world().steady() == case.before.steady()


@each_edge
@each_action
def test_verification_is_true(opened: OpenEdge, kind: str, action: str) -> None:
    """Where the call itself is the evidence it is red for what is not well; elsewhere ok says nothing of that."""
    row, case = actions()[action], case_of(action)
    edge = opened(
        kind, action, replace(case.before, healthy=False, config="" if row.verb == "checkpoint" else case.before.config)
    )
    ended = edge.run(asked(edge, action))
    assert ended.ok is (row.verification == "probe")
    assert row.verification == "probe" or ended.effect == "none"


@each_edge
@each_action
def test_blast_radius_is_true(opened: OpenEdge, kind: str, action: str) -> None:
    """``none`` changes nothing but checkpoints; others' processes are touched by ``host`` alone."""
    row, case = actions()[action], case_of(action)
    edge = opened(kind, action, case.before)
    edge.run(asked(edge, action))
    after = edge.world()
    assert (replace(after, kept=0) == replace(case.before, kept=0)) is (row.blast_radius == "none")
    assert (after.blocked != case.before.blocked) is (row.blast_radius == "host")


# ------------------------------------------------------------------------------------------------ what it does not


@each_edge
@each_action
def test_a_dry_run_touches_nothing(opened: OpenEdge, tmp_path: Path, kind: str, action: str) -> None:
    """With dry run on nothing changes: no process, no call of a program, no request, no file."""
    edge = opened(kind, action, case_of(action).before)
    there = sorted(tmp_path.rglob("*"))
    assert edge.run(asked(edge, action), dry_run=True) == End("refused", ok=False, code="dry_run", effect="none")
    assert edge.world() == case_of(action).before
    assert sorted(tmp_path.rglob("*")) == there


def without(spec: ServiceSpec, part: str) -> ServiceSpec:
    """Return an entry without a part that an action requires."""
    kind, _, _ = part.partition(":")
    names = {"switch": ["switches"], "tool": ["tools"]}.get(kind, part.split("|"))
    empty = {name: type(getattr(spec, name))() for name in names}
    return msgspec.structs.replace(spec, **empty)


@each_edge
@each_action
def test_a_missing_part_is_refused(opened: OpenEdge, kind: str, action: str) -> None:
    """An entry that lacks a part that the row requires is refused under one code, and nothing is touched."""
    edge = opened(kind, action, case_of(action).before)
    for number, part in enumerate(actions()[action].requires):
        bare = without(edge.spec, part)
        refused = command(bare, action, number, arguments=dict(case_of(action).arguments))
        edge.spec, whole = bare, edge.spec
        assert edge.run(refused) == End("refused", ok=False, code="not_declared", effect="none")
        edge.spec = whole
    assert edge.world() == case_of(action).before


def spoilt(parameter: Parameter) -> Sequence[str]:
    """Return values that a parameter does not take."""
    return {
        "integer": [
            str(parameter.minimum - 1),
            str(parameter.maximum + 1),
            "",
            "1e1",
            " 1",
            "0x1",
            "+1",
            "\u0661",
            "1;id",
        ],
        "name": ["", "nobody", "../x", "UPPER", "x" * 65, "a b", "-x", "$(id)"],
        "path": ["", "relative", "/etc/passwd", "/../x", "/" + "x" * 5_000],
        "specialist": [
            "",
            "nobody",
            "network-engineer",
            "network-engineer-1",
            "../x-001",
            "x-0001",
            "X-001",
            "x-001\n",
        ],
        "json": ["", "{", "nul", '"' + "x" * parameter.maximum + '"', "[" * 4_000],
    }[parameter.type]


def hostile_arguments(row: ActionSpec, case: Case) -> Iterator[tuple[Argument, ...]]:
    """Yield arguments that a row does not allow."""
    given = dict(case.arguments)
    for parameter in row.parameters:
        for text in spoilt(parameter):
            yield tuple(Argument(name=name, value=value) for name, value in {**given, parameter.name: text}.items())
        if parameter.required:
            yield ()
        twice = Argument(name=parameter.name, value=given.get(parameter.name, "1"))
        yield (twice, twice)
    yield (*(Argument(name=name, value=value) for name, value in given.items()), Argument(name="argv", value="id"))


@each_edge
@each_action
def test_arguments_out_of_bounds_are_refused(opened: OpenEdge, kind: str, action: str) -> None:
    """An argument that is unknown, missing, doubled or out of its bounds is refused, and nothing is touched."""
    row, case = actions()[action], case_of(action)
    edge = opened(kind, action, case.before)
    for number, arguments in enumerate(hostile_arguments(row, case)):
        bare = command(edge.spec, action, number, sha256="x")
        refused = hashed(msgspec.structs.replace(bare, arguments=arguments))
        assert edge.run(refused) == End("refused", ok=False, code="bad_argument", effect="none"), arguments
    assert edge.world() == case.before


def hashed(bare: Command) -> Command:
    """Return a command with the hash that it should have."""
    return msgspec.structs.replace(bare, sha256=command_sha256(bare))
