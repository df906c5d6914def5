"""What decide keeps of itself: the state of the fold, and where that state stands in the two logs."""

from __future__ import annotations

import msgspec

from streams.core.errors import InputError


class Saved(msgspec.Struct, frozen=True, array_like=True):
    """A snapshot as ``SnapshotStore`` keeps it.

    ``facts_offset`` is the first fact that is not in it. ``decisions_offset`` is where the decision stands that the
    chain's head is, at its first place in the log; -1 before the first decision. ``fold`` is ``Fold.snapshot()``.
    """

    facts_offset: int
    decisions_offset: int
    fold: bytes


def pack(saved: Saved) -> bytes:
    """Return the bytes of a snapshot."""
    return msgspec.msgpack.encode(saved)


def unpack(data: bytes) -> Saved:
    """Return the snapshot that bytes hold; ``InputError`` when they hold none."""
    try:
        return msgspec.msgpack.decode(data, type=Saved)
    except msgspec.MsgspecError as error:
        raise InputError(f"not a snapshot: {error}") from error
