"""What travels on each topic, and which kind of process may do what with it (``wire.toml``)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct


class Channel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a topic carries: names of messages, what their key is, and their headers with what each holds."""

    carries: tuple[str, ...]
    key: str
    headers: Mapping[str, str]


class Process(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a kind of process does with the topics.

    ``sends`` maps a channel to the messages that it sends there, none for all that the channel carries; ``group`` are
    the channels that it reads as a member of the consumer group ``<fleet>-<process>``.
    """

    does: str
    sends: Mapping[str, tuple[str, ...]]
    receives: tuple[str, ...]
    group: tuple[str, ...] = ()


class Wire(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table. Channels are named as the properties of ``streams.topics.Topics``."""

    channels: Mapping[str, Channel]
    processes: Mapping[str, Process]

    def sent(self, process: str, channel: str) -> tuple[str, ...]:
        """Return the messages that a process sends to a channel; none when it sends nothing there."""
        sends = self.processes[process].sends
        return (sends[channel] or self.channels[channel].carries) if channel in sends else ()


@cache
def wire() -> Wire:
    """Return the table."""
    return msgspec.convert(tomllib.loads(Path(__file__).with_name("wire.toml").read_text("utf-8")), Wire)
