from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import pytest

from streams.core.errors import InputError
from streams.ingest import masking, matcher, quiet

KEPT = Path(__file__).parent / "verdicts" / "quiet.jsonl"
LINES = b"all well\nconnection refused by 10.0.0.1\n\nconnection refused by 10.0.0.2\nno space left on device\n"
COUNTS = {"lines", "detections", "per_1000", "false", "false_per_1000", "undecided"}


def ruling(pattern: str, line: bytes, verdict: str) -> bytes:
    """Encode one kept verdict on lines such as this."""
    template = masking.mask(line).decode()
    return msgspec.json.encode({"pattern": pattern, "template": template, "verdict": verdict, "reason": "said"})


def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Write the lines as text and as gzip, and a verdict on one of their two templates."""
    plain, packed, kept = tmp_path / "a.log", tmp_path / "b.log.gz", tmp_path / "kept.jsonl"
    plain.write_bytes(LINES)
    packed.write_bytes(gzip.compress(LINES))
    kept.write_bytes(ruling("connection_refused", b"connection refused by 10.0.0.7", "false"))
    return plain, packed, kept


def test_counts(tmp_path: Path) -> None:
    """Detections are counted by file and in all, false ones by the kept verdicts, the others as undecided."""
    plain, packed, kept = files(tmp_path)
    found = quiet.quiet((plain, packed), quiet.read_verdicts(kept))
    each = [
        (one.lines, one.detections, one.per_1000, one.false, one.false_per_1000, one.undecided) for one in found.files
    ]
    assert each == [(4, 3, 750.0, 2, 500.0, 1)] * 2
    assert (found.overall.lines, found.overall.false, found.overall.undecided) == (8, 4, 2)


def test_distinct_lines(tmp_path: Path) -> None:
    """Lines of one template are one entry with their number, its verdict and the first of them."""
    plain, packed, kept = files(tmp_path)
    found = quiet.quiet((plain, packed), quiet.read_verdicts(kept)).fired
    assert [(one.pattern, one.lines, one.verdict, one.line) for one in found] == [
        ("connection_refused", 4, "false", "connection refused by 10.0.0.1"),
        ("disk_full", 2, "", "no space left on device"),
    ]


def test_json_keys(tmp_path: Path) -> None:
    """The printed keys are those of the contract, and the counts of each file and each distinct line."""
    plain, _, _ = files(tmp_path)
    printed = quiet.quiet((plain,), {}).as_json()
    assert set(printed) == {*COUNTS, "files", "fired"}


def test_a_verdict_is_of_its_pattern(tmp_path: Path) -> None:
    """A verdict on the same line under another pattern does not count."""
    plain, _, kept = files(tmp_path)
    kept.write_bytes(ruling("network_timeout", b"connection refused by 10.0.0.7", "false"))
    assert quiet.quiet((plain,), quiet.read_verdicts(kept)).overall.false == 0


@pytest.mark.parametrize("content", [b"{}", b'{"pattern":"a","template":"b","verdict":"maybe","reason":""}', b"x"])
def test_bad_verdicts(content: bytes, tmp_path: Path) -> None:
    """A line that is no verdict is an InputError that says where it stands."""
    path = tmp_path / "kept.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"kept\.jsonl:1"):
        quiet.read_verdicts(path)


@pytest.mark.parametrize("content", [b"\x1f\x8bjunk", gzip.compress(LINES)[:-9]])
def test_bad_gzip(content: bytes, tmp_path: Path) -> None:
    """A damaged gzip file is an InputError that names it."""
    path = tmp_path / "a.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.gz"):
        quiet.quiet((path,), {})


def test_kept_verdicts_are_of_shipped_patterns() -> None:
    """Every kept verdict names a shipped pattern and says why; none is given twice."""
    kept = quiet.read_verdicts(KEPT)
    assert len(kept) == len(KEPT.read_bytes().splitlines())
    assert {pattern for pattern, _ in kept} <= {rule.id for rule in matcher.shipped().rules}
    assert all(found.reason for found in kept.values())
