"""A world in a few calls: facts with dense offsets and chosen times, fed to a real fold."""

from __future__ import annotations

from typing import Any

from streams.catalogue import strategies
from streams.core.advice import ADVISORS, AdvisorsReported, OpinionGiven
from streams.core.config import Config, canonical, sha256
from streams.core.events import (
    ActionHalted,
    ActionResumed,
    ApprovalGiven,
    ConfigApplied,
    Decision,
    Detection,
    Fact,
    InboxEvent,
    LineAt,
    Message,
    OutcomeReported,
    ProbeReported,
    Slice,
    Tally,
    Ticked,
    Took,
)
from streams.core.fold import Fold
from streams.core.inventory import ServiceSpec
from streams.core.reports import FindingReported, SpecialistReported
from streams.core.samples import sample

START_MS = 1_800_000_000_000
CATEGORY = {
    "process_crash": ("process", "critical"),
    "out_of_memory": ("memory", "critical"),
    "security_intrusion": ("security", "critical"),
    "port_conflict": ("network", "error"),
    "connection_refused": ("network", "error"),
    "service_unavailable": ("service", "error"),
    "database_lock": ("database", "error"),
    "database_connection": ("database", "error"),
    "configuration_error": ("configuration", "error"),
    "health_check_failure": ("service", "error"),
    "disk_full": ("disk", "critical"),
    "authentication_failure": ("security", "warning"),
    "data_corruption": ("disk", "critical"),
    "resource_exhaustion": ("resource", "error"),
    "service_dependency": ("dependency", "error"),
    "performance_degradation": ("performance", "warning"),
}


def spec(name: str, **fields: Any) -> ServiceSpec:
    """Return an inventory entry of a process that may be acted on automatically."""
    defaults: dict[str, Any] = {
        "host": "h1",
        "mode": "auto",
        "argv": ("run", name),
        "pid_file": f"{name}.pid",
        "port": 8000,
        "lock_files": (f"{name}.db",),
        "config_files": (f"{name}.toml",),
        "checkpoint_dir": f"{name}.ckpt",
    }
    return ServiceSpec(name=name, **{**defaults, **fields})


def detection(service: str, pattern: str, at_ms: int, *, offset: int = 0, **fields: Any) -> Detection:
    """Return a detection of one line with the pattern's usual category and severity."""
    category, severity = CATEGORY[pattern]
    values: dict[str, Any] = {
        "service": service,
        "service_rule": "header",
        "host": "h1",
        "pattern": pattern,
        "category": category,
        "severity": severity,
        "template": "",
        "confidence": 0.9,
        "count": 1,
        "at_first_ms": at_ms,
        "at_last_ms": at_ms,
        "lines": (LineAt(offset=offset, index=0),),
    }
    return Detection(**{**values, **fields})


class World:
    """Feeds one fold. ``ms`` is the append time of the next fact; ``facts`` is all that was fed, for a refold."""

    def __init__(self) -> None:
        self.fold = Fold.new(strategies())
        self.ms = START_MS
        self.facts: list[tuple[Fact, int, int]] = []
        self.decisions: list[Decision] = []
        self._positions: dict[str, int] = {}

    def feed(self, fact: Fact) -> list[Decision]:
        """Append a fact at the present time."""
        offset = len(self.facts)
        self.facts.append((fact, offset, self.ms))
        decided = self.fold.apply(fact, offset, self.ms)
        self.decisions += decided
        return decided

    def slice(self, source: str = "logs", **parts: Any) -> list[Decision]:
        """Append a slice that accounts for the next record of ``source``."""
        if source not in self._positions:
            self.feed(Took(source=source, partition=0, term=1, nonce="n", owner="o"))
        begin = self._positions.get(source, 0)
        self._positions[source] = begin + 1
        values: dict[str, Any] = {
            "source": source,
            "partition": 0,
            "term": 1,
            "from_offset": begin,
            "to_offset": begin + 1,
            "rules_sha256": "r1",
            "lines": 1,
            "at_max_ms": self.ms,
            "append_max_ms": self.ms,
        }
        return self.feed(Slice(**{**values, **parts}))

    def detect(self, service: str, pattern: str, **fields: Any) -> list[Decision]:
        """Append a slice with one detection, now, and its tally."""
        found = detection(
            service, pattern, fields.pop("at_ms", self.ms), offset=self._positions.get("logs", 0), **fields
        )
        tally = Tally(
            at_ms=found.at_last_ms - found.at_last_ms % 1000,
            service=service,
            severity=found.severity,
            pattern=pattern,
            template="",
            count=found.count,
        )
        return self.slice(detections=(found,), tallies=(tally,))

    def normal(self, service: str) -> list[Decision]:
        """Append a slice in which a service says that all is well."""
        tally = Tally(at_ms=self.ms, service=service, severity="info", pattern="", template="", count=1)
        return self.slice(tallies=(tally,))

    def sample(self, service: str, age_s: float = 0.0, **metrics: float) -> list[Decision]:
        """Append a slice in which a service reports gauges of ``age_s`` seconds ago."""
        second_ms = (self.ms - int(age_s * 1000)) // 1000 * 1000
        found = tuple(
            sample(second_ms, service, "h1", metric, value, series=f"{metric}_rule")
            for metric, value in metrics.items()
        )
        return self.slice("metrics", lines=0, samples=found)

    def say(self, event: InboxEvent, inbox: str = "people") -> list[Decision]:
        """Append a slice of an inbox with one message."""
        source = f"logmend.inbox.{inbox}"
        message = Message(offset=self._positions.get(source, 0), append_ms=self.ms, event=event)
        return self.slice(source, rules_sha256="", lines=0, messages=(message,))

    def apply(self, kind: str, value: Config) -> list[Decision]:
        """Apply a policy or an inventory."""
        body = canonical(value)
        return self.say(ConfigApplied(kind=kind, sha256=sha256(body), author="ada", body=body))

    def halt(self) -> list[Decision]:
        """Throw the kill switch."""
        return self.say(ActionHalted(author="ada", reason="looks odd"))

    def resume(self) -> list[Decision]:
        """Release the kill switch."""
        return self.say(ActionResumed(author="ada", reason="was fine"))

    def answer(self, decision: Decision, *, approved: bool, sha: str = "") -> list[Decision]:
        """Answer an approval request."""
        if decision.command is None:
            raise ValueError("not an approval request")
        given = ApprovalGiven(
            decision_id=decision.id,
            command_sha256=sha or decision.command.sha256,
            approved=approved,
            author="ada",
            reason="",
        )
        return self.say(given)

    def outcome(self, command_id: str, *, status: str = "done", ok: bool = True, **fields: Any) -> list[Decision]:
        """Report how a command ended."""
        values: dict[str, Any] = {
            "command_id": command_id,
            "command_seq": 0,
            "host": "h1",
            "worker": "executor_001",
            "status": status,
            "ok": ok,
            "code": "",
            "effect": "once" if status == "done" else "none",
            "started_ms": self.ms,
            "finished_ms": self.ms,
            "skew_ms": 0,
        }
        return self.say(OutcomeReported(**{**values, **fields}), "workers")

    def probe(self, service: str, *, ok: bool, kind: str = "http") -> list[Decision]:
        """Report a probe."""
        event = ProbeReported(
            host="h1", service=service, kind=kind, ok=ok, code="up" if ok else "down", at_ms=self.ms, latency_ms=1
        )
        return self.say(event, "workers")

    def specialist(self, name: str, state: str, **fields: Any) -> list[Decision]:
        """Report where a specialist stands, of the plan that it was asked for last."""
        values: dict[str, Any] = {
            "host": "h1",
            "specialist": name,
            "plan": self._plan_of(name),
            "state": state,
            "code": "",
            "at_ms": self.ms,
            "cpu_ms": 0,
            "memory_kb": 0,
        }
        return self.say(SpecialistReported(**{**values, **fields}), "workers")

    def _plan_of(self, name: str) -> str:
        spawned = (one for one in reversed(self.decisions) if one.kind == "spawned" and one.reason.startswith(name))
        return next((one.refers_to for one in spawned), "")

    def found(self, command_id: str, code: str, value: float, **fields: Any) -> list[Decision]:
        """Report a finding of a look."""
        values: dict[str, Any] = {
            "command_id": command_id,
            "host": "h1",
            "service": "api",
            "worker": "w",
            "code": code,
            "value": value,
            "at_ms": self.ms,
        }
        return self.say(FindingReported(**{**values, **fields}), "workers")

    def advisors(self, *names: str, host: str = "h1") -> list[Decision]:
        """Report who would answer on a host: all three when none is named."""
        event = AdvisorsReported(host=host, provider="recorded", model="m", advisors=names or ADVISORS, at_ms=self.ms)
        return self.say(event, "advice")

    def opine(self, advisor: str, action: str, confidence: float = 0.9, **fields: Any) -> list[Decision]:
        """Give an opinion on the question that was asked last."""
        asked = [one.id for one in self.decisions if one.kind == "advice_asked"]
        values: dict[str, Any] = {
            "question_id": asked[-1] if asked else "",
            "advisor": advisor,
            "provider": "recorded",
            "model": "m",
            "source": "model",
            "action": action,
            "suspect": "",
            "cause": "",
            "confidence": confidence,
            "code": "",
            "asked_ms": self.ms,
            "latency_ms": 1_500,
            "tokens_in": 900,
            "tokens_out": 100,
            "cost_microusd": 4_000,
            "answer_sha256": "",
        }
        return self.say(OpinionGiven(**{**values, **fields}), "advice")

    def wait(self, seconds: float) -> list[Decision]:
        """Let time pass, with a tick each second while a timer is open."""
        decided: list[Decision] = []
        end_ms = self.ms + int(seconds * 1000)
        while self.ms < end_ms:
            self.ms = min(self.ms + 1000, end_ms)
            if self.fold.timer_open:
                decided += self.feed(Ticked(owner="o"))
        return decided


def kinds(decisions: list[Decision]) -> list[str]:
    """Return the kinds of decisions, in order."""
    return [decision.kind for decision in decisions]


def of_kind(decisions: list[Decision], kind: str) -> list[Decision]:
    """Return the decisions of one kind."""
    return [decision for decision in decisions if decision.kind == kind]


def figure(decision: Decision, name: str) -> float:
    """Return a figure of a decision."""
    return next(one.value for one in decision.figures if one.name == name)
