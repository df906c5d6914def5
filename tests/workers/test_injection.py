"""Hostile commands: whatever is in a name, an argument or a target, nothing of it is run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.core.commands import command_sha256
from streams.core.events import Command
from streams.core.inventory import ServiceSpec
from tests.workers.kit import Executor, command, http_spec, process_spec, target

CANARY = "/CANARY"
"""Stands for a file that exists as soon as anything hostile is run."""

TEXTS = (
    f"; touch {CANARY}",
    f"&& touch {CANARY}",
    f"| touch {CANARY}",
    f"|| touch {CANARY}",
    f"& touch {CANARY} &",
    f"`touch {CANARY}`",
    f"$(touch {CANARY})",
    f"${{IFS}}touch${{IFS}}{CANARY}",
    f"\ntouch {CANARY}\n",
    f"\r\ntouch {CANARY}",
    f"x\0touch {CANARY}",
    f"'; touch {CANARY}; '",
    f'"; touch {CANARY}; "',
    f"> {CANARY}",
    f">> {CANARY}",
    f"<(touch {CANARY})",
    f"!touch {CANARY}",
    f"%0atouch {CANARY}",
    f"{{touch,{CANARY}}}",
    f"../../../..{CANARY}",
    f"..{CANARY}",
    "/etc/passwd",
    "-rf",
    "--help",
    "api;",
    "api api",
    "\u0430pi",
    "api\u202egnp",
    "\x1b]0;title\x07",
    "",
    " ",
    ".",
    "..",
    "a" * 200,
    "{{7*7}}",
    "%s%s%n",
    "__import__('os').system('x')",
)
"""Tried as the service's name, as an argument and as a part of a call."""

PROCESS_FIELDS: tuple[dict[str, Any], ...] = (
    {"argv": ()},
    {"argv": ("/bin/sh", "-c", f"touch {CANARY}")},
    {"argv": ("/bin/bash", "-lc", f"touch {CANARY}")},
    {"argv": ("/bin/busybox", "touch", CANARY)},
    {"argv": ("/usr/bin/env", "touch", CANARY)},
    {"argv": ("/usr/bin/nohup", "touch", CANARY)},
    {"argv": ("/usr/bin/xargs", "touch", CANARY)},
    {"argv": ("/usr/bin/sudo", "touch", CANARY)},
    {"argv": ("touch", CANARY)},
    {"argv": ("./touch", CANARY)},
    {"argv": ("/bin/../bin/touch", CANARY)},
    {"argv": ("/bin//touch", CANARY)},
    {"argv": ("/usr/bin/touch", f"{CANARY}\n")},
    {"argv": ("/usr/bin/touch", f"{CANARY}\0")},
    {"argv": ("/usr/bin/touch", *[CANARY] * 64)},
    {"argv": ("/proc/self/exe", "-c", f"open('{CANARY}', 'w')")},
    {"environment": {"LD_PRELOAD": f"{CANARY}.so"}},
    {"environment": {"LD_AUDIT": f"{CANARY}.so"}},
    {"environment": {"BASH_ENV": CANARY}},
    {"environment": {"PYTHONSTARTUP": CANARY}},
    {"environment": {"LOGMEND_COMMAND_ID": "1-0-0"}},
    {"environment": {"X=Y; touch": CANARY}},
    {"environment": {"X": "a\nb"}},
    {"pid_file": ""},
    {"pid_file": "api.pid"},
    {"pid_file": "/tmp/../etc/api.pid"},
    {"pid_file": "/proc/self/oom_score_adj"},
    {"log_file": "/dev/mem"},
    {"log_file": "/sys/power/state"},
    {"cwd": "relative"},
    {"cwd": "/tmp/x\n"},
    {"config_files": ("../../etc/passwd",)},
    {"config_files": ("",)},
    {"lock_files": ("/proc/1/mem",)},
    {"checkpoint_dir": "/a/../b"},
    {"port": -1},
    {"port": 70_000},
)
URLS = (
    "file:///etc/passwd",
    "gopher://127.0.0.1/x",
    "javascript:alert(1)",
    "http://user:secret@127.0.0.1/",
    "http://127.0.0.1/?x=1",
    "http://127.0.0.1/#x",
    "http://127.0.0.1/../x",
    "http://127.0.0.1\r\nX-Evil: 1/",
    "http://127.0.0.1:99999/",
    "http://[::1/",
    "http:///x",
    "//127.0.0.1/x",
    "http://127.0.0.1\\@evil/",
    "",
)
CALLS = (
    "POST /x HTTP/1.1\r\nX-Evil: 1",
    "POST  /x",
    "post /x",
    "CONNECT /x",
    "TRACE /x",
    "POST x",
    "POST http://evil/x",
    "POST /a/../b",
    "POST /x y",
    "",
)


def at(canary: Path, value: Any) -> Any:
    """Put the test's own canary in place of the sign for it."""
    match value:
        case str():
            return value.replace(CANARY, str(canary))
        case tuple():
            return tuple(at(canary, item) for item in value)
        case dict():
            return {at(canary, name): at(canary, item) for name, item in value.items()}
        case _:
            return value


def hashed(command: Command, **fields: Any) -> Command:
    """Return a command with other fields and the right hash, as an attacker would write it."""
    changed = msgspec.structs.replace(command, **fields)
    return msgspec.structs.replace(changed, sha256=command_sha256(changed))


def service(root: Path, **fields: Any) -> ServiceSpec:
    """Return a service that would leave a trace if it were started."""
    return process_spec(root, **{"argv": (sys.executable, "-c", f"open('{root}/canary', 'w')"), **fields})


def hostile_commands(root: Path, port: int) -> list[Command]:
    """Return the corpus: each command has the right hash and would be carried out if one check were missing."""
    canary = root / "canary"
    texts = [at(canary, text) for text in TEXTS]
    good = command(service(root), "process.start")
    call = command(http_spec(port), "http.call", arguments={"call": "restart"})
    return [
        *(command(service(root, name=text), "process.start") for text in texts),
        *(command(service(root), "process.stop", arguments={"grace_ms": text}) for text in texts),
        *(command(service(root), "process.start", arguments={text: "1"}) for text in texts),
        *(command(service(root), text) for text in texts),
        *(command(service(root), "process.start", id=text) for text in texts),
        *(command(service(root, **at(canary, fields)), "process.start") for fields in PROCESS_FIELDS),
        *(command(http_spec(port), "http.call", arguments={"call": text}) for text in texts),
        *(command(http_spec(port, base_url=url), "http.call", arguments={"call": "restart"}) for url in URLS),
        *(command(http_spec(port, calls={"restart": c}), "http.call", arguments={"call": "restart"}) for c in CALLS),
        *(hashed(call, target=target) for target in (b"", b"{}", b"null", b"[" * 100_000, call.target + b" ")),
        hashed(good, target=call.target),
        hashed(good, service="other"),
        hashed(good, host="other"),
        hashed(good, service_type="http"),
        hashed(good, action="http.call"),
        hashed(good, timeout_ms=0),
        hashed(call, arguments=call.arguments * 2),
        hashed(call, arguments=()),
        command(http_spec(port), "http.call", arguments={"call": "restart", "body": "not json"}),
        command(http_spec(port), "http.call", arguments={"call": "restart", "body": '"' + "a" * 5_000 + '"'}),
        command(service(root, port=8_000), "process.kill_blocker", arguments={"port": "22"}),
        command(service(root), "process.kill_blocker", arguments={"lock_file": "/var/lib/dpkg/lock"}),
    ]


def test_nothing_hostile_is_carried_out(root: Path, executor: Executor) -> None:
    """Of more than 50 hostile commands each is refused, no program is run and no request is sent."""
    with target() as (port, seen):
        corpus = hostile_commands(root, port)
        assert len(corpus) > 200
        for hostile in corpus:
            ended = executor.run(hostile)
            assert (ended.status, ended.result.effect) == ("refused", "none"), hostile
    assert seen == []
    assert not (root / "canary").exists()
    assert not (root / "api.pid").exists()


def test_the_canary_sings(root: Path, executor: Executor) -> None:
    """The command that the corpus spoils does leave its trace when nothing is wrong with it."""
    executor.run(command(service(root), "process.start"))
    assert (root / "canary").exists()


@pytest.mark.parametrize("text", [at(Path("/x"), text) for text in TEXTS if "\0" not in text and "\n" not in text][:20])
def test_hostile_arguments_of_a_program_stay_text(root: Path, executor: Executor, text: str) -> None:
    """What looks like shell in an argument reaches the program as it stands."""
    script = root / "say.py"
    script.write_text(f"import sys; open('{root}/said', 'w').write(sys.argv[1])", "utf-8")
    executor.run(command(process_spec(root, argv=(sys.executable, "-I", str(script), text)), "process.start"))
    assert (root / "said").read_text("utf-8") == text
