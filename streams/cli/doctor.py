"""``logmend doctor`` looks whether all that Logmend needs is there, on this machine and at the broker."""

from __future__ import annotations

import asyncio
import ctypes
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

import click
import msgspec
import psutil
from msgspec import Struct
from packaging.requirements import Requirement

from analytics.budget import GIGABYTE, WARNING_SHARE, used_bytes
from streams.advise.asking import asker_of
from streams.cli import files
from streams.cli.home import DATA_DIR_ADVICE, nearest
from streams.cli.output import json_option, print_json, print_table
from streams.cli.steering import directory_now
from streams.core.config import Inventory
from streams.core.errors import InputError
from streams.core.inventory import ServiceSpec
from streams.notify.channels import described, is_configured
from streams.notify.journal import counts, journal_dir
from streams.ports import Registered
from streams.runtime.address import bootstrap
from streams.runtime.admin import Admin
from streams.runtime.registry import ASKED_AND_ANSWERED, Registry
from streams.settings import Settings
from streams.web.tokens import TokenFile, check_tokens
from streams.workers.permits import NO, permits
from streams.workers.processors import Processors
from streams.workers.readings import readings

GOOD, WARNING, BAD = "ok", "warning", "bad"
DISK_FREE_MIN: Final = 1 << 30
MEMORY_MIN: Final = 3 << 29
CLOCK_UNSYNCHRONISED: Final = 5
CONNECT_SECONDS: Final = 3.0
WORDS: Final = {GOOD: "ok", WARNING: "look", BAD: "BAD"}


class Finding(Struct, frozen=True, kw_only=True):
    """What one check found. ``state``: ok, warning (it works, but look), bad."""

    check: str
    state: str
    text: str


def _good(check: str, text: str) -> Finding:
    return Finding(check=check, state=GOOD, text=text)


def _warning(check: str, text: str) -> Finding:
    return Finding(check=check, state=WARNING, text=text)


def _bad(check: str, text: str) -> Finding:
    return Finding(check=check, state=BAD, text=text)


def packages(_settings: Settings) -> Iterator[Finding]:
    """Look for every package that we need, in a version that we take."""
    try:
        wanted = [Requirement(text) for text in requires("logmend") or ()]
    except PackageNotFoundError:
        yield _warning("packages", "logmend is not installed but run from its source: nothing says what it needs")
        return
    for requirement in wanted:
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            yield _bad("packages", f"{requirement} is not installed: install logmend again")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            yield _bad("packages", f"{requirement.name} is {found}, wanted {requirement.specifier}")
    yield _good(
        "packages", f"logmend {version('logmend')} and {len(wanted)} packages on Python {platform.python_version()}"
    )


def data_directory(settings: Settings) -> Iterator[Finding]:
    """Try to write where everything local is kept, or where that will be made, and look for room."""
    directory = settings.data_dir
    there = nearest(directory)
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        yield _bad("data", f"{directory}: {error.strerror}; {DATA_DIR_ADVICE}")
        return
    free = shutil.disk_usage(there).free
    room = f"{free / 2**30:.1f} GiB free in {directory}{'' if there == directory else ', which will be made'}"
    yield _good("data", room) if free >= DISK_FREE_MIN else _warning("data", f"{room}: the log will soon have no room")


def budget(settings: Settings) -> Iterator[Finding]:
    """Say what the data directory takes of what it may take."""
    used, most = used_bytes(settings.data_dir) / GIGABYTE, settings.disk_budget_gb
    if not most:
        yield _good("budget", f"the data directory takes {used:.2f} GB, and is not limited: LOGMEND_DISK_BUDGET_GB")
        return
    text = f"the data directory takes {used:.2f} of {most:g} GB"
    if used < WARNING_SHARE * most:
        yield _good("budget", text)
    else:
        yield _warning("budget", f"{text}: from all of it on the oldest text of lines goes; decisions never do")


def memory(settings: Settings) -> Iterator[Finding]:
    """Look for memory for all processes and the embedded broker (1.2 GB)."""
    available = psutil.virtual_memory().available
    text = f"{available / 2**30:.1f} GiB available"
    enough = settings.brokers or available >= MEMORY_MIN
    yield _good("memory", text) if enough else _warning("memory", f"{text}; logmend up with its broker takes 1.2 GB")


def clock(_settings: Settings) -> Iterator[Finding]:
    """Ask the kernel whether the clock is kept in time: a pool whose clock is 5 s off refuses to act."""
    if sys.platform != "linux":
        yield _warning("clock", "can't be asked on this system")
        return
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    if state == CLOCK_UNSYNCHRONISED:
        yield _warning("clock", "not synchronised: run an NTP service; a pool that is 5 s off refuses to act")
    else:
        yield _good("clock", "synchronised")


def ports(settings: Settings) -> Iterator[Finding]:
    """Look whether the ports are free that the settings name."""
    wanted = {
        "LOGMEND_BROKER_PORT": settings.broker_port,
        "LOGMEND_METRICS_PORT": settings.metrics_port,
        "LOGMEND_ADVISE_PORT": settings.advise_port,
        "LOGMEND_WEB_PORT": settings.web_port,
    }
    if settings.brokers or _broker_runs(settings):
        wanted.pop("LOGMEND_BROKER_PORT")
    for name, port in wanted.items():
        if port and not _is_free(port):
            yield _warning("ports", f"{name}={port} is in use: by logmend, or by something else")
    yield _good("ports", ", ".join(f"{name}={port or 'any'}" for name, port in wanted.items()))


def _broker_runs(settings: Settings) -> bool:
    try:
        bootstrap(settings)
    except InputError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def broker(settings: Settings) -> Iterator[Finding]:
    """Ask Kafka for an answer, and compare its topics with what they should be."""
    if not settings.brokers and not _broker_runs(settings):
        yield _good("broker", "none runs here; logmend up starts one")
        return
    try:
        problems = asyncio.run(_topic_problems(settings))
    except InputError as error:
        yield _bad("broker", str(error))
        return
    yield _good("broker", f"answers at {bootstrap(settings)}")
    yield from (_bad("topics", problem) for problem in problems)
    if not problems:
        yield _good("topics", f"all of fleet {settings.fleet} are as they should be")


async def _topic_problems(settings: Settings) -> list[str]:
    async with Admin(settings, connect_seconds=CONNECT_SECONDS) as admin:
        return await admin.problems()


def registry(settings: Settings) -> Iterator[Finding]:
    """Ask the schema registry for its first schema, if there is one to ask."""
    if settings.schema_registry:
        yield asyncio.run(_registry(settings.schema_registry))


async def _registry(address: str) -> Finding:
    async with Registry(address) as asked:
        answer = (await asked.get([1]))[1]
    if isinstance(answer, Registered) or answer in ASKED_AND_ANSWERED:
        return _good("registry", f"answers at {asked.address}")
    advice = "Confluent's records become dead letters; look at LOGMEND_SCHEMA_REGISTRY"
    return _bad("registry", f"{answer}, at {asked.address}: {advice}")


def host(settings: Settings) -> Iterator[Finding]:
    """Say how full this host is, and what may be done to those services of the inventory that are on it."""
    limits = {"memory": settings.host_memory_percent_max, "disk": settings.host_disk_percent_max}
    for one in (reading for reading in readings(Processors()) if reading.metric in limits):
        text = f"{one.metric} {one.of}".strip() + f": {one.value:.0f} % used, limit {limits[one.metric]:.0f} %"
        yield _good("host", text) if one.value <= limits[one.metric] else _warning("host", text)
    try:
        services = _inventory(settings)
    except InputError as error:
        yield _warning("host", f"what may be done to its services is not known: {error}")
        return
    found = permits(services, settings.host, settings.tool_path)
    if not found:
        yield _good("host", f"no service of the inventory is on {settings.host}")
    yield from (_warning("host", str(one)) if one.state == NO else _good("host", str(one)) for one in found)


def _inventory(settings: Settings) -> tuple[ServiceSpec, ...]:
    """Return the services of the local file, else of the inventory in force; none where no broker runs yet."""
    if settings.services is not None:
        given = files.read(settings.services)
        return given.services if isinstance(given, Inventory) else ()
    if not settings.brokers and not _broker_runs(settings):
        return ()
    if any(": missing" in problem for problem in asyncio.run(_topic_problems(settings))):
        raise InputError("topics are missing")
    return directory_now(settings).inventory.services


def advisors(settings: Settings) -> Iterator[Finding]:
    """Look whether the model that the settings name can be asked; it is not asked, for that may cost money."""
    try:
        asker = asker_of(settings)
    except InputError as error:
        yield _bad("advisors", str(error))
        return
    if asker is None:
        yield _good("advisors", "no model: where phases 2 and 3 would ask one, the rules decide")
        return
    name = f"{asker.provider.name}, {asker.provider.model}"
    calls, usd = settings.advise_budget_calls_hour, settings.advise_budget_usd_hour
    yield _good("advisors", f"{name}; within an hour {calls} questions and {usd:g} USD at most")


def notices(settings: Settings) -> Iterator[Finding]:
    """Say who is told of what waits for a person, and whether all of it was delivered; nothing is sent."""
    try:
        who, (waiting, dead) = described(settings), counts(journal_dir(settings.data_dir))
    except InputError as error:
        yield _bad("notices", str(error))
        return
    if not is_configured(settings):
        yield _good("notices", "nobody is told of escalations: see LOGMEND_MAIL_TO, LOGMEND_WEBHOOKS")
        return
    text = f"{who}; {waiting} messages wait, {dead} were given up within 30 days"
    yield _good("notices", text) if not dead else _warning("notices", f"{text}: look at the log of notify")


def web(settings: Settings) -> Iterator[Finding]:
    """Say who may use the web."""
    try:
        check_tokens(settings)
        known = TokenFile(settings.data_dir).all()
    except InputError as error:
        yield _bad("web", str(error))
        return
    good = sum(not token.revoked_ms for token in known)
    who = f"whoever has one of {good} tokens" if known else "whoever is on this machine, until there is a token"
    yield _good("web", f"for {who}, on {settings.web_host}")


CHECKS: Final[tuple[Callable[[Settings], Iterator[Finding]], ...]] = (
    packages,
    data_directory,
    budget,
    memory,
    clock,
    ports,
    broker,
    registry,
    host,
    advisors,
    notices,
    web,
)


@click.command()
@json_option
def doctor(as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Check packages, disk, budget, memory, clock, ports, broker, topics, registry, host, advisors, notices, web.

    Exit status 1 when something is bad.

    \b
    Example:
      logmend doctor
    """
    settings = Settings.load()
    findings = [finding for check in CHECKS for finding in check(settings)]
    if as_json:
        print_json(msgspec.to_builtins(findings))
    else:
        print_table(("check", "", "finding"), ((f.check, WORDS[f.state], f.text) for f in findings))
    if any(finding.state == BAD for finding in findings):
        raise click.exceptions.Exit(1)
