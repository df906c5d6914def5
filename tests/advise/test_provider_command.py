"""The provider that is a program of this host, with real programs that behave in every way."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import time
from pathlib import Path

import psutil
import pytest
import uvloop

from streams.advise.providers.base import BadReplyError, FailedError, NoAnswerError, Prompt, TimedOutError
from streams.advise.providers.command import OUTPUT_BYTES_MAX, Command
from streams.core.errors import InputError

PROMPT = Prompt(system="You advise.", user="What is to be done? ünïcödé")
PATIENCE_S = 90.0
SLOW = """
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
open(sys.argv[1] + ".new", "w").write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""


def _python(program: str, *arguments: str) -> Command:
    return Command(shlex.join([sys.executable, "-I", "-S", "-c", program, *arguments]))


async def _error(program: str, *arguments: str, deadline_s: float = PATIENCE_S) -> NoAnswerError:
    with pytest.raises(NoAnswerError) as caught:
        await _python(program, *arguments).ask(PROMPT, deadline_s)
    return caught.value


def _appears(path: Path, wait_s: float) -> bool:
    """Tell whether a file is there, or comes in time."""
    until = time.monotonic() + wait_s
    while not path.exists():
        if time.monotonic() >= until:
            return False
        time.sleep(0.01)
    return True


def _written(path: Path) -> list[int]:
    return [int(pid) for pid in path.read_text().split()]


def _gone(*pids: int) -> bool:
    """Tell whether processes are dead, or die in time."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if not any(_alive(pid) for pid in pids):
            return True
        time.sleep(0.01)
    return False


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_the_prompt_is_on_the_standard_input() -> None:
    """The program reads both texts, in UTF-8, and what it prints is the answer."""
    answer = await _python("import sys; print(sys.stdin.buffer.read().decode())").ask(PROMPT, PATIENCE_S)
    assert answer.text == f"{PROMPT.system}\n\n{PROMPT.user}\n\n"
    assert (answer.tokens_in, answer.tokens_out) == (0, 0)


def test_any_event_loop_hosts_a_program() -> None:
    """The one that web servers prefer starts processes in a way of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        answer = runner.run(_python("print('ok')").ask(PROMPT, PATIENCE_S))
    assert answer.text == "ok\n"


async def test_a_program_need_not_read_a_long_prompt() -> None:
    """Nobody waits for a pipe that is full."""
    answer = await _python("print('ok')").ask(Prompt(system="s", user="x" * 2_000_000), PATIENCE_S)
    assert answer.text == "ok\n"


async def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    """What a shell would carry out is an argument."""
    path = tmp_path / "made"
    tricks = [f"$(touch {path})", f"; touch {path}", f"| touch {path}", "$HOME", "*"]
    answer = await _python("import sys; print(sys.argv[1:])", *tricks).ask(PROMPT, PATIENCE_S)
    assert answer.text == f"{tricks}\n"
    assert not path.exists()


async def test_nothing_of_the_prompt_is_an_argument() -> None:
    """Arguments can be seen by everybody on the host."""
    answer = await _python("import sys; print(sys.argv[1:])").ask(PROMPT, PATIENCE_S)
    assert answer.text == "[]\n"


async def test_the_environment_is_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and settings of ours are not the program's; it works in /."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("LOGMEND_REDACTION_KEY", "x")
    answer = await _python("import os; print(sorted(os.environ), os.getcwd())").ask(PROMPT, PATIENCE_S)
    names, _, directory = answer.text.strip().rpartition(" ")
    assert directory == "/"
    assert set(names.strip("[]").replace("'", "").split(", ")) <= {"HOME", "LANG", "LC_CTYPE", "PATH", "TMPDIR"}


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemExit(3)", "ended with 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended with -11"),
        ("print('an answer', flush=True); 1 / 0", "ended with 1"),
    ],
)
async def test_a_program_that_fails_gives_no_answer(program: str, said: str) -> None:
    """Whatever it printed before; what it wrote to standard error is told to nobody."""
    error = await _error(program)
    assert isinstance(error, FailedError)
    assert error.down
    assert str(error).endswith(said)


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    """Name a file that the program ``SLOW`` writes its own pid and its child's into."""
    return tmp_path / "pids"


async def test_a_slow_program_is_killed_with_its_children(pids: Path) -> None:
    """At the deadline the program and what it started are gone."""
    deadline_s = 1.0
    while not _appears(pids, wait_s=0):  # a busy host may need longer for the start alone
        assert isinstance(await _error(SLOW, str(pids), deadline_s=deadline_s), TimedOutError)
        deadline_s *= 2
    assert _gone(*_written(pids))


async def test_a_question_that_is_given_up_leaves_nothing_behind(pids: Path) -> None:
    """Who stops asking stops the program."""
    asking = asyncio.create_task(_python(SLOW, str(pids)).ask(PROMPT, 600.0))
    assert await asyncio.to_thread(_appears, pids, PATIENCE_S)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert _gone(*_written(pids))


async def test_children_left_behind_are_killed_and_hold_nothing_up() -> None:
    """A child that keeps the output open delays no answer, and doesn't outlive it."""
    program = "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\nprint(child.pid)\n"
    answer = await _python(program).ask(PROMPT, PATIENCE_S)
    assert _gone(int(answer.text))


async def test_a_child_that_escapes_delays_no_answer() -> None:
    """Even one with a session of its own, which is out of reach, holds the answer up for a second only."""
    program = (
        "import subprocess\nchild = subprocess.Popen(['sleep', '600'], start_new_session=True)\nprint(child.pid)\n"
    )
    answer = await _python(program).ask(PROMPT, PATIENCE_S)
    os.kill(int(answer.text), 9)


async def test_a_program_that_closes_its_output_is_waited_for() -> None:
    """Its exit status still counts."""
    error = await _error("import os, time; os.write(1, b'ok'); os.close(1); time.sleep(0.1); os._exit(4)")
    assert str(error).endswith("ended with 4")


async def test_too_much_output_is_none() -> None:
    """A program that writes without end is killed as soon as it has written too much."""
    error = await _error("import os\nwhile True: os.write(1, b'x' * 65536)")
    assert isinstance(error, BadReplyError)


async def test_the_most_that_may_be_written_arrives_whole() -> None:
    """The limit is of what is beyond it."""
    answer = await _python(f"print('x' * {OUTPUT_BYTES_MAX}, end='')").ask(PROMPT, PATIENCE_S)
    assert answer.text == "x" * OUTPUT_BYTES_MAX


async def test_output_that_is_no_text_is_read_all_the_same() -> None:
    """What is not UTF-8 becomes a mark, which no id holds."""
    assert (await _python("import os; os.write(1, b'a\\xffb')").ask(PROMPT, PATIENCE_S)).text == "a\ufffdb"


async def test_a_program_that_is_gone_fails(tmp_path: Path) -> None:
    """It was there at the start, and isn't any more."""
    path = tmp_path / "model"
    path.write_text("#!/bin/sh\necho ok\n")
    path.chmod(0o755)
    command = Command(str(path))
    assert command.model == "model"
    path.unlink()
    with pytest.raises(FailedError) as caught:
        await command.ask(PROMPT, PATIENCE_S)
    assert caught.value.down


@pytest.mark.parametrize("command", ["/no/such/model --fast", "no-such-model-here", "'open", "a\0b", "", "  ", "/etc"])
def test_a_command_that_is_none_is_refused_at_once(command: str) -> None:
    """A missing program and a quotation without end are said before the first question."""
    with pytest.raises(InputError):
        Command(command)


async def test_the_deadline_counts_the_wait_for_a_place() -> None:
    """A question that finds all places taken ends at its deadline too."""
    command = _python("print('ok')")
    for _ in range(command._places._value):
        await command._places.acquire()
    with pytest.raises(TimedOutError):
        await command.ask(PROMPT, 0.05)
