"""An explanation as plain text: a tree by indentation, for a terminal, a ticket or a mail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from analytics.why import Cause, Explanation, Match, Sent, Step
from streams.core.events import Gate, Option


def render(explanation: Explanation) -> str:
    """Return an explanation as lines of text; times are UTC, hashes are cut to twelve digits."""
    head = explanation.id
    if explanation.incident:
        head = f"{head}: incident {explanation.incident}, {explanation.status}"
    text = _Text()
    lines = [head]
    if explanation.trace:
        lines.append(_line(1, f"trace {explanation.trace}"))
    for step in explanation.steps:
        lines.extend(text.step(step, 1))
    if explanation.not_done:
        lines.append("not done")
        lines.extend(_line(1, f"#{one.seq} {one.what}: {one.because}") for one in explanation.not_done)
    return "\n".join(lines) + "\n"


class _Text:
    """Renders steps; a line that several decisions come from is quoted once."""

    def __init__(self) -> None:
        self._quoted: set[Cause] = set()

    def step(self, step: Step, depth: int) -> Iterator[str]:
        """Yield a decision and, deeper, what it comes from and what came of it."""
        what = " ".join(part for part in (step.service, step.pattern, step.severity) if part)
        reason = f" ({step.reason})" if step.reason else ""
        yield _line(depth, f"#{step.seq} {_time(step.now_ms)} {step.kind}{reason} {what}".rstrip())
        yield from self._causes(step, depth + 1)
        if step.figures:
            yield _line(depth + 1, "with " + ", ".join(f"{one.name} {one.value:g}" for one in step.figures))
        if step.options or step.command:
            yield _line(depth + 1, _versions(step))
        for option in step.options:
            yield _line(depth + 1, _option(option, step))
        for gate in step.gates:
            yield _line(depth + 1, _gate(gate))
        if step.command is not None:
            yield _line(depth + 1, _sent(step.command))
        for following in step.then:
            yield from self.step(following, depth + 1)

    def _causes(self, step: Step, depth: int) -> Iterator[str]:
        new = [cause for cause in step.causes if cause not in self._quoted]
        self._quoted.update(new)
        if step.causes and not new:
            yield _line(depth, "from the same")
        for cause in new:
            where = f"{cause.topic}/{cause.partition} offset {cause.offset} index {cause.index}"
            yield _line(depth, f"from {where}: {cause.text or _kept_not(cause)}")
            for match in cause.matches:
                yield _line(depth + 1, _match(match))


def _kept_not(cause: Cause) -> str:
    """Return what stands for a text: a line's was kept for ``evidence_days``, others have none."""
    return f"(the text of this {cause.kind} is {'no longer' if cause.kind == 'line' else 'not'} kept)"


def _match(match: Match) -> str:
    rules = match.rules_sha256[:12] or "default"
    named = f"service {match.service} by {match.service_rule}"
    return f"matched {match.pattern or 'no pattern'}, {match.severity}, rules {rules}; {named}"


def _versions(step: Step) -> str:
    versions = [("policy", step.policy_sha256), ("rules", step.rules_sha256), ("inventory", step.inventory_sha256)]
    named = ", ".join(f"{name} {sha256[:12] or 'default'}" for name, sha256 in versions)
    return f"by epoch {step.epoch}, {named}"


def _option(option: Option, step: Step) -> str:
    chosen = option.action == step.command.action if step.command else option.strategy == step.strategy
    barred = f", {option.barred}" if option.barred else ""
    parts = f"success {option.expected_success:g}, cost {option.cost:g}, risk {option.risk:g}"
    figures = f"score {option.score:g} ({parts}), probability {option.probability:g}"
    word = "option" if not chosen else "chose" if step.command else "would choose"
    return f"{word} {option.strategy} by {option.action}: {figures}{barred}"


def _gate(gate: Gate) -> str:
    return f"gate {gate.name}: {'passed' if gate.passed else 'said no'} ({gate.value:g}, limit {gate.limit:g})"


def _sent(sent: Sent) -> str:
    arguments = "".join(f" {argument.name}={argument.value}" for argument in sent.arguments)
    approved = f", approved by {sent.approved_by}" if sent.approved_by else ""
    when = f"sent {_time(sent.sent_ms)}" if sent.sent_ms else "not sent"
    success = (" ok" if sent.ok else " failed") if sent.status == "done" else ""
    ended = " ".join(part for part in (f"{sent.status}{success}", sent.code) if part)
    return f"command {sent.action}{arguments} on {sent.host}, attempt {sent.attempt}{approved}, {when}: {ended}"


def _time(stamp_ms: int) -> str:
    return datetime.fromtimestamp(stamp_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _line(depth: int, text: str) -> str:
    return "  " * depth + text
