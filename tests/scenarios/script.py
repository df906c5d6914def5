"""Scenario scripts: a line says what happens, the indented lines under it what is decided.

    service api depends_on=db      (all services of the inventory first)
    policy cooldown_ms=2000
    detect api process_crash       age=MS makes the line older, count=N is a line N times; severity=WORD
    probe api down | up
    normal api
    sample api memory=50 cpu=20    gauges, now
    drift api memory=40..95 minutes=45   a sample a minute, from one value to the other; every=10: that many seconds
    speak api,web error=10 info=90 minutes=12   so many lines of each a minute; saying=SOME_WORDS: what the errors say
    outcome api ok | failed | refused | expired | in_doubt
    specialist NAME running | waiting | done | failed | released
    look TOPIC ok | failed | refused  CODE=VALUE is what it found; survey, propose and verify are topics too
    advisors all | none            who would answer now
    opine ADVISOR ACTION sure=0.9 suspect=SERVICE cause=PATTERN    on the newest question; nothing code=WORD: abstains
    halt | resume | approve api | deny api | wait SECONDS
    escalation api acknowledged | assigned | noted | resolved   method=ACTION_OR_WORD assignee=NAME reason=WORD
    silence api SECONDS | maintenance api SECONDS   an api* stands for all that begin so; unmute api
    task ID ROLE | task ID - service=api action=ACTION   taskended ID; heal

The last line is the head of the hash chain: any change of any byte of any decision shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from streams.core.config import Inventory, Policy
from streams.core.events import Decision, Tally
from streams.core.inventory import ServiceSpec
from streams.core.requests import HealRequested
from streams.ingest.masking import template_id
from tests.core import asking
from tests.core.world import World, spec

QUIET: Final = {"assessed"}
"""Recorded every minute, whatever happens: not shown, but in the chain."""


def run(script: str) -> str:
    """Return the script with what was really decided under each line."""
    stage = Stage()
    shown: list[str] = []
    for line in script.splitlines():
        if line.startswith(("  ", "chain ")):
            continue
        shown.append(line)
        if line and not line.startswith("#"):
            decided = stage.play(line.split())
            shown += [f"  {_show(decision)}" for decision in decided if decision.kind not in QUIET]
    return "\n".join([*shown, f"chain {stage.world.fold.chain_head}"]) + "\n"


def _show(decision: Decision) -> str:
    words = [decision.kind, decision.service, decision.pattern]
    if decision.kind == "commanded" and decision.command:
        words += [decision.command.action, f"attempt={decision.command.attempt}"]
    if decision.kind in {"planned", "synchronised", "plan_ended"}:
        words.append(decision.strategy)
    if decision.kind in {"advised", "advice_settled"}:
        words.append(f"{decision.confidence:.2f}")
    if decision.kind == "alerted":
        words.append(decision.severity)
    if decision.kind in {"rate_surged", "template_surging"}:
        words.append(f"{decision.count} lines, usually {_figure(decision, 'usual_a_minute'):.0f}")
    if decision.kind == "predicted":
        words.append(f"{_figure(decision, 'probability'):.0%}")
    if decision.kind == "exhaustion_expected":
        words.append(f"in {_figure(decision, 'expected_ms') / 60_000:.0f} min")
    if decision.reason:
        words.append(f"({decision.reason})")
    return " ".join(word for word in words if word)


def _figure(decision: Decision, name: str) -> float:
    return next(figure.value for figure in decision.figures if figure.name == name)


class Stage:
    """A world, and what was said in its inventory so far."""

    def __init__(self) -> None:
        self.world = World()
        self._specs: list[ServiceSpec] = []

    def play(self, words: list[str]) -> list[Decision]:
        """Play one line and return what was decided."""
        verb, plain, given = words[0], [w for w in words[1:] if "=" not in w], _fields(words[1:])
        if verb == "service":
            self._specs.append(spec(plain[0], **_typed(given, ServiceSpec)))
            return self.world.apply("inventory", Inventory(services=tuple(self._specs)))
        if verb == "policy":
            return self.world.apply("policy", Policy(**_typed(given, Policy)))
        if verb == "detect":
            at_ms = self.world.ms - int(given.get("age", "0"))
            severity = {"severity": given["severity"]} if "severity" in given else {}
            return self.world.detect(*plain, at_ms=at_ms, count=int(given.get("count", "1")), **severity)
        simple: dict[str, Callable[[], list[Decision]]] = {
            "probe": lambda: self.world.probe(plain[0], ok=plain[1] == "up"),
            "normal": lambda: self.world.normal(plain[0]),
            "sample": lambda: self.world.sample(plain[0], **{name: float(value) for name, value in given.items()}),
            "drift": lambda: self._drift(plain[0], given),
            "speak": lambda: self._speak(plain[0].split(","), given),
            "outcome": lambda: self._outcome(*plain),
            "specialist": lambda: self.world.specialist(*plain),
            "look": lambda: self._look(*plain, found=given),
            "advisors": lambda: self.world.advisors(*({"all": (), "none": ("nobody",)}[plain[0]])),
            "opine": lambda: self._opine(*plain, **given),
            "approve": lambda: self.world.answer(self._last(plain[0], "approval_requested"), approved=True),
            "deny": lambda: self.world.answer(self._last(plain[0], "approval_requested"), approved=False),
            "escalation": lambda: asking.answer(self.world, self._last(plain[0], "escalated").id, plain[1], **given),
            "silence": lambda: asking.mute(self.world, service=plain[0], seconds=int(plain[1])),
            "maintenance": lambda: asking.mute(self.world, "maintenance", service=plain[0], seconds=int(plain[1])),
            "unmute": lambda: asking.lift(self.world, self._last(plain[0], "mute_set").id),
            "task": lambda: asking.task(self.world, plain[0], role=plain[1].replace("-", ""), **given),
            "taskended": lambda: self.world.outcome(self._given(plain[0]).id, code="alive"),
            "heal": lambda: self.world.say(HealRequested(author="ada", reason="")),
            "halt": self.world.halt,
            "resume": self.world.resume,
            "wait": lambda: self.world.wait(float(plain[0])),
        }
        return simple[verb]()

    def _drift(self, service: str, given: dict[str, str]) -> list[Decision]:
        decided = []
        every = float(given.pop("every", "60"))
        samples = int(float(given.pop("minutes")) * 60 / every)
        ends = {name: [float(end) for end in value.split("..")] for name, value in given.items()}
        for number in range(1, samples + 1):
            decided += self.world.wait(every)
            now = {name: first + (last - first) * number / samples for name, (first, last) in ends.items()}
            decided += self.world.sample(service, **now)
        return decided

    def _speak(self, services: list[str], given: dict[str, str]) -> list[Decision]:
        decided = []
        minutes, said = int(given.pop("minutes", "1")), given.pop("saying", "").replace("_", " ")
        template = template_id(said.encode()) if said else ""
        for _ in range(minutes):
            decided += self.world.wait(60.0)
            tallies = tuple(
                Tally(
                    at_ms=self.world.ms,
                    service=service,
                    severity=severity,
                    pattern="",
                    template=template if severity == "error" else "",
                    count=int(count),
                )
                for service in services
                for severity, count in given.items()
            )
            decided += self.world.slice(tallies=tallies)
        return decided

    def _outcome(self, service: str, how: str) -> list[Decision]:
        status = "done" if how in {"ok", "failed"} else how
        return self.world.outcome(self._last(service, "commanded").id, status=status, ok=how == "ok")

    def _opine(self, advisor: str, action: str, sure: str = "0", **given: str) -> list[Decision]:
        return self.world.opine(advisor, action.replace("nothing", ""), float(sure), **given)

    def _look(self, topic: str, how: str, *, found: dict[str, str]) -> list[Decision]:
        look = next(
            one for one in reversed(self.world.decisions) if one.kind == "looked" and one.reason.startswith(f"{topic} ")
        )
        decided = []
        for code, value in found.items():
            decided += self.world.found(look.id, code, float(value), service=look.service)
        status = "done" if how in {"ok", "failed"} else how
        return decided + self.world.outcome(look.id, status=status, ok=how == "ok")

    def _given(self, task_id: str) -> Decision:
        return next(d for d in self.world.decisions if d.kind == "task_given" and d.reason.startswith(f"{task_id} "))

    def _last(self, service: str, kind: str) -> Decision:
        return next(d for d in reversed(self.world.decisions) if d.kind == kind and d.service == service)


def _fields(words: list[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words if "=" in word)


def _typed(given: dict[str, str], shape: type[Any]) -> dict[str, Any]:
    """Return values as the struct's fields want them; a tuple is written with commas, and so are the names of tools."""
    types = {field.name: field.type for field in msgspec.structs.fields(shape)}
    return {
        name: msgspec.convert(_parts(name, value, types[name]), types[name], strict=False)
        for name, value in given.items()
    }


def _parts(name: str, value: str, kind: Any) -> Any:
    if name == "tools":
        return {tool: ("run", tool) for tool in value.split(",")}
    return value.split(",") if kind == tuple[str, ...] else value
