"""What the manager of a pool and its workers say to each other over pipes: length-prefixed msgpack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from streams.core.errors import InvariantError
from streams.core.events import Command
from streams.workers.results import Result, Surroundings

LENGTH_BYTES: Final = 4
FRAME_BYTES_MAX: Final = 4 << 20


class Run(Struct, frozen=True, tag="run"):
    """Carry a command out, if it is not later than ``give_up_ms`` of this host's clock."""

    command: Command
    give_up_ms: int
    dry_run: bool
    surroundings: Surroundings


class Become(Struct, frozen=True, tag="become"):
    """Tell a spare which specialist it is from now on: the name of a row of ``specialists.toml``."""

    name: str


class Hold(Struct, frozen=True, tag="hold"):
    """What a specialist may hold: memory in MiB, and its share of a processor."""

    memory_mb: int
    cpu: float


class Ping(Struct, frozen=True, tag="ping"):
    """Ask a worker for a sign of life."""

    number: int


class Leave(Struct, frozen=True, tag="leave"):
    """Take nothing more, finish what runs, and end."""


class Pong(Struct, frozen=True, tag="pong"):
    """A sign of life; ``running`` actions are under way."""

    number: int
    running: int


class Ended(Struct, frozen=True, tag="ended"):
    """A command is over. ``status`` as in outcomes; times are this host's clock, 0 when nothing was run."""

    command_id: str
    status: str
    result: Result
    started_ms: int
    finished_ms: int


Request = Run | Become | Hold | Ping | Leave
Answer = Pong | Ended


def pack(frame: Request | Answer) -> bytes:
    """Return a frame's bytes, length first."""
    body = msgspec.msgpack.encode(frame)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


class Frames:
    """Puts frames together again from the pieces that a pipe delivers."""

    def __init__(self, kind: object) -> None:
        self._decoder: msgspec.msgpack.Decoder[Request | Answer] = msgspec.msgpack.Decoder(kind)
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Request | Answer]:
        """Yield the frames that are complete now. ``InvariantError`` when the other side talks nonsense."""
        self._rest += data
        while len(self._rest) >= LENGTH_BYTES:
            length = int.from_bytes(self._rest[:LENGTH_BYTES], "big")
            if length > FRAME_BYTES_MAX:
                raise InvariantError(f"a frame of {length} bytes")
            if len(self._rest) < LENGTH_BYTES + length:
                return
            body = bytes(self._rest[LENGTH_BYTES : LENGTH_BYTES + length])
            del self._rest[: LENGTH_BYTES + length]
            yield self._decoder.decode(body)
