"""Hostile commands and inventory entries: whatever is in a name, an argument or a target, nothing of it is run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from streams.catalogue.actions import actions
from streams.catalogue.codes import refusals
from streams.cli import files
from streams.core.commands import command_sha256
from streams.core.config import Inventory, canonical
from streams.core.events import Argument, Command
from streams.core.inventory import SWITCH_KINDS, ProbeSpec, ServiceSpec, Switch
from streams.workers.checks import check
from streams.workers.orders import RefusedError, check_entry, order_of
from tests.contract.actions_cases import ACTIONS, World, case_of, spec_of
from tests.contract.actions_fake import moment_of
from tests.workers.injection import Canary, corpus, refused_as
from tests.workers.kit import HOST, Executor, command, http_spec, process_spec, target

CORPUS_MIN: Final = 200
NO_PORT: Final = 1


@pytest.fixture
def canary(root: Path) -> Iterator[Canary]:
    """Yield the canary; whatever the test does, it must live."""
    made = Canary(root)
    yield made
    assert made.lives()


def service(root: Path, **fields: Any) -> ServiceSpec:
    """Return a service that would run the canary if it were started."""
    given: dict[str, Any] = {
        "name": "api",
        "host": HOST,
        "mode": "auto",
        "argv": (str(root / "canary"),),
        "pid_file": str(root / "api.pid"),
        "log_file": str(root / "api.log"),
    }
    return ServiceSpec(**{**given, **fields})


def managed(service_type: str, **fields: Any) -> ServiceSpec:
    """Return a service of a manager of the host."""
    given = {
        "systemd": {"unit": "orders.service"},
        "docker": {"container": "orders_1"},
        "kubernetes": {"namespace": "shop", "deployment": "orders", "context": "prod"},
    }[service_type]
    return ServiceSpec(name="orders", host=HOST, mode="auto", type=service_type, **{**given, **fields})


Spoil = Callable[[Path, str], ServiceSpec]
PLACES: Final[Mapping[str, tuple[str, Spoil]]] = {
    "name": ("name", lambda root, text: service(root, name=text)),
    "unit": ("name", lambda _, text: managed("systemd", unit=text)),
    "container": ("name", lambda _, text: managed("docker", container=text)),
    "namespace": ("name", lambda _, text: managed("kubernetes", namespace=text)),
    "deployment": ("name", lambda _, text: managed("kubernetes", deployment=text)),
    "context": ("name", lambda _, text: managed("kubernetes", context=text)),
    "pid_file": ("path", lambda root, text: service(root, pid_file=text)),
    "log_file": ("path", lambda root, text: service(root, log_file=text)),
    "cwd": ("path", lambda root, text: service(root, cwd=text)),
    "checkpoint_dir": ("path", lambda root, text: service(root, checkpoint_dir=text)),
    "config_files": ("path", lambda root, text: service(root, config_files=(text,))),
    "lock_files": ("path", lambda root, text: service(root, lock_files=(text,))),
    "caches": ("path", lambda root, text: service(root, caches=(text,))),
    "switch": ("path", lambda root, text: service(root, switches={"x": Switch("feature", text, ("on", "off"))})),
    "argv": ("path", lambda root, text: service(root, argv=(text,))),
    "tool": ("path", lambda root, text: service(root, tools={"renew_certificate": (text,)})),
    "certificate": (
        "path",
        lambda root, text: service(root, probes=(ProbeSpec(kind="certificate", target=text, limit=1),)),
    ),
    "program": ("program", lambda root, text: service(root, argv=(text, "-c", str(root / "canary")))),
    "variable": ("variable", lambda root, text: service(root, environment={text: str(root / "canary")})),
    "base_url": ("url", lambda _, text: http_spec(NO_PORT, base_url=text)),
    "probe": ("url", lambda _, text: http_spec(NO_PORT, probes=(ProbeSpec(kind="http", target=f"://{text}"),))),
    "call": ("call", lambda _, text: http_spec(NO_PORT, calls={"restart": text})),
    "value": ("value", lambda root, text: service(root, environment={"X": text})),
    "item": ("value", lambda root, text: service(root, argv=(str(root / "canary"), text))),
    "state": (
        "value",
        lambda root, text: service(root, switches={"x": Switch("feature", str(root / "x"), ("on", text))}),
    ),
}
"""Field of an inventory entry to the place that it is, and the entry with a text in it."""

ENTRIES: Final[tuple[dict[str, Any], ...]] = (
    {"argv": ("/bin/sh", "-ec", "/CANARY")},
    {"argv": ("/bin/bash", "-lc", "/CANARY")},
    {"argv": ("/bin/bash", "--norc", "-c", "/CANARY")},
    {"argv": ("/bin/bash", "--rcfile", "/CANARY")},
    {"argv": ("/usr/bin/fish", "-C", "/CANARY")},
    {"argv": ("/usr/bin/fish", "--init-command=/CANARY")},
    {"argv": ("/usr/bin/touch", *["/CANARY.made"] * 64)},
    {"argv": ("/proc/self/exe", "-c", "open('/CANARY.made', 'w')")},
    {"pid_file": ""},
    {"config_files": ("",)},
    {"port": -1},
    {"port": 70_000},
    {"reload_signal": "KILL"},
    {"reload_signal": "HUP --signal=KILL"},
    {"type": "shell"},
    {"tools": {"renew_certificate": ()}},
    {"tools": {"run": ("/CANARY",)}},
    {"switches": {"x": Switch(kind="feature", file="", values=("on", "off"))}},
    {"probes": (ProbeSpec(kind="exec", target="/CANARY"),)},
    {"probes": (ProbeSpec(kind="tcp", target="evil.example:80 /CANARY"),)},
    {"probes": (ProbeSpec(kind="http", target="/x HTTP/1.1\r\nX-Evil: 1"),)},
    {"probes": (ProbeSpec(kind="disk", target="../x", limit=1),)},
    {"environment": {f"X{number}": "" for number in range(129)}},
    {"config_files": tuple(f"/x/{number}" for number in range(33))},
)
"""Entries that are wrong in another way than by one text."""


def at(canary: Canary, value: Any) -> Any:
    """Put the canary in place of the sign for it."""
    match value:
        case str():
            return canary.put(value)
        case tuple():
            return tuple(at(canary, item) for item in value)
        case dict():
            return {name: at(canary, item) for name, item in value.items()}
        case _:
            return value


def hashed(command: Command, **fields: Any) -> Command:
    """Return a command with other fields and the right hash, as an attacker would write it."""
    changed = msgspec.structs.replace(command, **fields)
    return msgspec.structs.replace(changed, sha256=command_sha256(changed))


def hostile_entries(canary: Canary) -> Iterator[ServiceSpec]:
    """Yield every entry with a text in a place in which it is refused, and those that are wrong in another way."""
    root = canary.path.parent
    for place, spoil in PLACES.values():
        yield from (spoil(root, canary.put(text)) for text in refused_as(place))
    yield from (service(root, **at(canary, fields)) for fields in ENTRIES)


def test_the_corpus_is_large() -> None:
    """There are 200 different texts and more, of a dozen kinds, and no place of an entry without any."""
    assert len({hostile.text for hostile in corpus()}) > CORPUS_MIN
    assert len({hostile.kind for hostile in corpus()}) > 12
    assert all(refused_as(place) for place, _ in PLACES.values())


def test_the_canary_sings(root: Path) -> None:
    """The canary is a program that can be run, and it tells."""
    made = Canary(root)
    assert made.lives()
    subprocess.run([made.path], check=True)
    assert not made.lives()


def test_the_entry_before_it_is_spoilt_is_carried_out(root: Path, executor: Executor) -> None:
    """The command that the corpus spoils does run the canary when nothing is wrong with it."""
    made = Canary(root)
    executor.run(command(service(root), "process.start"))
    assert not made.lives()


# ---------------------------------------------------------------------------------------------------- the inventory


def test_no_hostile_entry_is_applied(canary: Canary) -> None:
    """An inventory with a hostile entry is refused by ``logmend apply``, with what is wrong."""
    passed = [spec for spec in hostile_entries(canary) if not list(files.lint(Inventory(services=(spec,))))]
    assert passed == []


def test_no_hostile_entry_is_worked_on(canary: Canary) -> None:
    """A hostile entry that got into an inventory nevertheless is refused by the pool, under a code with a meaning."""
    for spec in hostile_entries(canary):
        with pytest.raises(RefusedError) as refused:
            check_entry(spec)
        assert refused.value.code in refusals()


# ----------------------------------------------------------------------------------------------------- the commands


def whole(action: str, root: Path) -> Command:
    """Return a command that would be carried out: every part that the action needs is declared."""
    spec = spec_of(action, root, World(), web=NO_PORT, port=NO_PORT)
    return command(spec, action, arguments=dict(case_of(action).arguments))


@pytest.mark.parametrize("action", ACTIONS)
def test_no_text_becomes_an_argument_or_an_action(canary: Canary, action: str) -> None:
    """No text of the corpus is taken for an action's argument, for one more argument, or for the action itself."""
    good = whole(action, canary.path.parent)
    assert order_of(good).action.id == action
    names = [parameter.name for parameter in actions()[action].parameters]
    for hostile in corpus():
        text = canary.put(hostile.text)
        given = {argument.name: argument.value for argument in good.arguments}
        tried = [{**given, text: "1"}, *({**given, name: text} for name in names if name != "body")]
        bad = [tuple(Argument(name=name, value=value) for name, value in one.items()) for one in tried]
        for forged in (
            *(msgspec.structs.replace(good, arguments=arguments) for arguments in bad),
            msgspec.structs.replace(good, action=text),
            msgspec.structs.replace(good, action=f"{action}{text or ';'}"),
        ):
            with pytest.raises(RefusedError) as refused:
                order_of(forged)
            assert refused.value.code in {"bad_argument", "unknown_action"}


@pytest.mark.parametrize("action", [action for action in ACTIONS if case_of(action).switch])
def test_no_switch_of_another_kind_is_moved(root: Path, action: str) -> None:
    """An action that moves one kind of switch is refused any other, even one that the inventory declares."""
    spec = msgspec.json.decode(whole(action, root).target, type=ServiceSpec)
    others = [kind for kind in SWITCH_KINDS if kind != case_of(action).switch]
    switches = {kind: Switch(kind=kind, file=str(root / kind), values=("1", "2")) for kind in SWITCH_KINDS}
    spec = msgspec.structs.replace(spec, switches=switches)
    assert order_of(command(spec, action, arguments={"switch": case_of(action).switch}))
    for kind in others:
        with pytest.raises(RefusedError) as refused:
            order_of(command(spec, action, arguments={"switch": kind}))
        assert refused.value.code == "bad_argument"


@pytest.mark.parametrize("action", ACTIONS)
def test_no_forged_command_passes(canary: Canary, action: str) -> None:
    """A command with another target, service, host, type, kind, epoch, id or hash than was decided is refused."""
    good = whole(action, canary.path.parent)
    spec = msgspec.json.decode(good.target, type=ServiceSpec)
    other = msgspec.structs.replace(spec, owner="evil")
    forged = {
        "wrong_hash": [msgspec.structs.replace(good, strategy="x"), msgspec.structs.replace(good, sha256="")],
        "wrong_kind": [hashed(good, kind="shell"), hashed(good, kind="")],
        "wrong_host": [hashed(good, host=canary.put("h1; /CANARY"))],
        "wrong_epoch": [hashed(good, epoch=2)],
        "bad_id": [hashed(good, id=canary.put(text)) for text in refused_as("id")],
        "bad_target": [
            *(hashed(good, target=target) for target in (b"", b"{}", b"null", b"[" * 100_000, good.target + b" ")),
            hashed(good, target=b"x" * 300_000),
            hashed(good, target=canonical(other).replace(b'"evil"', b'"evil","shell":"sh"')),
            hashed(good, service="other"),
        ],
        "inventory_changed": [hashed(good, target=canonical(other))],
        "wrong_type": [hashed(good, service_type="shell")],
        "bad_argument": [hashed(good, timeout_ms=0), hashed(good, timeout_ms=-1)],
    }
    for code, commands in forged.items():
        for one in commands:
            with pytest.raises(RefusedError) as refused:
                check(one, moment_of(spec))
            assert refused.value.code == code


def test_nothing_hostile_is_carried_out(root: Path, canary: Canary, executor: Executor) -> None:
    """A real worker refuses every hostile entry and argument under its code; nothing is run, and no request is sent."""
    with target() as (port, seen):
        call = command(http_spec(port), "http.call", arguments={"call": "restart"})
        texts = [canary.put(hostile.text) for hostile in corpus()]
        commands = [
            *(command(spec, f"{spec.type}.verify") for spec in hostile_entries(canary)),
            *(command(service(root), "process.stop", arguments={"grace_ms": text}) for text in texts),
            *(command(http_spec(port), "http.call", arguments={"call": text}) for text in texts),
            *(command(service(root), text) for text in texts),
            hashed(call, arguments=call.arguments * 2),
            command(http_spec(port), "http.call", arguments={"call": "restart", "body": '"' + "a" * 5_000 + '"'}),
            command(service(root, port=8_000), "process.kill_blocker", arguments={"port": "22"}),
            command(service(root), "process.kill_blocker", arguments={"lock_file": "/var/lib/dpkg/lock"}),
        ]
        for hostile in commands:
            ended = executor.run(hostile)
            assert (ended.status, ended.result.effect) == ("refused", "none"), hostile
            assert ended.result.code in refusals()
    assert seen == []
    assert not (root / "api.pid").exists()


@pytest.mark.parametrize("kind", ["shell", "options", "templates", "environment"])
def test_what_may_stand_in_a_value_stays_text(root: Path, canary: Canary, executor: Executor, kind: str) -> None:
    """What looks like a command in an argument or a variable of a service reaches its program as it stands."""
    texts = tuple(canary.put(hostile.text) for hostile in corpus() if hostile.kind == kind)
    script = root / "say.py"
    script.write_text(
        f"import json, os, sys\njson.dump([sys.argv[1:], os.environ['X']], open('{root}/said', 'w'))", "utf-8"
    )
    argv = (sys.executable, "-I", str(script), *texts)
    ended = executor.run(command(process_spec(root, argv=argv, environment={"X": texts[0]}), "process.start"))
    assert ended.status == "done"
    assert msgspec.json.decode((root / "said").read_bytes()) == [list(texts), texts[0]]
