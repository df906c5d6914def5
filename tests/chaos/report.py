"""A run's report as text."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.run import Report


def lines_of(report: Report) -> Iterator[str]:
    """Return a report as text: a row a fault, then what was counted, then what the oracle says."""
    yield (
        f"{'at s':>6}  {'fault':22} {'decides after s':>15}  under way then, bytes: "
        f"{'source':>8} {'facts':>8} {'decisions':>9} {'commands':>8} {'unarchived':>10}  what"
    )
    for one in report.faults:
        flight = one.flight
        yield (
            f"{one.at_seconds:6.1f}  {one.name:22} {one.recovery_seconds:15.2f}  {'':23}"
            f"{flight.source_bytes:8} {flight.fact_bytes:8} {flight.decision_bytes:9} {flight.command_bytes:8} "
            f"{flight.archive_bytes:10}  {one.what}"
        )
    yield from (f"left out, for this user may not mount: {name}" for name in report.left_out)
    kills = sum(one.name.startswith("kill") for one in report.faults)
    zombies = sum(one.name.startswith("zombie") for one in report.faults)
    yield (
        f"{kills} kills, {zombies} zombies, {len(report.faults) - kills - zombies} other faults, "
        f"{report.seconds:.0f} s; from a kill to the next decision {report.recovery_seconds:.2f} s at most"
    )
    ends = ", ".join(f"{count} {status}" for status, count in report.ends.items())
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.decisions.items())
    yield f"{report.lines} lines, {report.lost} of them taken unread by retention and on record; {report.facts} facts"
    yield f"{sum(report.decisions.values())} decisions: {kinds}"
    yield f"{report.commands} commands: {ends}; {report.effects} effects at the target"
    yield "the web: " + ", ".join(f"{count} times {answer}" for answer, count in report.visits.items())
    yield from (f"ended by itself: {one}" for one in report.died)
    yield from report.violations
    parts = {name: sum(one.startswith(f"({part})") for one in report.violations) for part, name in PARTS.items()}
    others = len(report.violations) - sum(parts.values())
    yield ", ".join(f"{name}: {count}" for name, count in parts.items()) + f", others: {others}"


PARTS = {
    "a": "lost or misread",
    "b": "changed",
    "c": "commands lost, doubled or contradicted",
}
