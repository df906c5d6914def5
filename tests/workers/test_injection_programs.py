"""Programs of the host under hostile entries: what systemctl, docker and kubectl are called with by a real worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
import pytest

from streams.catalogue.actions import actions
from streams.core.inventory import ServiceSpec
from tests.contract.actions_cases import ACTIONS, case_of, spec_of
from tests.contract.actions_real import Real
from tests.workers.injection import Canary, corpus, refused_as
from tests.workers.kit import Executor, command

NO_PORT: Final = 1
MANAGED: Final = tuple(action for action in ACTIONS if actions()[action].service_type not in {"process", "http"})
NAMES: Final = ("unit", "container", "namespace", "deployment", "context")
CONSTANT: Final = frozenset(
    {
        *("systemctl", "--no-ask-password", "--no-pager", "start", "stop", "restart", "reload", "is-active", "--"),
        *("docker", "kill", "--time=10", "--signal=HUP"),
        *("kubectl", "get", "scale", "annotate", "--overwrite", "rollout", "undo", "--replicas=0", "--replicas=2"),
        *("--replicas=3", "--replicas=4", "logmend/replicas=3"),
        "--output=jsonpath={.spec.replicas} {.metadata.annotations.logmend/replicas}",
        *("show", "--property=ActiveState,MainPID,MemoryCurrent"),
        *("inspect", "--type=container", "--format={{.State.Running}} {{.State.Pid}}"),
        "--output=jsonpath={.status.availableReplicas}",
    }
)
"""Every word that a program of the host is called with, but for the names of the service."""


def words_around(spec: ServiceSpec) -> frozenset[str]:
    """Return the words in which the names of a service may stand: alone behind ``--``, or as the value of something."""
    return frozenset({f"--namespace={spec.namespace}", f"--context={spec.context}", f"deployment/{spec.deployment}"})


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """Yield a real worker for all actions."""
    with Executor(tmp_path_factory.mktemp("worker")) as executor:
        yield executor


def loaded(spec: ServiceSpec, canary: Canary) -> ServiceSpec:
    """Return an entry with the corpus wherever any text may stand."""
    texts = tuple(canary.put(hostile.text) for hostile in corpus() if len(hostile.text) < 200)
    plain = [text for text in texts if text.isprintable()]
    return msgspec.structs.replace(
        spec,
        owner=plain[0],
        depends_on=texts,
        environment={f"X{place}": text for place, text in enumerate(plain[:100])},
    )


@pytest.mark.parametrize("action", MANAGED)
def test_a_program_is_called_with_constants_and_names(tmp_path: Path, worker: Executor, action: str) -> None:
    """Whatever else an entry holds, a program gets constants of ours and the entry's names, which are no options."""
    canary, edge = Canary(tmp_path), Real(tmp_path, worker, [])
    before = replace(case_of(action).before, blocked=False)
    spec = loaded(spec_of(action, tmp_path, before, web=NO_PORT, port=NO_PORT), canary)
    edge.arrange(spec, before)
    assert edge.run(command(spec, action, arguments=dict(case_of(action).arguments))).status == "done"
    for call in edge.calls():
        for place, word in enumerate(call):
            behind = place > 0 and call[place - 1] == "--" and word in {spec.unit, spec.container}
            assert behind or word in CONSTANT or word in words_around(spec), call
    assert canary.lives()


@pytest.mark.parametrize("action", MANAGED)
def test_no_hostile_name_reaches_a_program(tmp_path: Path, worker: Executor, action: str) -> None:
    """With a hostile text for any of its names an entry is refused, and no program is called."""
    canary, edge = Canary(tmp_path), Real(tmp_path, worker, [])
    before = replace(case_of(action).before, blocked=False)
    spec = spec_of(action, tmp_path, before, web=NO_PORT, port=NO_PORT)
    edge.arrange(spec, before)
    names = [name for name in NAMES if getattr(spec, name)]
    for number, text in enumerate(refused_as("name")):
        bad = msgspec.structs.replace(spec, **{names[number % len(names)]: canary.put(text)})
        ended = edge.run(command(bad, action, number, arguments=dict(case_of(action).arguments)))
        assert (ended.status, ended.code) == ("refused", "bad_name" if text else "bad_target")
    assert edge.calls() == []
    assert edge.world() == before
    assert canary.lives()
