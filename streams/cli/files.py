"""Files that people apply: TOML in, typed configuration out, with the line that says what is wrong."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.catalogue.actions import actions
from streams.core import config
from streams.core.config import Config, Inventory, Policy, RuleSet, RuleSpec, ZoneSpec
from streams.core.errors import InputError
from streams.core.events import ConfigApplied
from streams.core.experience import Experience, LessonSpec, name_of
from streams.core.inventory import ProbeSpec, ServiceSpec, Switch, check_service
from streams.ingest import rules, zones
from streams.workers.orders import RefusedError, check_entry

UNKNOWN: Final = re.compile(
    r"unknown field `(?P<field>[^`]*)`(?:.*\.(?P<part>services|zones|rules|probes|switches|lessons)\[)?"
)
"""msgspec's words for a field that is not known, with the list that it stands in."""
PARTS: Final = {
    "services": ServiceSpec,
    "zones": ZoneSpec,
    "rules": RuleSpec,
    "probes": ProbeSpec,
    "switches": Switch,
    "lessons": LessonSpec,
}
FILE_BYTES_MAX: Final = 600_000
"""What is applied travels as one event, which is at most 1 MB."""


def read(path: Path) -> Config:
    """Return what a TOML file holds; ``InputError`` naming file and fault otherwise.

    Tables ``[[services]]`` or ``[[zones]]`` make an inventory, ``[[rules]]`` a rule set, ``[[lessons]]`` what others
    learnt; anything else is a policy.
    """
    try:
        data = path.read_bytes()
        table = tomllib.loads(data.decode())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    if len(data) > FILE_BYTES_MAX:
        raise InputError(f"{path}: {len(data)} bytes of at most {FILE_BYTES_MAX}: split the fleet")
    kind = _type_of(table, path)
    try:
        value = msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}{_nearest(str(error), kind)}") from error
    faults = [f"{path}: {fault}" for fault in lint(value)]
    if faults:
        raise InputError("; ".join(faults))
    return value


def read_checked(path: Path) -> Config:
    """``read``; rules must also compile and match their own examples."""
    value = read(path)
    if isinstance(value, RuleSet):
        wrong = [f"{found.rule}: {found.problem}" for found in rules.lint(path) if found.level == rules.ERROR]
        if wrong:
            raise InputError(f"{path}: {'; '.join(wrong)}")
    return value


def _nearest(error: str, kind: type[Config]) -> str:
    """Return what to write instead of a field that is not known, or all that are; nothing for any other error."""
    found = UNKNOWN.search(error)
    if not found:
        return ""
    struct = PARTS[found["part"]] if found["part"] else kind
    known = struct.__struct_fields__
    close = difflib.get_close_matches(found["field"], known, n=1)
    return f": did you mean {close[0]}?" if close else f": there are {', '.join(known)}"


def _type_of(table: dict[str, Any], path: Path) -> type[Config]:
    if not table:
        raise InputError(
            f"{path}: empty; write [[services]], [[zones]], [[rules]], [[lessons]] or the settings of a policy"
        )
    if "services" in table or "zones" in table:
        return Inventory
    if "lessons" in table:
        return Experience
    return RuleSet if "rules" in table else Policy


def kind_of(value: Config) -> str:
    """Return the kind under which a configuration is applied: policy, rules, inventory or lessons."""
    return next(kind for kind, type_ in config.CONFIG_TYPES.items() if isinstance(value, type_))


def applied(value: Config, author: str) -> ConfigApplied:
    """Return the event that puts a configuration in force."""
    body = config.canonical(value)
    return ConfigApplied(kind=kind_of(value), sha256=config.sha256(body), author=author, body=body)


def lint(value: Config) -> Iterator[str]:
    """Yield what is wrong with a configuration beyond its shape."""
    if isinstance(value, Inventory):
        yield from _lint_inventory(value)
    elif isinstance(value, RuleSet):
        yield from (f"rule {name} is there {count} times" for name, count in _repeated(r.id for r in value.rules))
    elif isinstance(value, Experience):
        yield from _lint_experience(value)
    else:
        yield from _lint_policy(value)


def _lint_policy(policy: Policy) -> Iterator[str]:
    for field in msgspec.structs.fields(policy):
        number = getattr(policy, field.name)
        if not 0 <= number < math.inf:
            yield f"{field.name} is {number}, and must be a number from 0"
    if policy.cooldown_factor < 1:
        yield f"cooldown_factor is {policy.cooldown_factor}, and must be at least 1"
    for name in (
        "blast_radius_share",
        "exploration_rate",
        "learned_confidence_min",
        "advice_confidence_min",
        "predicted_confidence_min",
        "forgetting",
        "risk_auto_max",
    ):
        if getattr(policy, name) > 1:
            yield f"{name} is {getattr(policy, name)}, and must be at most 1"


def _lint_experience(experience: Experience) -> Iterator[str]:
    try:
        config.check(experience)
    except InputError as error:
        yield str(error)
    unknown = sorted({one.action for one in experience.lessons} - actions().keys())
    yield from (f"there is no action {action}" for action in unknown)


def _lint_inventory(inventory: Inventory) -> Iterator[str]:
    if len(inventory.services) > config.SERVICES_MAX:
        yield f"{len(inventory.services)} services of at most {config.SERVICES_MAX}"
    names = [service.name for service in inventory.services]
    yield from (f"service {name} is there {count} times" for name, count in _repeated(names))
    known = frozenset(names)
    for service in inventory.services:
        yield from (f"service {service.name or '(no name)'}: {fault}" for fault in _lint_service(service, known))
    yield from _lint_zones(inventory.zones)


def _lint_zones(specs: tuple[ZoneSpec, ...]) -> Iterator[str]:
    if len(specs) > config.ZONES_MAX:
        yield f"{len(specs)} zones of at most {config.ZONES_MAX}"
    for spec in specs:
        if [bool(name) for name in (spec.service, spec.host, spec.topic)].count(True) != 1:
            yield f"zone {spec.zone!r}: give exactly one of service, host and topic"
        if not zones.known(spec.zone):
            yield f"zone {spec.zone!r} is not known: write a name such as Europe/Berlin or UTC"
    sources = (config.zone_source(spec) for spec in specs)
    yield from (f"the zone of {source} is there {count} times" for source, count in _repeated(sources))


def _lint_service(service: ServiceSpec, known: frozenset[str]) -> Iterator[str]:
    try:
        check_service(service)
    except InputError as error:
        yield str(error).removeprefix(f"service {service.name}: ")
    yield from (f"depends on {name!r}, which is not in the file" for name in service.depends_on if name not in known)
    if service.mode != "observe":
        yield from _lint_target(service)
    if service.mode != "observe" and service.type == "process" and not (service.argv and service.pid_file):
        yield "to be acted on, a process needs argv and pid_file"
    if service.mode != "observe" and service.type == "http" and not service.base_url:
        yield "to be acted on, an http service needs base_url"


def _lint_target(service: ServiceSpec) -> Iterator[str]:
    """Yield what a worker would refuse about a service that is to be acted on, whatever the action."""
    try:
        check_entry(service)
    except RefusedError as error:
        yield f"nothing would be carried out: {error}"


def _repeated(names: Any) -> Iterator[tuple[str, int]]:
    return ((name, count) for name, count in Counter(names).items() if count > 1)


def differences(before: Config, after: Config) -> list[tuple[str, Any, Any]]:
    """Return (what, before, after) for each field that differs; what is listed in a table is compared by name.

    ``None`` stands for what is not there.
    """
    return list(_differing(_named(before), _named(after), ""))


def _named(value: Config) -> dict[str, Any]:
    if isinstance(value, Inventory):
        services = {service.name: msgspec.to_builtins(service) for service in value.services}
        return services | {f"zone of {config.zone_source(spec)}": spec.zone for spec in value.zones}
    if isinstance(value, Experience):
        return {name_of(one): f"{one.successes} of {one.successes + one.failures}" for one in value.lessons}
    if isinstance(value, RuleSet):
        return {rule.id: msgspec.to_builtins(rule) for rule in value.rules}
    fields: dict[str, Any] = msgspec.to_builtins(value)
    return fields


def _differing(before: dict[str, Any], after: dict[str, Any], path: str) -> Iterator[tuple[str, Any, Any]]:
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differing(old, new, f"{path}{key}.")
        elif old != new:
            yield f"{path}{key}", old, new
