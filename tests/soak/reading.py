"""Readers of one event log while it is written: each a process of its own, asking as ``logmend sql`` does.

A reader asks once a second what the newest decision is and how many there are, then one question more. Its answers must
be of one moment of the log: numbered without a hole, and never behind an earlier answer.

A process says that it is ready on its standard output, begins with a line on its standard input, and ends at the end of
it, with what it heard as JSON.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import IO, Final

import msgspec
from msgspec import Struct

from analytics.views import EventLog
from streams.core.errors import InputError

NEWEST: Final = "SELECT count(*), max(seq), epoch_ms(max(recorded_at)) FROM decisions"
QUESTIONS: Final = (
    "SELECT kind, count(*) AS decisions FROM decisions GROUP BY kind ORDER BY decisions DESC, kind",
    "SELECT category, severity, sum(lines) AS n FROM detections GROUP BY ALL ORDER BY n DESC",
    "FROM incidents WHERE closed_at IS NULL ORDER BY opened_at DESC LIMIT 100",
    "SELECT action, status, ok, count(*) AS n FROM commands GROUP BY ALL ORDER BY n DESC",
    "FROM lines ORDER BY recorded_at DESC LIMIT 100",
    "SELECT sum(lines) FROM facts WHERE kind = 'Slice' AND verdict = 'accepted'",
)
PAUSE_SECONDS: Final = 1.0
ERRORS_KEPT: Final = 20


class Heard(Struct):
    """What one reader heard: how old the newest decision was at each answer, and how long each answer took."""

    questions: int = 0
    errors: list[str] = []
    ages_seconds: list[float] = []
    answer_seconds: list[float] = []


class Reader:
    """One reader's questions; ``heard`` is what came of them."""

    def __init__(self, log: EventLog, number: int) -> None:
        self.heard = Heard()
        self._log = log
        self._newest = -1
        self._others = islice(cycle(QUESTIONS), number, None)

    def ask(self) -> None:
        """Ask for the newest decision, and one question more."""
        for question in (NEWEST, next(self._others)):
            began = time.monotonic()
            try:
                rows = self._log.query(question).rows()
            except InputError as error:
                self.fault(str(error))
                continue
            self.heard.questions += 1
            self.heard.answer_seconds.append(time.monotonic() - began)
            if question is NEWEST and rows[0][0]:
                self._judge(*rows[0])

    def _judge(self, count: int, newest: int, at_ms: int) -> None:
        self.heard.ages_seconds.append(time.time() - at_ms / 1_000)
        if count != newest + 1:
            self.fault(f"{count} decisions up to number {newest}")
        if newest < self._newest:
            self.fault(f"the newest was {self._newest}, and is {newest}")
        self._newest = newest

    def fault(self, what: str) -> None:
        """Remember what went wrong."""
        if len(self.heard.errors) < ERRORS_KEPT:
            self.heard.errors.append(what)


class Readers:
    """Readers that run. ``begin`` lets them ask, ``end`` returns what they heard."""

    def __init__(self, directory: Path, count: int) -> None:
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.soak.reading", str(directory), str(number)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for number in range(count)
        ]

    def begin(self) -> None:
        """Wait until all are there, and let them ask."""
        for process in self.processes:
            _pipe(process.stdout).readline()
        for process in self.processes:
            _pipe(process.stdin).write(b"begin\n")
            _pipe(process.stdin).flush()

    def end(self) -> list[Heard]:
        """End all, and return what each heard; of one that died, that it did."""
        for process in self.processes:
            _pipe(process.stdin).close()
        heard = []
        for process in self.processes:
            with _pipe(process.stdout) as told:
                said = told.read()
            status = process.wait()
            died = Heard(errors=[f"a reader ended with status {status}"])
            heard.append(died if status else msgspec.json.decode(said, type=Heard))
        return heard


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("a reader has both pipes")
    return pipe


@contextmanager
def reading(directory: Path, count: int) -> Iterator[Readers]:
    """Run readers of a log directory; none of them is left behind."""
    readers = Readers(directory, count)
    try:
        yield readers
    finally:
        for process in readers.processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of some values do not exceed; 0.0 of none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def main() -> None:
    """Be the reader of this number of this log directory."""
    directory, number = Path(sys.argv[1]), int(sys.argv[2])
    with EventLog(directory) as log:
        reader = Reader(log, number)
        print("ready", flush=True)  # noqa: T201 - what is waited for
        sys.stdin.buffer.readline()
        reader.ask()
        while not select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
            reader.ask()
    print(msgspec.json.encode(reader.heard).decode())  # noqa: T201 - what was heard


if __name__ == "__main__":
    main()
