"""What a pool says of specialists: where each one stands, and what one found out."""

from __future__ import annotations

from typing import Final

from streams.core.base import Event

SPECIALIST_STATES: Final = ("spawned", "running", "waiting", "done", "failed", "released")
"""Asked for; its process is up; idle, or at a synchronisation point; its steps are over; lost; let go."""


class SpecialistReported(Event, frozen=True):
    """Where a specialist of ``host`` stands: ``state`` is one of ``SPECIALIST_STATES``.

    ``plan`` is the decision that asked for it, ``code`` a short word that says why (``""``: as told). ``cpu_ms`` is the
    processor time that it has used, ``memory_kb`` the most memory that it has held; both 0 while unknown.
    """

    host: str
    specialist: str
    plan: str
    state: str
    code: str
    at_ms: int
    cpu_ms: int
    memory_kb: int


class FindingReported(Event, frozen=True):
    """One thing that a look at a service found: ``code`` is a row of the catalogue's findings, ``value`` in its unit.

    ``worker`` is the specialist or worker that looked, ``command_id`` the command that told it to.
    """

    command_id: str
    host: str
    service: str
    worker: str
    code: str
    value: float
    at_ms: int
