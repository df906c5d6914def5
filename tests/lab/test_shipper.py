from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.shipper import Shipper
from streams.ports import Outgoing, Record, TopicPartition


class Broker:
    """Keeps what is appended; refuses the next append when told to."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.partitions: dict[bytes, set[int]] = {}
        self.refuses = False

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Keep the records."""
        if self.refuses:
            raise ConnectionError("no broker")
        self.values += [record.value or b"" for record in records]
        for record in records:
            self.partitions.setdefault(record.key or b"", set()).add(record.partition)
        return range(len(records))

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Record]:
        """Fail: nothing is read."""
        raise AssertionError("a shipper does not read")

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """Fail: nothing is read."""
        raise AssertionError("a shipper does not read")


def shipper(broker: Broker, directory: Path) -> Shipper:
    """Return a shipper of two files."""
    sources = {"api": directory / "api.log", "worker": directory / "worker.log"}
    return Shipper(broker, "logs", 4, sources, directory / "positions.json")


async def test_only_whole_lines_are_shipped(tmp_path: Path) -> None:
    """The beginning of a line waits for its end."""
    broker = Broker()
    ships = shipper(broker, tmp_path)
    (tmp_path / "api.log").write_bytes(b"one\ntw")
    await ships.ship()
    assert broker.values == [b"one"]
    (tmp_path / "api.log").write_bytes(b"one\ntwo\n")
    await ships.ship()
    assert broker.values == [b"one", b"two"]


async def test_a_new_shipper_goes_on_where_the_last_one_was_acknowledged(tmp_path: Path) -> None:
    """After a failed append and a restart every line is there: none lost, the acknowledged ones not again."""
    broker = Broker()
    (tmp_path / "api.log").write_bytes(b"one\n")
    await shipper(broker, tmp_path).ship()
    (tmp_path / "api.log").write_bytes(b"one\ntwo\n")
    broker.refuses = True
    with pytest.raises(ConnectionError):
        await shipper(broker, tmp_path).ship()
    broker.refuses = False
    await shipper(broker, tmp_path).ship()
    assert broker.values == [b"one", b"two"]


async def test_a_file_that_was_cut_is_read_anew(tmp_path: Path) -> None:
    """A log file that was truncated (rotated in place) is shipped from its beginning."""
    broker = Broker()
    ships = shipper(broker, tmp_path)
    (tmp_path / "api.log").write_bytes(b"first\nsecond\n")
    await ships.ship()
    (tmp_path / "api.log").write_bytes(b"third\n")
    await ships.ship()
    assert broker.values == [b"first", b"second", b"third"]


async def test_a_services_lines_go_to_one_partition(tmp_path: Path) -> None:
    """Lines of one service keep their order: they share key and partition."""
    broker = Broker()
    for name in ("api", "worker"):
        (tmp_path / f"{name}.log").write_bytes(b"one\ntwo\n")
    await shipper(broker, tmp_path).ship()
    assert {key: len(partitions) for key, partitions in broker.partitions.items()} == {b"api": 1, b"worker": 1}
