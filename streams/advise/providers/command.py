"""A model behind a program of this host: the prompt on its standard input, its answer on its standard output.

The program gets an argument vector (never a shell), an environment of four variables, ``/`` as its directory, and an
end: it is killed with its whole group at the deadline, once it has answered, and once it has written too much; alone
when this process dies. What begins a session of its own is out of that reach. What it writes to standard error is
dropped: nobody says what is in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from streams.advise.providers.base import Answer, BadReplyError, FailedError, Prompt, TimedOutError
from streams.core.errors import InputError
from streams.runtime.tether import tethered

OUTPUT_BYTES_MAX: Final = 64 * 1024
AT_ONCE: Final = 3
"""Programs at one time, as many as there are advisors: each may load a model of its own into memory."""
KEPT: Final = ("PATH", "HOME", "TMPDIR")
"""Variables that the program gets as they are: what finds it and its model's files. No key is among them."""
CHUNK_BYTES: Final = 8_192
END_SECONDS: Final = 1.0
"""For the last of the output, once the program has ended."""


class Command:
    """A program. ``command`` is split as a shell would, and run by none. ``InputError`` when there is no such one."""

    name = "command"

    def __init__(self, command: str, model: str = "") -> None:
        self._argv = _argv(command)
        self.model = model or Path(self._argv[0]).name
        self._places = asyncio.Semaphore(AT_ONCE)

    async def ask(self, prompt: Prompt, deadline_s: float) -> Answer:
        """Answer within ``deadline_s`` seconds from now. Raises ``NoAnswerError``, and nothing else."""
        try:
            async with asyncio.timeout(deadline_s), self._places:
                output = await self._run(f"{prompt.system}\n\n{prompt.user}\n")
        except TimeoutError as error:
            raise TimedOutError(f"{self._argv[0]} gave no answer within {deadline_s:.1f} s", down=True) from error
        return Answer(text=output.decode("utf-8", "replace"), model=self.model)

    async def aclose(self) -> None:
        """Nothing outlives a question."""

    async def _run(self, text: str) -> bytes:
        """Return what the program writes."""
        with _stdin(text) as stdin:
            async with _pipe() as (reader, write):
                process = await self._start(stdin, write)
                try:
                    output = await _output(process, reader)
                finally:
                    await _end(process)
        if process.returncode:
            raise FailedError(f"{self._argv[0]} ended with {process.returncode}", down=True)
        return output

    async def _start(self, stdin: int, write: int) -> Process:
        try:
            return await asyncio.create_subprocess_exec(
                *tethered(self._argv, signal.SIGKILL),
                stdin=stdin,
                stdout=write,
                stderr=DEVNULL,
                cwd="/",
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise FailedError(f"{self._argv[0]} can't be started: {error.strerror}", down=True) from error
        finally:
            os.close(write)


def _argv(command: str) -> list[str]:
    """Return the argument vector, its program as an absolute path."""
    if "\0" in command:
        raise InputError("the command is no list of words: a zero byte")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"the command is no list of words: {error}") from error
    if not words or (program := shutil.which(words[0])) is None:
        raise InputError(f"there is no program {words[:1]}")
    return [str(Path(program).absolute()), *words[1:]]


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {"LANG": "C.UTF-8"}


@contextlib.contextmanager
def _stdin(text: str) -> Iterator[int]:
    """Yield a file in memory with the text in it: whoever doesn't read it holds up nobody."""
    with os.fdopen(os.memfd_create("prompt"), "r+b") as file:
        file.write(text.encode("utf-8", "replace"))
        file.seek(0)
        yield file.fileno()


@contextlib.asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    """Yield the two ends of a pipe; the one that is written to is the caller's to close."""
    read, write = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb", 0)
    )
    try:
        yield reader, write
    finally:
        transport.close()


async def _output(process: Process, reader: asyncio.StreamReader) -> bytes:
    """Return what the program has written when it has ended. Its own children may hold the pipe; they are killed."""
    output = bytearray()
    reading = asyncio.create_task(_read(reader, output))
    ending = asyncio.create_task(process.wait())
    try:
        await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            reading.result()
            await ending
        else:
            _kill(process)
            await asyncio.wait({reading}, timeout=END_SECONDS)
    finally:
        reading.cancel()
        ending.cancel()
    if reading.done() and not reading.cancelled():
        reading.result()
    return bytes(output)


async def _read(reader: asyncio.StreamReader, output: bytearray) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        output += chunk
        if len(output) > OUTPUT_BYTES_MAX:
            raise BadReplyError(f"the program wrote more than {OUTPUT_BYTES_MAX} bytes")


def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def _end(process: Process) -> None:
    """Kill the program and its group; one that the kernel can't end now is not waited for."""
    _kill(process)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), END_SECONDS)
