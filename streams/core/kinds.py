"""The kinds of decisions, and what each one means."""

from __future__ import annotations

from typing import Final

SENDING_KINDS: Final = frozenset({"commanded", "spawned", "looked", "released"})
"""Decisions whose command dispatch sends; each names the one before it (``Command.previous_seq``)."""

DECISION_KINDS: Final = {
    "incident_opened": "a first symptom; service, pattern, causes",
    "symptom_joined": "another pattern or a dependent service belongs to an open incident",
    "severity_raised": "an open incident became worse; reason: the symptom, or how many lines came in how short a time",
    "incident_merged": "the incident was a symptom of another; refers_to is that other incident",
    "planned": "specialists are called: strategy and options are ways of coordination, id is the plan's",
    "spawned": "a specialist of the plan refers_to is brought up; dispatch sends the command",
    "looked": "somebody of the plan refers_to finds something out; dispatch sends the command",
    "synchronised": "the plan refers_to acts on what was found: reason is how far it came, count the findings",
    "released": "a specialist of the plan refers_to is let go; dispatch sends the command",
    "plan_ended": "the plan refers_to: reason done, partly, failed or timed_out, confidence the share of steps done",
    "commanded": "act: strategy, options, gates, command; dispatch sends it",
    "withheld": "would act, but a gate said no: strategy, options, gates",
    "approval_requested": "would act when a person agrees: command is what would be sent",
    "approval_denied": "a person said no, or nobody answered in time (reason)",
    "command_ended": "an outcome arrived; refers_to is the commanded decision, reason its status and code",
    "command_overdue": "no outcome came in time; refers_to is the commanded decision",
    "verified": "the symptom stopped and stayed away, with positive evidence",
    "verification_failed": "the symptom came back after the action",
    "unverified": "quiet, but nothing positive was seen; never counts as success",
    "escalated": "a person is needed; reason says why",
    "incident_closed": "reason: healed, subsided, merged",
    "config_applied": "policy, rules or inventory changed; reason is kind and hash",
    "halted": "kill switch on",
    "resumed": "kill switch off",
    "lines_lost": "a hole in a source that retention made",
    "service_evicted": "the longest silent service left the state",
    "fact_rejected": "step failed on this fact; action is halted",
}
