"""Writes down what ``W1.java`` is to match and how it is to run, and becomes it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import hyperscan

from benchmarks.engines import usual
from benchmarks.engines.job import Job
from benchmarks.engines.kafka_streams import building
from streams.catalogue.patterns import patterns
from streams.ingest import compiled, matcher

SETTINGS: Final = {
    "processing.guarantee": "at_least_once",
    "num.stream.threads": 1,
    "buffered.records.per.partition": 20_000,
    "consumer.max.poll.records": 20_000,
    "consumer.max.partition.fetch.bytes": 4 * 1024 * 1024,
    "producer.batch.size": 256 * 1024,
    "producer.linger.ms": 20,
}
"""One thread, which is its default; the others are what its documentation names for throughput."""
JAVA: Final = ("-Xmx512m", "-XX:+UseParallelGC")


def write(job: Job) -> None:
    """Write what the run needs into its directory."""
    own = {"application.id": job.group, "bootstrap.servers": job.brokers, "state.dir": job.directory}
    _lines(job, "settings", [f"{name}={value}" for name, value in (own | SETTINGS).items()])
    if job.how == "same":
        _same(job)
    else:
        _lines(job, "patterns", list(usual.PATTERNS))
        _lines(job, "expressions", list(usual.PATTERNS.values()))


def _same(job: Job) -> None:
    """Write both databases, a line for each expression of what its match means, and the rules' names."""
    rules = matcher.shipped().rules
    expressions, meanings = matcher.table(rules, patterns())
    for name, telling in (("tells", True), ("weighs", False)):
        chosen = [index for index, (kind, _) in enumerate(meanings) if (kind in matcher.TELLING) == telling]
        database = compiled.database([expressions[index] for index in chosen])
        (Path(job.directory) / f"{name}.hsdb").write_bytes(hyperscan.dumpb(database))
        _lines(job, name, [f"{_kind(*meanings[index])} {meanings[index][1]}" for index in chosen])
    _lines(job, "patterns", [rule.id for rule in rules])


def _kind(kind: str, index: int) -> str:
    """Return a kind of match; that of a rule for attacks, which stands in a request that was served, has its own."""
    return "attack" if kind == "rule" and matcher.shipped().rules[index].category == "security" else kind


def _lines(job: Job, name: str, lines: list[str]) -> None:
    (Path(job.directory) / name).write_text("".join(f"{line}\n" for line in lines))


def command(argument: str, directory: str) -> list[str]:
    """Return the command that runs the job; what Java unpacks stays in the job's directory."""
    classes = (building.built() / building.CLASS_PATH).read_text()
    unpacked = (f"-Djava.io.tmpdir={directory}", f"-Dorg.bytedeco.javacpp.cachedir={directory}")
    return [str(building.java()), *JAVA, *unpacked, "-cp", classes, "W1", argument]


if __name__ == "__main__":
    given = Job.given()
    write(given)
    started = command(sys.argv[1], given.directory)
    os.execv(started[0], started)
