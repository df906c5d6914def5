"""A service that nothing helps: its pattern and the strategy get stuck, and the action loses what it may do alone."""

from __future__ import annotations

from streams.core.config import Policy, canonical, sha256
from streams.core.events import ActionResumed, ConfigApplied
from tests.analytics.history import History

FAILURES = 3


def struggle(history: History, service: str = "shop") -> None:
    """Let every action on a crashing service fail until it is stuck; after two more crashes a person releases it."""
    policy = Policy(
        stuck_failures=FAILURES,
        autonomy_auto_min=0.57,
        attempts_max=1,
        flapping_ms=0,
        cooldown_ms=0,
        quiet_close_ms=10_000,
        exploration_rate=0.0,
        coordination=False,
        blast_radius_share=1.0,
    )
    apply(history, policy)
    for _ in range(FAILURES):
        history.see(service, "process_crash")
        history.outcome(history.commands[-1], ok=False)
        history.calm(service, 15)
    for _ in range(2):
        history.see(service, "process_crash")
        history.calm(service, 15)
    history.say(ActionResumed(author="ann", reason="a new version is out"))
    apply(history, Policy())


def apply(history: History, policy: Policy) -> None:
    """Put a policy in force."""
    body = canonical(policy)
    history.say(ConfigApplied(kind="policy", sha256=sha256(body), author="ann", body=body))
