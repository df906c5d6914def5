"""Names and properties of every topic of a fleet."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

DAY_MS: Final = 86_400_000
MEBIBYTE: Final = 1024 * 1024


class Topic(Struct, frozen=True, kw_only=True):
    """One topic: partitions for a new one, and its broker configuration."""

    name: str
    partitions: int
    config: dict[str, str]
    purpose: str


class Topics(Struct, frozen=True):
    """The set of topics of one fleet, named by its prefix (default ``logmend``)."""

    fleet: str = "logmend"
    logs: tuple[str, ...] = ("logs",)
    metrics: tuple[str, ...] = ("metrics",)

    def _own(self, name: str) -> str:
        return f"{self.fleet}.{name}"

    @property
    def facts(self) -> str:
        """Every input of the fold."""
        return self._own("facts")

    @property
    def decisions(self) -> str:
        """The event log."""
        return self._own("decisions")

    @property
    def commands(self) -> str:
        """Commands, from the log."""
        return self._own("commands")

    @property
    def evidence(self) -> str:
        """Redacted text of named lines."""
        return self._own("evidence")

    @property
    def snapshots(self) -> str:
        """State of the fold."""
        return self._own("snapshots")

    @property
    def heartbeats(self) -> str:
        """Liveness of the pool."""
        return self._own("heartbeats")

    @property
    def dlq(self) -> str:
        """What no decoder took."""
        return self._own("dlq")

    @property
    def inbox_workers(self) -> str:
        """Outcomes and probes."""
        return self._own("inbox.workers")

    @property
    def inbox_people(self) -> str:
        """Approvals, configuration, kill switch."""
        return self._own("inbox.people")

    @property
    def inbox_advice(self) -> str:
        """Advisors' opinions."""
        return self._own("inbox.advice")

    @property
    def inboxes(self) -> tuple[str, ...]:
        """All three inboxes."""
        return (self.inbox_workers, self.inbox_people, self.inbox_advice)

    @property
    def sources(self) -> tuple[str, ...]:
        """What detect reads: topics of logs and of metrics, and inboxes."""
        return (*self.logs, *self.metrics, *self.inboxes)

    def all(self, source_partitions: int = 8) -> tuple[Topic, ...]:
        """Every topic that ``logmend topics create`` makes."""
        days = {"retention.ms": str(7 * DAY_MS)}
        ours = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(9 * MEBIBYTE)}
        source = {**ours, **days}  # by producers' stamps retention would delete an old file as soon as it was shipped
        forever = {**ours, "retention.ms": "-1", "retention.bytes": "-1"}
        week = {**ours, **days}
        compacted = {**ours, "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}
        rows: list[tuple[str, int, dict[str, str], str]] = [
            *((name, source_partitions, source, "log lines, as producers send them") for name in self.logs),
            *((name, source_partitions, source, "metrics, as producers send them") for name in self.metrics),
            (self.inbox_workers, 1, week, "outcomes and probes from the pool"),
            (self.inbox_people, 1, week, "approvals, configuration, kill switch"),
            (self.inbox_advice, 1, week, "advisors' opinions"),
            (self.facts, 1, forever, "every input of the fold"),
            (self.decisions, 1, forever, "the event log"),
            (self.commands, 1, forever, "commands, each naming its host"),
            (self.evidence, 1, week, "redacted text of the lines that detections name"),
            (self.snapshots, 1, compacted, "state of the fold"),
            (self.heartbeats, 1, compacted, "liveness of the pool"),
            (self.dlq, 1, {**ours, "retention.ms": str(14 * DAY_MS)}, "what no decoder took, with the reason"),
        ]
        return tuple(Topic(name=n, partitions=p, config=c, purpose=w) for n, p, c, w in rows)
