"""Shipped with --live, a file ends now, and nothing but its stamps changes."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cli import tailing
from streams.cli.shift import Shift, newest_ms
from streams.core.errors import InputError

NOW_MS = 1_763_725_430_250  # 2025-11-21 11:43:50.250 UTC
DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("line", "moved"),
    [
        (b"2022-02-11 10:00:00,123 INFO x", b"2025-11-21 11:43:50,250 INFO x"),
        (b"2022-02-11T10:00:00Z x", b"2025-11-21T11:43:50Z x"),
        (b"2022-02-11T10:00:00.5+02:00 x", b"2025-11-21T13:43:50.2+02:00 x"),
        (b"2022/02/11 10:00:00 [error] x", b"2025/11/21 11:43:50 [error] x"),
        (b"Feb 11 10:00:00 host sshd[1]: x", b"Nov 21 11:43:50 host sshd[1]: x"),
        (b"Thu Feb 11 10:00:00 2022 x", b"Thu Nov 21 11:43:50 2025 x"),
        (b'::1 - - [10/Oct/2021:13:55:36 +0200] "GET', b'::1 - - [21/Nov/2025:13:43:50 +0200] "GET'),
        (b'{"time":1644573600.25,"id":1644573600}', b'{"time":1763725430.25,"id":1644573600}'),
        (b'{"ts": "1644573600123"}', b'{"ts": "1763725430250"}'),
        (b'{"timeUnixNano":"1644573600000000000"}', b'{"timeUnixNano":"1763725430250000000"}'),
        (b"[1644573600] LOG x", b"[1763725430] LOG x"),
    ],
)
def test_a_stamp_is_moved_in_its_own_format(line: bytes, moved: bytes) -> None:
    """Separators, digits and zone stay; only the time changes."""
    shift = Shift(NOW_MS - newest_ms([line], NOW_MS), NOW_MS)
    assert shift(line) == moved


@pytest.mark.parametrize("line", [b"no stamp", b"took 1644573600 ms", b"2022-02-31 10:00:00 x", b"", b"\xff\x00"])
def test_what_is_no_stamp_is_left_alone(line: bytes) -> None:
    """Numbers in text, impossible dates and bytes that are no text stay as they are."""
    assert newest_ms([line], NOW_MS) == 0
    assert Shift(DAY_MS, NOW_MS)(line) == line


@given(st.integers(0, 3_000_000_000_000), st.integers(-DAY_MS * 3000, DAY_MS * 3000))
def test_moving_there_and_back_changes_nothing(at_ms: int, distance_ms: int) -> None:
    """Every stamp is moved by the distance and by nothing else."""
    seconds, milliseconds = divmod(at_ms, 1000)
    line = f"{1_300_000_000 + seconds % 300_000_000}.{milliseconds:03} x".encode()
    there = Shift(distance_ms, NOW_MS)(line)
    assert Shift(-distance_ms, NOW_MS)(there) == line


def test_two_lines_keep_their_distance(tmp_path: Path) -> None:
    """The last line of the file is now, and the first as long before it as it was."""
    path = tmp_path / "app.log"
    path.write_bytes(b"2022-02-11 09:59:00 first\n2022-02-11 10:00:00 last\n  a continuation\n")
    shift = tailing.to_now(path, NOW_MS)
    assert [shift(line) for line in tailing.lines(path)] == [
        b"2025-11-21 11:42:50 first",
        b"2025-11-21 11:43:50 last",
        b"  a continuation",
    ]


def test_gzip_is_told_by_its_bytes(tmp_path: Path) -> None:
    """A compressed file is read whatever its name is."""
    path = tmp_path / "app.log"
    path.write_bytes(gzip.compress(b"one\r\n\ntwo"))
    assert list(tailing.lines(path)) == [b"one", b"two"]


def test_a_cut_gzip_file_is_an_input_error(tmp_path: Path) -> None:
    """What was read before the damage is yielded, then the file is named."""
    path = tmp_path / "app.log.gz"
    path.write_bytes(gzip.compress(b"one\n" * 100_000)[:-200])
    with pytest.raises(InputError, match=r"app\.log\.gz"):
        list(tailing.lines(path))


@pytest.mark.parametrize(
    ("name", "service"), [("nginx.log", "nginx"), ("a.b.log.gz", "a.b"), ("syslog", "syslog"), (".log", ".log")]
)
def test_a_service_is_named_for_its_file(name: str, service: str) -> None:
    """The usual suffixes go, nothing else."""
    assert tailing.service_of(Path("/var/log") / name) == service


def test_a_tail_yields_whole_lines_once(tmp_path: Path) -> None:
    """A line counts when its end is written, and only once."""
    path = tmp_path / "app.log"
    path.write_bytes(b"old\n")
    tail = tailing.Tail(path, position=4)
    assert tail.new() == []
    with path.open("ab") as file:
        file.write(b"one\ntw")
    assert tail.new() == [b"one"]
    with path.open("ab") as file:
        file.write(b"o\n")
    assert tail.new() == [b"two"]


def test_a_tail_starts_again_when_the_file_is_replaced(tmp_path: Path) -> None:
    """Rotation loses nothing that is in the new file."""
    path = tmp_path / "app.log"
    path.write_bytes(b"a long line\n")
    tail = tailing.Tail(path, position=0)
    assert tail.new() == [b"a long line"]
    path.rename(tmp_path / "app.log.1")
    assert tail.new() == []
    path.write_bytes(b"new\n")
    assert tail.new() == [b"new"]
