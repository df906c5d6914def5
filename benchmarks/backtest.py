"""How often the intervals of ``logmend backtest`` hold the truth: ``python -m benchmarks.backtest``.

Synthetic logs of incidents whose truth is known: twelve contexts (a pattern on a type of service), some common and some
rare, each with three to five actions. How likely an action helps depends on the service besides, which no estimator
sees. The log chooses what it believes best and explores the others at 2 to 20 % together, unevenly; the candidate
believes another action best in a part of the contexts, and explores less. A second attempt follows a failed first one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from analytics.backtest.draws import Draw
from analytics.backtest.estimates import ESTIMATORS, Effect, estimate

LOGS: Final = 200
INCIDENTS: Final = 2_000
CONTEXTS: Final = 12
SERVICES: Final = 3
RATES: Final = (0.02, 0.05, 0.1, 0.2)
"""How often a log explores, in a context."""
BAR: Final = 0.93
STRATEGIES: Final = ("restart", "rollback", "fallback", "retry", "isolate")


class Context(NamedTuple):
    """Where incidents are: how common, what both policies choose, and how likely each action helps by service."""

    weight: float
    name: str
    logged: dict[str, float]
    candidate: dict[str, float]
    success: list[dict[str, float]]


class Truth(NamedTuple):
    """Share of verified success under the candidate, and how much more that is than under the log."""

    share: float
    effect: float


def contexts(chance: Random) -> list[Context]:
    """Return the contexts of one world."""
    found = []
    for number in range(CONTEXTS):
        actions = [f"process.{strategy}" for strategy in STRATEGIES[: chance.randint(3, 5)]]
        base = {action: chance.uniform(0.1, 0.9) for action in actions}
        success = [
            {action: min(max(share + chance.uniform(-0.15, 0.15), 0.02), 0.98) for action, share in base.items()}
            for _ in range(SERVICES)
        ]
        best = chance.choice(actions)
        other = chance.choice([one for one in actions if one != best]) if number % 3 == 0 else best
        found.append(
            Context(
                weight=1.0 / (1 + number % 6),
                name=f"pattern_{number}",
                logged=_explored(actions, best, chance.choice(RATES), chance),
                candidate=_explored(actions, other, RATES[0], chance),
                success=success,
            )
        )
    return found


def _explored(actions: Sequence[str], best: str, rate: float, chance: Random) -> dict[str, float]:
    """Return probabilities: the best gets all but ``rate``, which the others share unevenly."""
    parts = {action: chance.uniform(0.2, 1.0) for action in actions if action != best}
    total = sum(parts.values())
    return {action: rate * parts[action] / total if action in parts else 1.0 - rate for action in actions}


def truth(world: Sequence[Context]) -> Truth:
    """Return what is estimated, of the decisions that the log comes to: first attempts, and second after failures."""
    logged = candidate = reached = 0.0
    total = sum(context.weight for context in world)
    for context in world:
        for success in context.success:
            weight = context.weight / total / SERVICES
            mine = sum(share * success[action] for action, share in context.logged.items())
            theirs = sum(share * success[action] for action, share in context.candidate.items())
            attempts = weight * (2.0 - mine)
            reached += attempts
            logged += attempts * mine
            candidate += attempts * theirs
    return Truth(candidate / reached, (candidate - logged) / reached)


def draws(world: Sequence[Context], incidents: int, chance: Random) -> list[Draw]:
    """Return a log of incidents."""
    found = []
    weights = [context.weight for context in world]
    for number in range(incidents):
        (context,) = chance.choices(world, weights)
        success = chance.choice(context.success)
        for _ in range(2):
            (action,) = chance.choices(list(context.logged), list(context.logged.values()))
            reward = int(chance.random() < success[action])
            found.append(
                Draw(
                    incident=f"1-{number}-0",
                    pattern=context.name,
                    service_type="process",
                    action=action,
                    strategies={one: one.partition(".")[2] for one in context.logged},
                    logged=context.logged,
                    candidate=context.candidate,
                    reward=reward,
                )
            )
            if reward:
                break
    return found


def one_log(seed: int, incidents: int) -> tuple[Truth, Effect]:
    """Return the truth of a world and what its log says about it."""
    chance = Random(seed)
    world = contexts(chance)
    return truth(world), estimate(draws(world, incidents, chance), seed=seed)


class Coverage(NamedTuple):
    """Of one estimator over many logs: share of intervals that hold the truth, mean width, mean error."""

    share: float
    effect: float
    width: float
    error: float


def coverage(logs: Sequence[tuple[Truth, Effect]]) -> dict[str, Coverage]:
    """Return how each estimator does."""
    found = {}
    for name in ESTIMATORS:
        pairs = [(real, said.estimates[name]) for real, said in logs]
        count = len(pairs)
        found[name] = Coverage(
            share=sum(one.share.low <= real.share <= one.share.high for real, one in pairs) / count,
            effect=sum(one.effect.low <= real.effect <= one.effect.high for real, one in pairs) / count,
            width=sum(one.effect.high - one.effect.low for _, one in pairs) / count,
            error=sum(abs(one.effect.value - real.effect) for real, one in pairs) / count,
        )
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backtest", description=__doc__)
    parser.add_argument("--logs", type=int, default=LOGS)
    parser.add_argument("--incidents", type=int, default=INCIDENTS)
    given = parser.parse_args()
    begin = time.monotonic()
    logs = [one_log(seed, given.incidents) for seed in range(given.logs)]
    sizes = sorted(said.effective_changed for _, said in logs)
    print(f"{given.logs} logs of {given.incidents} incidents, {time.monotonic() - begin:.1f} s; 95 % intervals,")
    median = sizes[len(sizes) // 2]
    print(f"effective draws where the candidate chooses otherwise: median {median:.0f}, least {sizes[0]:.0f}")
    print(f"{'':8}{'share':>8}{'effect':>8}{'width':>8}{'error':>8}   bar {BAR:.0%}")
    for name, one in coverage(logs).items():
        print(f"{name:8}{one.share:8.1%}{one.effect:8.1%}{one.width:8.3f}{one.error:8.3f}")


if __name__ == "__main__":
    main()
