"""From a command to an order: everything in it is checked before anything is done with it.

A command is data from a topic. What may be run is what the catalogue names, on what the inventory declares, with
arguments that the catalogue types. Whatever else is in it makes ``RefusedError``, whose ``code`` goes into the outcome.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Container, Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from streams.catalogue.actions import ActionSpec, ParameterValue, actions
from streams.core.config import canonical
from streams.core.errors import InputError
from streams.core.events import Command
from streams.core.inventory import ProbeSpec, ServiceSpec, check_service
from streams.core.strategy import has

COMMAND_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}")
SERVICE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
TARGET_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:-]{0,252}")
"""Units (``getty@tty1.service``), containers, namespaces, deployments, contexts of kubectl."""
LOCKING: Final = frozenset({"start", "stop", "restart", "kill_blocker", "rollback_config", "checkpoint"})
"""Verbs that hold the lock of a process, which is beside its pid file."""
VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
CALL: Final = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE) (/[!-~]{0,1023})")
HOST_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?|[0-9a-f:.]*:[0-9a-f:.]*")
"""Of a URL: labels of plain letters, or an address of IPv6."""
ADDRESS: Final = re.compile(r"(?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}")
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
SHELLS: Final = frozenset(
    {
        "sh",
        "ash",
        "bash",
        "busybox",
        "csh",
        "dash",
        "fish",
        "ksh",
        "mksh",
        "posh",
        "rbash",
        "tcsh",
        "toybox",
        "yash",
        "zsh",
    }
)
INLINE: Final = re.compile(r"-(?!-).*[cC]|--(init-)?command|--(rc|init)-?file")
"""Options of shells that are followed by commands, or by a file of commands to run first."""
VERSION: Final = re.compile(r"[-.0-9]+\Z")
WRAPPERS: Final = frozenset(
    {
        *("capsh", "chroot", "chrt", "doas", "env", "flock", "gdb", "gosu", "ionice", "nice", "nohup", "nsenter"),
        *("pkexec", "prlimit", "runuser", "script", "setarch", "setpriv", "setsid", "start-stop-daemon", "stdbuf"),
        *("strace", "su", "su-exec", "sudo", "systemd-run", "taskset", "time", "timeout", "unshare", "watch", "xargs"),
    }
)
VARIABLES_BARRED: Final = frozenset(
    {
        "BASH_ENV",
        "ENV",
        "GCONV_PATH",
        "IFS",
        "LD_AUDIT",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "LOGMEND_COMMAND_ID",
        "LOGMEND_PID_FILE",
        "PERL5DB",
        "PERL5OPT",
        "PROMPT_COMMAND",
        "PS4",
        "PYTHONINSPECT",
        "PYTHONSTARTUP",
        "RUBYOPT",
        "SHELLOPTS",
    }
)
ROOTS_BARRED: Final = ("/proc", "/sys", "/dev")
ARGUMENTS_MAX: Final = 64
VARIABLES_MAX: Final = 128
FILES_MAX: Final = 32
TEXT_MAX: Final = 4096
TARGET_BYTES_MAX: Final = 262_144


class RefusedError(InputError):
    """A command that is not carried out; ``code`` is the short word that its outcome carries."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Order(Struct, frozen=True):
    """A command that passed all checks of its contents: what to do, to what, with which typed values."""

    command_id: str
    spec: ServiceSpec
    action: ActionSpec
    values: dict[str, ParameterValue]
    timeout_ms: int
    repeatable: bool
    """Whether it may be run again after a crash."""


def order_of(command: Command) -> Order:
    """Return the order that a command stands for; ``RefusedError`` when any part of it is not allowed."""
    action = actions().get(command.action)
    if action is None:
        raise RefusedError("unknown_action", f"the catalogue has no action {command.action[:64]!r}")
    _check(COMMAND_ID.fullmatch(command.id) is not None, "bad_id", "the command's id is not one of ours")
    spec = _spec_of(command)
    _check(
        action.service_type == spec.type == command.service_type, "wrong_type", f"{action.id} is not for {spec.type}"
    )
    _check_parts(spec, action)
    check_entry(spec)
    _check(
        spec.type != "process" or action.verb not in LOCKING or bool(spec.pid_file),
        "bad_path",
        "the inventory declares no pid_file",
    )
    try:
        values = action.parse(command.arguments)
    except InputError as error:
        raise RefusedError("bad_argument", str(error)) from error
    _check_declared(spec, action, values)
    timeout_ms = min(command.timeout_ms, action.timeout_ms)
    _check(timeout_ms > 0, "bad_argument", "timeout_ms must be positive")
    return Order(
        command_id=command.id,
        spec=spec,
        action=action,
        values=values,
        timeout_ms=timeout_ms,
        repeatable=(command.repeatable and action.repeatable) or _only_reads(spec, values),
    )


def may_repeat(command: Command) -> bool:
    """Say whether a command that may have begun can be run again: it and the catalogue say so, or it only reads."""
    try:
        return order_of(command).repeatable
    except RefusedError:
        return False


def _only_reads(spec: ServiceSpec, values: Mapping[str, ParameterValue]) -> bool:
    return "call" in values and spec.calls[str(values["call"])].partition(" ")[0] in {"GET", "HEAD"}


def _check(passed: bool, code: str, message: str) -> None:  # noqa: FBT001 - reads as the condition it is
    if not passed:
        raise RefusedError(code, message)


def _spec_of(command: Command) -> ServiceSpec:
    """Decode the target; it must be the one canonical form of the very service and host that the command names."""
    _check(len(command.target) <= TARGET_BYTES_MAX, "bad_target", "the target is too large")
    try:
        spec = msgspec.json.decode(command.target, type=ServiceSpec)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RefusedError("bad_target", f"the target is not an inventory entry: {error}") from error
    _check(canonical(spec) == command.target, "bad_target", "the target is not in canonical form")
    _check(spec.name == command.service and spec.host == command.host, "bad_target", "the target is another service")
    return spec


def _check_parts(spec: ServiceSpec, action: ActionSpec) -> None:
    """Let nothing be done with a part of the service that its entry does not have."""
    for part in action.requires:
        _check(has(spec, part), "not_declared", f"{action.id} needs {part}, and the inventory declares none")
    if action.verb == "reload" and spec.type in {"process", "docker"}:  # a unit tells these nothing
        _check(bool(spec.reload_signal), "not_declared", f"{action.id} needs reload_signal")


def _check_declared(spec: ServiceSpec, action: ActionSpec, values: Mapping[str, ParameterValue]) -> None:
    """Let an argument name no part of the service but one that the inventory declares, and that the action is for."""
    kinds = {kind for what, _, kind in (part.partition(":") for part in action.requires) if what == "switch"}
    declared: dict[str, Container[object]] = {
        "call": spec.calls,
        "port": (spec.port,),
        "lock_file": spec.lock_files,
        "switch": [name for name, switch in spec.switches.items() if switch.kind in kinds],
    }
    for name, allowed in declared.items():
        _check(name not in values or values[name] in allowed, "bad_argument", f"the inventory declares no such {name}")


def check_entry(spec: ServiceSpec) -> None:
    """Raise ``RefusedError`` for an inventory entry on which nothing would be carried out, whatever the action."""
    _check(
        SERVICE_NAME.fullmatch(spec.name) is not None,
        "bad_name",
        "the service's name has characters beyond A-Za-z0-9._-",
    )
    _check_environment(spec.environment)
    _check_files(spec)
    _check_switches(spec)
    _check_names(spec)
    for argv in spec.tools.values():
        _check_command_line(argv)
    if spec.type == "process" and spec.argv:
        _check_command_line(spec.argv)
        _check(bool(spec.pid_file), "bad_path", "the inventory declares no pid_file")
    if spec.type == "http":
        _check_url(spec.base_url)
        for name, call in spec.calls.items():
            _check(SERVICE_NAME.fullmatch(name) is not None, "bad_call", "a call's name is not allowed")
            _check(CALL.fullmatch(call) is not None and ".." not in call, "bad_call", f"{name} is not METHOD /path")
    for probe in spec.probes:
        _check_probe(probe)
    try:
        check_service(spec)
    except InputError as error:
        raise RefusedError("bad_target", str(error)) from error


def _check_switches(spec: ServiceSpec) -> None:
    for switch in spec.switches.values():
        for value in switch.values:
            plain = len(value) <= TEXT_MAX and not CONTROL.search(value) and value == value.strip()
            _check(plain, "bad_switch", f"{value[:80]!r} is not a plain value of a switch")


def _check_probe(probe: ProbeSpec) -> None:
    """Let a probe ask nothing but a plain address or file."""
    target = probe.target
    _check(len(target) <= TEXT_MAX and not CONTROL.search(target), "bad_probe", "a probe's target is not plain text")
    match probe.kind:
        case "http" if "://" in target:
            _check_url(target.partition("?")[0])
        case "http":
            _check(not target or CALL.fullmatch(f"GET {target}") is not None, "bad_probe", f"{target!r} is not a path")
        case "tcp":
            _check(not target or ADDRESS.fullmatch(target) is not None, "bad_probe", f"{target!r} is not host:port")
        case "certificate" | "disk" if target.startswith("/"):
            plain = _is_plain_path(target) or (target == "/" and probe.kind == "disk")
            _check(plain, "bad_probe", f"{target!r} is not a plain path")
        case "certificate":
            _check(ADDRESS.fullmatch(target) is not None, "bad_probe", f"{target!r} is not host:port")
        case "disk":
            _check(not target, "bad_probe", f"{target!r} is not a plain path")


def _check_names(spec: ServiceSpec) -> None:
    """Let no name that a program of the host is given look like an option, a path or a pattern."""
    for what in ("unit", "container", "namespace", "deployment", "context"):
        name = getattr(spec, what)
        _check(not name or TARGET_NAME.fullmatch(name) is not None, "bad_name", f"{what} {name[:80]!r} is not allowed")


def _check_command_line(argv: tuple[str, ...]) -> None:
    """No shell and no wrapper that would run another program: the program itself, by its absolute path."""
    _check(0 < len(argv) <= ARGUMENTS_MAX, "bad_argv", "argv must have 1 to 64 items")
    for item in argv:
        _check(len(item) <= TEXT_MAX and not CONTROL.search(item), "bad_argv", "an item of argv is not plain text")
    _check(_is_plain_path(argv[0]), "bad_argv", "argv[0] must be an absolute path")
    program = VERSION.sub("", posixpath.basename(argv[0]))
    _check(program not in WRAPPERS, "bad_argv", f"{program} would run another program: name that one")
    inline = any(INLINE.match(item) for item in argv[1:])
    _check(
        program not in SHELLS or not (inline or program in {"busybox", "toybox"}),
        "bad_argv",
        "a shell with -c is not allowed",
    )
    _check(not program.startswith("ld-linux"), "bad_argv", "the loader would run another program: name that one")


def _check_environment(environment: dict[str, str]) -> None:
    _check(len(environment) <= VARIABLES_MAX, "bad_environment", "too many variables")
    for name, value in environment.items():
        _check(VARIABLE_NAME.fullmatch(name) is not None, "bad_environment", "a variable's name is not allowed")
        _check(name not in VARIABLES_BARRED, "bad_environment", f"{name} may not be set")
        _check(len(value) <= TEXT_MAX and not CONTROL.search(value), "bad_environment", f"{name} is not plain text")


def _check_files(spec: ServiceSpec) -> None:
    switches = tuple(switch.file for switch in spec.switches.values())
    declared = (spec.cwd, spec.pid_file, spec.log_file, spec.checkpoint_dir, *spec.caches, *switches)
    _check(
        len(spec.lock_files) + len(spec.config_files) + len(switches) + len(spec.caches) <= FILES_MAX,
        "bad_path",
        "too many files",
    )
    for path in _given((*declared, *spec.lock_files, *spec.config_files)):
        _check(_is_plain_path(path), "bad_path", f"{path[:128]!r} is not an absolute, plain path")
    _check(all((*spec.lock_files, *spec.config_files)), "bad_path", "an empty path")
    _check(0 <= spec.port <= 65_535, "bad_port", "port must be 0 to 65535")


def _given(paths: Iterable[str]) -> Iterable[str]:
    return (path for path in paths if path)


def _is_plain_path(path: str) -> bool:
    """Absolute, already normalised, without control characters, outside the kernel's own trees."""
    return (
        path.startswith("/")
        and not path.startswith("//")
        and len(path) <= TEXT_MAX
        and posixpath.normpath(path) == path
        and path != "/"
        and not CONTROL.search(path)
        and not any(path == root or path.startswith(root + "/") for root in ROOTS_BARRED)
    )


def _check_url(url: str) -> None:
    """Only plain ``http[s]://host[:port][/path]``: no credentials, query or fragment."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RefusedError("bad_url", "base_url is not a URL") from error
    plain = url.isascii() and not CONTROL.search(url) and not {" ", "\\"} & set(url) and len(url) <= TEXT_MAX
    _check(plain and ".." not in url, "bad_url", "base_url has characters that a URL can't have")
    _check(parts.scheme in {"http", "https"} and bool(parts.hostname), "bad_url", "base_url must be http[s]://host")
    _check(HOST_NAME.fullmatch(parts.hostname or "") is not None, "bad_url", "the host of base_url is not a plain name")
    _check("@" not in parts.netloc and not parts.query and not parts.fragment, "bad_url", "base_url must be plain")
    _check(port is None or port > 0, "bad_url", "the port of base_url is not one")
