"""Readers of one event log while it is written: each a process of its own, asking as ``logmend sql`` does.

A reader asks once a second what the newest decision is and how many there are, then one question more. Its answers must
be of one moment of the log: numbered without a hole, and never behind an earlier answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

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


def _read(directory: Path, number: int, begin: Event, end: Event, heard: Connection) -> None:
    """Be reader ``number``: say that all is imported, ask until the end, then send what was heard."""
    with EventLog(directory) as log:
        reader = Reader(log, number)
        heard.send(None)
        begin.wait()
        reader.ask()
        while not end.wait(PAUSE_SECONDS):
            reader.ask()
    heard.send(reader.heard)


class Readers:
    """Readers that run. ``begin`` lets them ask, ``end`` returns what they heard."""

    def __init__(self, directory: Path, count: int) -> None:
        context = get_context("spawn")
        self._begin, self._end = context.Event(), context.Event()
        self._pipes: list[Connection] = []
        self.processes = []
        for number in range(count):
            ours, theirs = context.Pipe(duplex=False)
            arguments = (directory, number, self._begin, self._end, theirs)
            process = context.Process(target=_read, args=arguments, daemon=True)
            process.start()
            theirs.close()  # so that a reader's death is the end of its pipe
            self._pipes.append(ours)
            self.processes.append(process)

    def begin(self) -> None:
        """Wait until all are there, and let them ask."""
        for pipe in self._pipes:
            pipe.recv()
        self._begin.set()

    def end(self) -> list[Heard]:
        """End all, and return what each heard; of one that died, that it did."""
        self._begin.set()
        self._end.set()
        heard = []
        for pipe, process in zip(self._pipes, self.processes, strict=True):
            try:
                found = pipe.recv()
                heard.append(pipe.recv() if found is None else found)
            except EOFError:
                process.join()
                heard.append(Heard(errors=[f"a reader ended with status {process.exitcode}"]))
            process.join()
        return heard


@contextmanager
def reading(directory: Path, count: int) -> Iterator[Readers]:
    """Run readers of a log directory; none of them is left behind."""
    readers = Readers(directory, count)
    try:
        yield readers
    finally:
        for process in readers.processes:
            if process.is_alive():
                process.kill()


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of some values do not exceed; 0.0 of none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
