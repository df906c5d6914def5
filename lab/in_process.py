"""The figures that seed 001 measured within one process, of Logmend's own code: how long it takes, how much recovers.

python -m lab.in_process            1000 errors; prints a JSON object
python -m lab.in_process 50
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec
import psutil
from msgspec import Struct

from lab.closed_loop import HOST, Component, Loop, commands_of, verified_of
from lab.stopwatch import Span, Stopwatch, Times, timed, times
from streams.catalogue import strategies
from streams.core.events import Command
from streams.core.fold import Fold
from streams.core.inventory import ServiceSpec
from streams.ingest import matcher
from streams.runtime.resident import keep
from streams.workers import checkpoints
from streams.workers.processors import Processors
from streams.workers.readings import readings
from streams.workers.results import Result

ERRORS: Final = 1_000
AT_ONCE: Final = 50
IN_PARALLEL: Final = 16
COMPONENTS: Final = ("orchestrator", "versioning", "build_pipeline", "runtime", "developer_tools", "shader_pipeline")
SAMPLES: Final = 50
CHECKPOINT_BYTES: Final = 1 << 20


class Figures(Struct, frozen=True, kw_only=True):
    """What was measured; shares in 0..1, memory in MiB."""

    error_to_strategy: Times
    """From the bytes of a line to the decision."""
    recovery: Times
    """From the bytes of a line to the outcome of the action in the fold."""
    error_report: Times
    """From the bytes of a line to the bytes of the fact and of its evidence."""
    health_sample: Times
    rollback_1mb: Times
    rules_ms: float
    """To load the rules, once in the life of a process."""
    start: Times
    """Slicer and fold made, policy and inventory applied."""
    restore: Times
    """From a snapshot after all errors to a fold that decides."""
    six_components: Times
    """One error of which six components speak: from their lines to the outcome of the one action."""
    six_times: int
    six_healed: int
    """How many of these errors were healed by one action, and no more than that."""
    errors: int
    recovered: int
    at_once: int
    at_once_recovered: int
    at_once_ms: float
    in_parallel: int
    in_parallel_recovered: int
    in_parallel_ms: float
    memory_mb: float
    """What the process holds after all errors beyond what it held before the rules were loaded."""
    load_average: float
    """Of the last minute, over all processors: other things that the machine does show in what the wall clock says."""


def one_after_another(loop: Loop, components: Sequence[Component], count: int) -> tuple[list[Span], list[Span], int]:
    """Break and heal ``count`` times; return the times to decisions and to outcomes, and how many recovered."""
    to_strategy, to_outcome, recovered = [], [], 0
    for number in range(count):
        component = components[number % len(components)]
        (component.lose_mirror if number % 3 else component.swell)()
        said = [(component.name, component.complaint())]
        watch = Stopwatch()
        commands = commands_of(loop.lines(said))
        to_strategy.append(watch.read())
        for command in commands:
            loop.tell(command, loop.act(command))
            to_outcome.append(watch.read())
        well = not component.complaint()
        recovered += well and component.name in verified_of(loop.wait([component.name]))
        component.mend()
    return to_strategy, to_outcome, recovered


def many_at_once(root: Path, rules: matcher.Matcher, count: int, *, threads: int = 1) -> tuple[int, float]:
    """Break ``count`` components at one time; return how many recovered, and in how many milliseconds all of them.

    With as many ``threads``, all actions begin at the same moment.
    """
    components = [Component(root, f"component-{number:02}") for number in range(count)]
    loop = Loop(components, root, rules)
    for component in components:
        component.lose_mirror()
    said = [(component.name, component.complaint()) for component in components]
    watch = Stopwatch()
    commands = commands_of(loop.lines(said))
    barrier = threading.Barrier(threads)

    def act(command: Command) -> Result:
        barrier.wait(10.0)
        return loop.act(command)

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(act, commands))
    decided = [one for command, result in zip(commands, results, strict=True) for one in loop.tell(command, result)]
    milliseconds = watch.read().wall
    verified = verified_of([*decided, *loop.wait([one.name for one in components])])
    return sum(not one.complaint() and one.name in verified for one in components), round(milliseconds, 1)


def over_six(root: Path, rules: matcher.Matcher, count: int) -> tuple[Times, int]:
    """Break the one that five others depend on; return the times, and how many of them one action healed."""
    first = Component(root, COMPONENTS[0])
    others = [Component(root, name, (first.name,)) for name in COMPONENTS[1:]]
    loop = Loop([first, *others], root, rules)
    spans, healed = [], 0
    for _ in range(count):
        first.lose_mirror()
        said = [(one.name, f"ERROR {one.name}: upstream service {first.name} is unavailable") for one in others]
        said.append((first.name, first.complaint()))
        watch = Stopwatch()
        commands = commands_of(loop.lines(said))
        for command in commands:
            loop.tell(command, loop.act(command))
        spans.append(watch.read())
        healed += len(commands) == 1 and not first.complaint()
        loop.wait([first.name, *(one.name for one in others)])
        first.mend()
    return times(spans), healed


def rollbacks(root: Path, count: int) -> list[Span]:
    """Restore a checkpoint of 1 MB under ``root`` ``count`` times; what it replaces differs each time."""
    file = root / "service.conf"
    good = hashlib.shake_256(b"good").digest(CHECKPOINT_BYTES)
    file.write_bytes(good)
    spec = ServiceSpec(name="s", host=HOST, config_files=(str(file),), checkpoint_dir=str(root / "checkpoints"))
    checkpoints.take(spec, root)
    spans = []
    for number in range(count):
        file.write_bytes(hashlib.shake_256(str(number).encode()).digest(CHECKPOINT_BYTES))
        watch = Stopwatch()
        checkpoints.restore(spec, root)
        spans.append(watch.read())
        if file.read_bytes() != good:
            raise RuntimeError("what was restored is not the checkpoint")
    return spans


def measure(root: Path, errors: int) -> Figures:
    """Measure everything, with files under ``root``."""
    components = [Component(root / "one", name) for name in COMPONENTS]
    process = psutil.Process()
    before = process.memory_info().rss
    watch = Stopwatch()
    rules = matcher.shipped()
    rules_ms = watch.read().wall
    loop = Loop(components, root, rules)
    one_after_another(loop, components, len(components))  # handlers are imported once
    keep()  # as each stage does when it is ready
    to_strategy, to_outcome, recovered = one_after_another(loop, components, errors)
    memory_mb = (process.memory_info().rss - before) / (1 << 20)
    snapshot, catalogue, processors = loop.fold.snapshot(), strategies(), Processors()
    at_once, at_once_ms = many_at_once(root / "many", rules, AT_ONCE)
    parallel, parallel_ms = many_at_once(root / "parallel", rules, IN_PARALLEL, threads=IN_PARALLEL)
    six, six_healed = over_six(root / "six", rules, SAMPLES)
    said = [(COMPONENTS[0], f"ERROR {COMPONENTS[0]}: read mirror-a: Input/output error")]
    return Figures(
        error_to_strategy=times(to_strategy),
        recovery=times(to_outcome),
        error_report=timed(errors, lambda: loop.slices(said, and_encode=True)),
        health_sample=timed(SAMPLES, lambda: readings(processors)),
        rollback_1mb=times(rollbacks(root, SAMPLES)),
        rules_ms=round(rules_ms, 1),
        start=timed(SAMPLES, lambda: Loop(components, root, rules)),
        restore=timed(SAMPLES, lambda: Fold.restore(snapshot, catalogue)),
        six_components=six,
        six_times=SAMPLES,
        six_healed=six_healed,
        errors=errors,
        recovered=recovered,
        at_once=AT_ONCE,
        at_once_recovered=at_once,
        at_once_ms=at_once_ms,
        in_parallel=IN_PARALLEL,
        in_parallel_recovered=parallel,
        in_parallel_ms=parallel_ms,
        memory_mb=round(memory_mb, 1),
        load_average=round(os.getloadavg()[0], 2),
    )


def main() -> int:
    """Measure and print."""
    errors = int(sys.argv[1]) if len(sys.argv) > 1 else ERRORS
    with tempfile.TemporaryDirectory(prefix="logmend-loop-") as directory:
        figures = measure(Path(directory), errors)
    sys.stdout.buffer.write(msgspec.json.encode(figures) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
