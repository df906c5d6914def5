"""``python -m tests.chaos``: all kinds of faults on a whole fleet under load, and what the oracle says then."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.chaos.load import Rates
from tests.chaos.report import lines_of
from tests.chaos.run import RECOVERED_SECONDS_MAX, Plan, chaos, settings_in


def main() -> int:
    """Parse the arguments, run, print; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--zombies", type=int, default=3)
    parser.add_argument("--every", type=float, default=3.0, help="mean seconds between two faults")
    parser.add_argument("--decisions", type=int, default=100_000, help="go on until so many were made")
    parser.add_argument("--lines", type=int, default=2_000, help="lines per second")
    parser.add_argument("--strangers", type=float, default=50.0, help="crashes of unknown services per second")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    plan = Plan(
        kills=given.kills,
        zombies=given.zombies,
        every_seconds=given.every,
        decisions=given.decisions,
        rates=Rates(given.lines, given.strangers),
        seed=given.seed,
    )
    with tempfile.TemporaryDirectory(prefix="logmend-chaos-", ignore_cleanup_errors=True) as directory:
        report = asyncio.run(chaos(settings_in(Path(directory)), plan, _say))
    print(*lines_of(report), sep="\n")  # noqa: T201 - this command's output
    return int(bool(report.violations) or report.recovery_seconds >= RECOVERED_SECONDS_MAX)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - what goes on; the report goes to the standard output


if __name__ == "__main__":
    sys.exit(main())
