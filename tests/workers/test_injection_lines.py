"""Hostile lines through the real slicer and the real fold: what they say reaches no command."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import msgspec

from streams.catalogue.actions import actions
from streams.core.config import Inventory, Policy, canonical
from streams.core.events import Command, Decision, Took
from streams.core.inventory import ServiceSpec, Switch
from streams.ingest import matcher
from streams.ingest.slicer import Slicer
from streams.topics import Topics
from streams.workers.orders import order_of
from tests.contract.actions_cases import BARE
from tests.core.world import World
from tests.ingest.given import TOPIC, Given, json
from tests.workers.injection import corpus
from tests.workers.kit import HOST

FAULTS: Final = (
    "java.lang.OutOfMemoryError: Java heap space",
    "write failed: No space left on device",
    "sqlite3.OperationalError: database is locked",
    "bind: Address already in use",
    "connect: Connection refused",
    "FATAL: remaining connection slots are reserved: too many connections",
    "x509: certificate has expired or is not yet valid",
    "segfault at 0 ip 00007f error 4, core dumped",
    "invalid configuration: syntax error near unexpected token",
    "503 Service Unavailable",
)
"""Lines of which each is a pattern of the catalogue, so that something is done about the service that says it."""
ROUND_SECONDS: Final = 400.0
FREE: Final = Policy(
    attempts_max=50,
    cooldown_ms=0,
    budget_per_target=100_000,
    budget_per_service=100_000,
    budget_total=100_000,
    blast_radius_share=1.0,
    breaker_failures=100_000,
    quiet_close_ms=10_000,
)
"""A policy that holds nothing back."""


def declared(service_type: str) -> ServiceSpec:
    """Return a service of a type that declares all that there is to declare."""
    switches = {
        kind: Switch(kind=kind, file=f"/srv/{kind}", values=("1", "2"))
        for kind in ("feature", "upstream", "replicas", "traffic")
    }
    own: dict[str, dict[str, Any]] = {
        "process": {"argv": ("/srv/bin/orders",), "pid_file": "/run/orders.pid"},
        "http": {"base_url": "http://127.0.0.1:8080", "calls": {"restart": "POST /restart"}},
    }
    return ServiceSpec(
        name=f"orders-{service_type}",
        host=HOST,
        type=service_type,
        mode="auto",
        port=8080,
        lock_files=("/srv/orders.db",),
        config_files=("/srv/orders.toml",),
        checkpoint_dir="/srv/kept",
        reload_signal="HUP",
        switches=switches,
        caches=("/srv/cache",),
        tools={name: (f"/srv/bin/{name}",) for name in ("renew_certificate", "end_idle_sessions")},
        rotate_log=True,
        log_file="/srv/orders.log",
        **{**BARE[service_type], **own.get(service_type, {})},
    )


SERVICES: Final = tuple(declared(service_type) for service_type in BARE)


def records(text: str, fault: str, spec: ServiceSpec) -> Iterator[Given]:
    """Yield records in which a text stands wherever a producer can put one, about a fault of a real service."""
    raw = text.encode("utf-8", "replace")
    said = f"{fault} {text}"
    values: list[tuple[bytes, bytes | None, tuple[tuple[str, bytes], ...]]] = [
        (json(service=spec.name, host=HOST, level="error", message=said), None, ()),
        (json(service=text, host=HOST, level="error", message=fault), None, ()),
        (json(service=spec.name, host=text, level="error", message=fault), None, ()),
        (
            json(service=spec.name, host=HOST, message=fault, action=text, target=text, argv=[text], command=text),
            None,
            (),
        ),
        (f"Feb  1 10:00:00 {text} {spec.name}[7]: {fault}".encode(), None, ()),
        (f"Feb  1 10:00:00 {HOST} {text}[7]: {fault}".encode(), None, ()),
        (said.encode(), raw, ()),
        (fault.encode(), spec.name.encode(), (("service", raw), ("host", raw), ("action", raw), (text[:64], b"x"))),
        (raw, None, (("service", spec.name.encode()),)),
    ]
    for value, key, headers in values:
        yield Given(value, key=key, headers=headers)


class Pipeline:
    """A real slicer before a real fold, with every type of service, and a pool that says that nothing helped."""

    def __init__(self) -> None:
        self.world = World()
        self.commands: list[Command] = []
        self._slicer = Slicer(matcher.shipped(), Topics())
        self._next = 0
        self.world.apply("policy", FREE)
        self.world.apply("inventory", Inventory(services=SERVICES))
        self.world.feed(Took(source=TOPIC, partition=0, term=1, nonce="n", owner="o"))

    def say(self, given: list[Given]) -> None:
        """Give the slicer records, and the fold what it makes of them."""
        stamped = [
            Given(one.value, self._next + place, one.key, one.headers, self.world.ms) for place, one in enumerate(given)
        ]
        for piece in self._slicer.cut(TOPIC, 0, 1, stamped, self._next).slices:
            self._answer(self.world.feed(piece))
        self._answer(self.world.wait(2.0))
        self._next += len(given)

    def _answer(self, decided: list[Decision]) -> None:
        """Let each command fail, until there is none."""
        for decision in decided:
            if decision.command is not None:
                self.commands.append(decision.command)
            if decision.kind == "commanded" and decision.command is not None:
                self._answer(self.world.outcome(decision.command.id, ok=False, command_seq=decision.command.seq))


@cache
def commanded() -> tuple[Command, ...]:
    """Return every command that the corpus brought about."""
    pipeline = Pipeline()
    for number, hostile in enumerate(corpus()):
        spec, fault = SERVICES[number % len(SERVICES)], FAULTS[number % len(FAULTS)]
        pipeline.say(list(records(hostile.text, fault, spec)))
    return tuple(pipeline.commands)


def acting() -> list[Command]:
    """Return those that change something."""
    return [one for one in commanded() if one.kind == "recovery"]


def test_the_lines_do_bring_commands_about() -> None:
    """The corpus is said by services that are acted on: there are commands for every type, by many actions."""
    assert {command.service_type for command in acting()} >= {"process", "systemd", "docker", "hybrid", "kubernetes"}
    assert len({command.action for command in acting()}) > 20


def test_a_target_is_an_entry_of_the_inventory() -> None:
    """Service, host, type and target of every command are those of one entry of the inventory, byte for byte."""
    entries = {(spec.host, spec.name, spec.type, canonical(spec)) for spec in SERVICES}
    assert {(one.host, one.service, one.service_type, one.target) for one in commanded()} <= entries


def test_an_action_is_one_of_the_catalogue() -> None:
    """Action and strategy of every command stand in the catalogue, in one row."""
    rows = {(row.id, row.strategy) for row in actions().values()}
    assert {(one.action, one.strategy) for one in acting()} <= rows


def test_an_argument_is_declared() -> None:
    """Every argument of every command is a name or a value that the inventory declares, whatever the lines say."""
    allowed = {
        "call": {"restart"},
        "port": {"8080"},
        "lock_file": {"/srv/orders.db"},
        "switch": {"feature", "upstream", "replicas", "traffic"},
    }
    given = {(argument.name, argument.value) for one in acting() for argument in one.arguments}
    assert given
    assert all(value in allowed.get(name, ()) for name, value in given)


def test_every_command_is_in_order() -> None:
    """Whatever the lines were, a pool would take each command for what it is: the order of the catalogue's action."""
    assert all(order_of(one).action.id == one.action for one in acting())


def test_no_text_is_in_a_command() -> None:
    """No text of the corpus of four characters and more stands anywhere in a command."""
    bodies = b"\n".join({msgspec.json.encode(one) for one in commanded()}).decode()
    texts = [hostile.text for hostile in corpus() if len(hostile.text) > 3]
    assert [text for text in texts if text in bodies] == []
