"""The web follows the log, whatever stands in it."""

from __future__ import annotations

from pathlib import Path

from streams.ports import Outgoing
from tests.web.fleet import Fleet
from tests.web.rig import served


async def test_a_record_that_is_no_decision_stops_nothing(tmp_path: Path) -> None:
    """What can't be read is passed over, and what comes after it is shown."""
    fleet = Fleet()
    fleet.begin()
    async with served(fleet, tmp_path, archived=False) as rig:
        for topic in (fleet.topics.decisions, fleet.topics.heartbeats):
            fleet.log.put(Outgoing(topic, b"no record of ours", b""))
        fleet.see("shop", "process_crash")
        await rig.caught_up()
        assert [one.service for one in rig.model.incidents()] == ["shop"]
