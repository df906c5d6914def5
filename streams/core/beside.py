"""What is recorded beside the one order: the fold reads none of it."""

from __future__ import annotations

from streams.core.base import Event


class Evidence(Event, frozen=True):
    """The redacted text of a line that a detection names. Erasable: neither chain nor replay needs it."""

    topic: str
    partition: int
    offset: int
    index: int
    service: str
    pattern: str
    severity: str
    at_ms: int
    text: str


class Heartbeat(Event, frozen=True):
    """A process of the pool is alive. ``state``: starting, idle, busy, stopping."""

    worker: str
    role: str
    host: str
    pid: int
    state: str
    tasks: int
    errors: int
    started_ms: int
    at_ms: int
