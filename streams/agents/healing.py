"""How long healing takes: what the durable decisions of one owner of decide say of it."""

from __future__ import annotations

from streams import telemetry
from streams.core.events import Decision


class Healing:
    """Remembers when each open incident was opened. Incidents that an earlier owner opened are not measured."""

    def __init__(self) -> None:
        self._opened_ms: dict[str, int] = {}

    def see(self, decision: Decision) -> None:
        """Take in a durable decision; each one once and in their order."""
        match decision.kind:
            case "incident_opened":
                self._opened_ms[decision.incident] = decision.now_ms
            case "verified" if decision.incident in self._opened_ms:
                telemetry.healed((decision.now_ms - self._opened_ms[decision.incident]) / 1_000)
            case "incident_closed" | "incident_merged":
                self._opened_ms.pop(decision.incident, None)
            case _:
                pass
