"""Memory with a million services: what detect and decide hold when every line comes of a service never seen before.

Two processes, each with everything imported that its real one imports: the first cuts records into slices with a real
slicer and the shipped rules, the second folds them. Of each 50 lines 3 match a rule, 1 looks like an error that no rule
knows, and a second passes every 1 000 lines. Of 1 000 000 services 10 000 may be live in the end; each other one must
have left by a decision.

    python -m benchmarks.memory                1 000 000 services
    python -m benchmarks.memory --out DIR      and memory.json and memory.png there
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import msgspec
import psutil
from msgspec import Struct

from benchmarks.plots import save
from streams.catalogue import strategies
from streams.codec import decode_fact, encode
from streams.core.config import SERVICES_MAX
from streams.core.events import Slice, Took
from streams.core.fold import Fold
from streams.ingest import matcher
from streams.ingest.slicer import Slicer
from streams.ports import Fetched
from streams.runtime import resident
from streams.topics import Topics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SERVICES: Final = 1_000_000
FETCH: Final = 4_000
LOOKS: Final = 20
BEGIN_MS: Final = 1_800_000_000_000
LINES_PER_SECOND: Final = 1_000
PSS_MB_MAX: Final = 200.0
BYTES_PER_SERVICE_MAX: Final = 1_024
GROWTH_MAX: Final = 0.05
"""How much more either process may hold in the last quarter than in the second."""
STAGES: Final = "streams.cli.stages"
"""What detect and decide import: Faust, aiokafka and the rest are in their budget."""


class Look(Struct, frozen=True):
    """What the processes hold after so many services."""

    services: int
    detect_mb: float
    decide_mb: float
    live: int
    state_bytes: int


class Result(Struct, frozen=True, kw_only=True):
    """What was measured. ``state_bytes`` of a look are those of a snapshot of all that the fold knows."""

    services: int
    looks: tuple[Look, ...]
    evicted: int

    @property
    def bytes_per_service(self) -> int:
        """State by live service, with all that is of no one service."""
        return self.looks[-1].state_bytes // max(self.looks[-1].live, 1)

    @property
    def growth(self) -> float:
        """By which share either process holds more in the last quarter than in the one before half way (medians)."""
        quarter = max(len(self.looks) // 4, 1)
        before, after = self.looks[-3 * quarter : -2 * quarter] or self.looks[:1], self.looks[-quarter:]
        detect = median(one.detect_mb for one in after) / median(one.detect_mb for one in before)
        decide = median(one.decide_mb for one in after) / median(one.decide_mb for one in before)
        return max(detect, decide) - 1

    @property
    def kept(self) -> bool:
        """Whether memory is bounded as DESIGN's budgets say, and every service that left did so on record."""
        last = self.looks[-1]
        bounded = last.live <= SERVICES_MAX and last.live + self.evicted == self.services
        flat = self.growth <= GROWTH_MAX and self.bytes_per_service <= BYTES_PER_SERVICE_MAX
        return bounded and flat and max(last.detect_mb, last.decide_mb) < PSS_MB_MAX


def pss_mb() -> float:
    """Return this process's proportional set size in megabytes (10^6)."""
    return round(psutil.Process().memory_full_info().pss / 1e6, 1)


def _line(number: int) -> bytes:
    """Return the record of the service of this number."""
    turn = number % 50
    message, level = f"request {number} done in 12 ms", "info"
    if turn in {7, 23, 41}:
        message, level = "write failed: No space left on device", "error"
    elif turn == 11:
        message, level = f"cannot frobnicate the wibble {number} of the third kind", "error"
    said = {"ts": _at_ms(number), "service": _name(number), "level": level, "message": message}
    return msgspec.json.encode(said)


def _name(number: int) -> str:
    """Return a service's name: in words, for numbers at a name's end would be taken for an instance's."""
    return "svc-" + "".join(chr(ord("a") + int(digit)) for digit in f"{number:07d}")


def _at_ms(number: int) -> int:
    return BEGIN_MS + number * 1_000 // LINES_PER_SECOND


def _fetches(services: int) -> Iterator[list[Fetched]]:
    for begin in range(0, services, FETCH):
        numbers = range(begin, min(begin + FETCH, services))
        yield [Fetched("logs", 0, number, _at_ms(number), None, _line(number)) for number in numbers]


def _detect(slices: Connection, services: int) -> None:
    """Cut all lines; send each slice's bytes, and after each fetch what is held."""
    import_module(STAGES)
    slicer = Slicer(matcher.shipped(), Topics())
    resident.keep()
    for fetch in _fetches(services):
        for piece in slicer.cut("logs", 0, 1, fetch, fetch[0].offset).slices:
            slices.send((encode(piece), 0, 0.0))
        slices.send((b"", fetch[-1].offset + 1, pss_mb() if _looks(fetch[-1].offset + 1, services) else 0.0))
    slices.close()


def _looks(done: int, services: int) -> bool:
    """Say whether so many services done are one of the ``LOOKS``."""
    fetches, every = -(-done // FETCH), max(-(-services // FETCH) // LOOKS, 1)
    return fetches % every == 0 or done == services


def _decide(slices: Connection, results: Connection, services: int) -> None:
    """Fold all slices; send what is held at each look, then how many services left on record."""
    import_module(STAGES)
    fold = Fold.new(strategies())
    resident.keep()
    fold.apply(Took(source="logs", partition=0, term=1, nonce="n", owner="benchmark"), 0, BEGIN_MS)
    offset = evicted = 0
    while True:
        data, done, detect_mb = slices.recv()
        if data:
            offset += 1
            fact = decode_fact(data)
            append_ms = fact.append_max_ms if isinstance(fact, Slice) else BEGIN_MS
            evicted += sum(one.kind == "service_evicted" for one in fold.apply(fact, offset, append_ms))
        elif detect_mb:
            live = len(fold._state.services.live)  # noqa: SLF001 - what is measured is the state itself
            results.send(Look(done, detect_mb, pss_mb(), live, len(fold.snapshot())))
        if done == services:
            break
    results.send(evicted)


def measure(services: int = SERVICES) -> Result:
    """Run both processes over so many services, and return what they held."""
    context = get_context("spawn")  # a fork would share pages with this process, and count half of them
    slices_in, slices_out = context.Pipe(duplex=False)
    results_in, results_out = context.Pipe(duplex=False)
    detect = context.Process(target=_detect, args=(slices_out, services))
    decide = context.Process(target=_decide, args=(slices_in, results_out, services))
    for each in (detect, decide):
        each.start()
    for ours in (slices_in, slices_out, results_out):
        ours.close()  # so that the end of either process is the end of its pipes
    looks: list[Look] = []
    try:
        while isinstance(found := results_in.recv(), Look):
            looks.append(found)
    finally:
        for each in (detect, decide):
            each.join() if looks and looks[-1].services == services else each.kill()
    return Result(services=services, looks=tuple(looks), evicted=found)


def lines_of(result: Result) -> Iterator[str]:
    """Yield a result as a table."""
    yield f"{'services':>9} {'detect MB':>10} {'decide MB':>10} {'live':>7} {'state bytes':>12}"
    for one in result.looks:
        row = f"{one.services:9} {one.detect_mb:10.1f} {one.decide_mb:10.1f} {one.live:7} {one.state_bytes:12}"
        yield row
    yield (
        f"{result.evicted} services left on record; {result.bytes_per_service} bytes of state by live service (at most "
        f"{BYTES_PER_SERVICE_MAX}); {result.growth:+.1%} since the second quarter (at most {GROWTH_MAX:+.0%})"
    )


def plot(result: Result, figure: Figure) -> None:
    """Draw what both processes held over the number of services."""
    axes = figure.add_subplot()
    seen = [one.services for one in result.looks]
    axes.plot(seen, [one.detect_mb for one in result.looks], label="detect")
    axes.plot(seen, [one.decide_mb for one in result.looks], label="decide")
    axes.axhline(PSS_MB_MAX, color="grey", linestyle=":", label="budget")
    axes.set(xlabel="services seen", ylabel="PSS (MB)", ylim=(0, None), title="Memory with every line of a new service")
    axes.legend()


def main() -> int:
    """Measure, print, and write where it is asked for; 1 when memory is not bounded as it should be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--services", type=int, default=SERVICES)
    parser.add_argument("--out", type=Path, help="a directory for memory.json and memory.png")
    given = parser.parse_args()
    found = measure(given.services)
    print(*lines_of(found), sep="\n")
    if given.out:
        save(given.out, "memory", found, partial(plot, found), (7, 4))
    return int(not found.kept)


if __name__ == "__main__":
    sys.exit(main())
