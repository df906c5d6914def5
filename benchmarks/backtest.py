"""How often the intervals of ``logmend backtest`` hold the truth: ``python -m benchmarks.backtest``.

Synthetic logs of incidents whose truth is known: twelve contexts (a pattern on a type of service), some common and some
rare, each with two to four actions. How likely an action helps depends on the service besides, which no estimator
sees. The log chooses what it believes best and explores the others at 2 to 20 % together, unevenly; the candidate
believes what is explored most to be best in a third of the contexts, and explores less. Both draw by the same number,
as folds do by the id of the decision. A second attempt follows a failed first one, and counts where both had chosen the
same. Logs that the backtest warns of, because it could learn too little from them, are told apart.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from analytics.backtest.draws import Draw
from analytics.backtest.estimates import ESTIMATORS, Effect, estimate, supported

LOGS: Final = 200
INCIDENTS: Final = 3_000
CONTEXTS: Final = 12
SERVICES: Final = 3
ATTEMPTS: Final = 2
RATES: Final = (0.02, 0.05, 0.1, 0.2)
"""How often a log explores, in a context."""
BAR: Final = 0.93
STRATEGIES: Final = ("restart", "rollback", "fallback", "retry")


class Context(NamedTuple):
    """Where incidents are: how common, what both policies choose, and how likely each action helps by service."""

    weight: float
    name: str
    logged: dict[str, float]
    candidate: dict[str, float]
    success: list[dict[str, float]]
    strategies: dict[str, str]


class Truth(NamedTuple):
    """Share of verified success under the candidate, and how much more that is than under the log."""

    share: float
    effect: float


def contexts(chance: Random) -> list[Context]:
    """Return the contexts of one world."""
    found = []
    for number in range(CONTEXTS):
        actions = [f"process.{strategy}" for strategy in STRATEGIES[: chance.randint(2, 4)]]
        base = {action: chance.uniform(0.1, 0.9) for action in actions}
        success = [
            {action: min(max(share + chance.uniform(-0.15, 0.15), 0.02), 0.98) for action, share in base.items()}
            for _ in range(SERVICES)
        ]
        best = chance.choice(actions)
        logged = _explored(actions, best, chance.choice(RATES), chance)
        second = max((one for one in actions if one != best), key=lambda one: logged[one])
        other = second if number % 3 == 0 else best
        found.append(
            Context(
                weight=1.0 / (1 + number % 4),
                name=f"pattern_{number}",
                logged=logged,
                candidate=_explored(actions, other, RATES[0], chance),
                success=success,
                strategies={action: action.partition(".")[2] for action in actions},
            )
        )
    return found


def _explored(actions: Sequence[str], best: str, rate: float, chance: Random) -> dict[str, float]:
    """Return probabilities: the best gets all but ``rate``, which the others share unevenly."""
    parts = {action: chance.uniform(0.2, 1.0) for action in actions if action != best}
    total = sum(parts.values())
    return {action: rate * parts[action] / total if action in parts else 1.0 - rate for action in actions}


class Made(NamedTuple):
    """A draw with what is true of it: how likely it helps under the log's probabilities, and the candidate's."""

    draw: Draw
    logged: float
    candidate: float


def truth(made: Sequence[Made]) -> Truth:
    """Return what is to be estimated: what the candidate brings on the very decisions that the log can tell of."""
    kept = {id(draw) for draw in supported([one.draw for one in made])}
    counted = [one for one in made if id(one.draw) in kept]
    share = sum(one.candidate for one in counted) / max(len(counted), 1)
    return Truth(share, share - sum(one.logged for one in counted) / max(len(counted), 1))


def log_of(world: Sequence[Context], incidents: int, chance: Random) -> list[Made]:
    """Return the draws of a log that count: all first attempts, and second ones after no difference."""
    found = []
    weights = list(accumulate(context.weight for context in world))
    for number in range(incidents):
        (context,) = chance.choices(world, cum_weights=weights)
        success = chance.choice(context.success)
        for _ in range(ATTEMPTS):
            left = chance.random()
            action, other = drawn(context.logged, left), drawn(context.candidate, left)
            reward = int(chance.random() < success[action])
            found.append(Made(_draw(context, number, action, reward), *_values(context, success)))
            if reward or action != other:
                break
    return found


def _draw(context: Context, number: int, action: str, reward: int) -> Draw:
    return Draw(
        incident=f"1-{number}-0",
        pattern=context.name,
        service_type="process",
        action=action,
        strategies=context.strategies,
        logged=context.logged,
        candidate=context.candidate,
        reward=reward,
    )


def _values(context: Context, success: Mapping[str, float]) -> tuple[float, float]:
    logged, candidate = (
        sum(share * success[action] for action, share in shares.items())
        for shares in (context.logged, context.candidate)
    )
    return logged, candidate


def drawn(shares: Mapping[str, float], left: float) -> str:
    """Return the action that a number of 0..1 draws."""
    for action, share in shares.items():
        if left < share:
            return action
        left -= share
    return action


def one_log(seed: int, incidents: int) -> tuple[Truth, Effect]:
    """Return the truth about the decisions of a log, and what is estimated from it."""
    chance = Random(seed)
    made = log_of(contexts(chance), incidents, chance)
    return truth(made), estimate([one.draw for one in made], seed=seed)


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
        count = max(len(pairs), 1)
        found[name] = Coverage(
            share=sum(one.share.low <= real.share <= one.share.high for real, one in pairs) / count,
            effect=sum(one.effect.low <= real.effect <= one.effect.high for real, one in pairs) / count,
            width=sum(one.effect.high - one.effect.low for _, one in pairs) / count,
            error=sum(abs(one.effect.value - real.effect) for real, one in pairs) / count,
        )
    return found


def is_trusted(said: Effect) -> bool:
    """Tell whether an estimate is given without a warning of its intervals."""
    return not any(flag.startswith(("too few", "one-sided", "no estimate")) for flag in said.flags)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backtest", description=__doc__)
    parser.add_argument("--logs", type=int, default=LOGS)
    parser.add_argument("--incidents", type=int, default=INCIDENTS)
    given = parser.parse_args()
    begin = time.monotonic()
    trusted: list[tuple[Truth, Effect]] = []
    warned: list[tuple[Truth, Effect]] = []
    seed = 0
    while len(trusted) < given.logs:
        real, said = one_log(seed, given.incidents)
        (trusted if is_trusted(said) else warned).append((real, said))
        seed += 1
    print(f"{seed} logs of {given.incidents} incidents, {time.monotonic() - begin:.1f} s")
    tell("without a warning", trusted)
    tell("warned of", warned)


def tell(name: str, logs: Sequence[tuple[Truth, Effect]]) -> None:
    """Print how often the intervals hold the truth, how wide they are, and the mean error of the effect."""
    sizes = sorted(said.worth for _, said in logs)
    middle = sizes[len(sizes) // 2] if sizes else 0.0
    print(f"{len(logs)} {name}: worth {middle:.0f} draws (median) where the candidate chooses otherwise; bar {BAR:.0%}")
    print(f"{'':8}{'share':>8}{'effect':>8}{'width':>8}{'error':>8}")
    for estimator, one in coverage(logs).items():
        print(f"{estimator:8}{one.share:8.1%}{one.effect:8.1%}{one.width:8.3f}{one.error:8.3f}", flush=True)


if __name__ == "__main__":
    main()
