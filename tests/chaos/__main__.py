"""``python -m tests.chaos``: kills processes of a whole fleet under load, and prints the oracle's judgement."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from streams.runtime.broker import EmbeddedBroker
from streams.settings import Settings
from tests.chaos.run import Plan, Report, chaos, lines_of


async def run(plan: Plan, directory: Path) -> Report:
    """Run a plan on a broker of its own."""
    settings = Settings(data_dir=directory, source_partitions=4, host="chaos-host", dry_run=False)
    async with EmbeddedBroker(settings) as broker:
        return await chaos(settings.model_copy(update={"brokers": broker.address}), plan)


def main() -> int:
    """Parse the arguments, run, print; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--every", type=float, default=3.0, help="mean seconds between two kills")
    parser.add_argument("--lines", type=int, default=5_000, help="lines per second")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    plan = Plan(kills=given.kills, every_seconds=given.every, lines_per_second=given.lines, seed=given.seed)
    with tempfile.TemporaryDirectory(prefix="logmend-chaos-", ignore_cleanup_errors=True) as directory:
        report = asyncio.run(run(plan, Path(directory)))
    print(*lines_of(report), sep="\n")  # noqa: T201 - this command's output
    return int(bool(report.violations))


if __name__ == "__main__":
    sys.exit(main())
