from __future__ import annotations

import gzip
from itertools import pairwise

import msgspec
import pytest

from streams import codec
from tests.ingest.given import cut_values, json, only

FULL = b"write failed: No space left on device"


@pytest.mark.parametrize(
    "lines", [b"\n".join([b"all is well"] * 600), b"[" + b",".join([b'{"message":"well"}'] * 600) + b"]"]
)
def test_what_came_before_a_record_costs_it_no_line(lines: bytes) -> None:
    """A record of many lines is taken whole, however much of the slice the records before it have filled."""
    calm = [
        json(
            ts=f"2024-02-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z",
            service=f"service-no-{n % 5}-of-shop",
            message="ok",
        )
        for n in range(9_000)
    ]
    result = cut_values(*calm, lines)
    assert (result.lines, result.dead) == (9_600, ())


def test_records_of_many_lines_do_not_overfill_a_slice_together() -> None:
    """What small records unfold to counts: the slices that hold it stay slices."""
    values = [
        gzip.compress(b"\n".join(b"Feb  1 10:00:00 h%d app%d%s: %s" % (n, k, b"x" * 70, FULL) for n in range(240)))
        for k in range(60)
    ]
    result = cut_values(*values)
    assert (result.lines, result.dead) == (240 * 60, ())
    assert max(len(codec.encode(piece)) for piece in result.slices) < 1_500_000
    assert all(one.to_offset == two.from_offset for one, two in pairwise(result.slices))


WRAPPED = b'{"schema":null,"payload":"\\u0001\\u0002\\u0003"}'


@pytest.mark.parametrize(
    "value",
    [
        b'[{"message":"one"},' + WRAPPED + b',{"message":"three"}]',
        b'{"message":"one"}\n' + WRAPPED + b'\n{"message":"three"}',
        b"[" + WRAPPED + b',{"message":"two"},{"message":"three"}]',
        WRAPPED + b"\n[]\nthree",
    ],
)
def test_one_line_that_can_not_be_taken_costs_the_others_nothing(value: bytes) -> None:
    """The other lines of its record count, and the record is a dead letter that says that they do."""
    result = cut_values(value)
    assert result.lines == 2
    assert [reason for _, reason in result.dead] == ["partly read: binary"]


def test_a_record_of_which_nothing_was_taken_says_so() -> None:
    """Where no line counts, the reason is that of the first: such a record may be put back."""
    assert [reason for _, reason in cut_values(b"[" + WRAPPED + b"," + WRAPPED + b"]").dead] == ["binary"]
    assert [reason for _, reason in cut_values(WRAPPED + b"\n" + WRAPPED).dead] == ["binary"]


def test_what_stands_beside_a_list_is_not_copied_into_each_of_its_lines() -> None:
    """A long text beside thousands of lines is left out of them, a name is in all of them."""
    value = msgspec.json.encode(
        {"records": [{}] * 500, "app": "web", "trailer": "No space left on device" + "y" * 9_999}
    )
    piece = only(cut_values(value))
    assert {(tally.service, tally.pattern, tally.count) for tally in piece.tallies} == {("web", "", 500)}


def test_names_count_as_the_bytes_that_they_take() -> None:
    """A record of lines with names in another script is cut off before its slice is more than a fact may be."""
    objects = [
        {"service": f"{'サービス' * 25}{n}", "host": f"{'ホ' * 100}{n}", "message": FULL.decode()} for n in range(3_000)
    ]
    result = cut_values(msgspec.json.encode(objects))
    assert len(codec.encode(only(result))) < 1_000_000
    assert [reason.partition(":")[0] for _, reason in result.dead] == ["too many lines"]
