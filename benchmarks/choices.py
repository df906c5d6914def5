"""Which strategy is chosen as outcomes come in: ``python -m benchmarks.choices``, beside the 89.7 % of SPEC C2.

Simulated incidents: 120 contexts (a pattern of the catalogue on a type of service), each with the options that the
catalogue has for a service that declares all that can be declared. In each, one option drawn at random is the best:
its value lies 0.05 to 0.40 above the second's, over all contexts evenly; the others' lie anywhere below. The value of
an option is what the score estimates: share of success less cost and risk. One within 0.02 of the best is optimal. What
the fold never explores (asking a person, stopping a service) does what the catalogue says.

Each context has 1 000 incidents of up to three attempts, contexts take turns, and all learn into one state, so what is
shared between contexts may mislead as much as it may help. Choices are made by the fold's own functions
(``score_options``, ``choose``, ``Lessons``), without predictions and findings. What counts is the first attempt of an
incident. Then the world changes: in every context the best option and the worst swap what they do.

Beside it: options drawn at random, the same score without exploration (greedy), and the rules of C2 without learning.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from streams.catalogue import strategies
from streams.catalogue.patterns import patterns
from streams.core.choosing import choose, may_be_explored
from streams.core.config import Policy
from streams.core.events import Option
from streams.core.inventory import TOOLS, ServiceSpec, Switch
from streams.core.learning import Learnt, Lessons
from streams.core.num import draw, log
from streams.core.strategy import Answer, Question, score_options

CONTEXTS: Final = 120
INCIDENTS: Final = 1_000
OPTIMAL_WITHIN: Final = 0.02
GAP_LEAST: Final = 0.05
GAP_MOST: Final = 0.40
OPTIMAL_BAR: Final = 0.897
ATTEMPTS: Final = 3
TYPES: Final = ("process", "systemd", "docker", "hybrid", "kubernetes")
SEVERITIES: Final = ("error", "critical")
SPAN: Final = 100
"""Incidents of a context that are told of together."""

POLICY: Final = Policy()

Choose = Callable[[Answer, str], Option]
"""How an attempt's option is chosen, given the identity that chance comes from."""


class Context(Struct, kw_only=True):
    """A pattern on a type of service, what is true of its options, and what was chosen so far.

    ``success`` and ``value`` are by action. ``optimal`` and ``regret`` are of each incident's first attempt.
    """

    name: str
    question: Question
    success: dict[str, float]
    value: dict[str, float]
    drawn: tuple[str, ...]
    """The actions whose success was drawn; that of others is the catalogue's."""
    optimal: list[bool] = []
    regret: list[float] = []
    changes_told: list[int] = []
    """Incidents at which it was said that the world has changed."""

    def judge(self, action: str) -> None:
        """Note what the first attempt of an incident was."""
        lost = max(self.value.values()) - self.value[action]
        self.optimal.append(lost <= OPTIMAL_WITHIN)
        self.regret.append(lost)

    def change(self) -> None:
        """Let the best option and the worst of those that were drawn swap their values."""
        best, worst = max(self.drawn, key=self.value.__getitem__), min(self.drawn, key=self.value.__getitem__)
        costs = {action: self.success[action] - self.value[action] for action in (best, worst)}
        self.value[best], self.value[worst] = self.value[worst], self.value[best]
        for action, cost in costs.items():
            self.success[action] = min(max(self.value[action] + cost, 0.0), 1.0)


def everything(service_type: str) -> ServiceSpec:
    """Return an inventory entry that declares all that can be declared."""
    kinds = ("feature", "upstream", "replicas", "traffic")
    return ServiceSpec(
        name="s",
        host="h",
        type=service_type,
        mode="auto",
        argv=("run",),
        unit="s.service",
        container="s",
        namespace="n",
        deployment="s",
        port=8000,
        lock_files=("s.lock",),
        config_files=("s.toml",),
        checkpoint_dir="checkpoints",
        log_file="s.log",
        rotate_log=True,
        reload_signal="HUP",
        caches=("cache",),
        tools=dict.fromkeys(TOOLS, ("run",)),
        switches={kind: Switch(kind=kind, file=kind, values=("1", "2")) for kind in kinds},
    )


def contexts(count: int) -> list[Context]:
    """Return the contexts, the same ones each time."""
    found = []
    for number, (rule, service_type) in enumerate(_pairs(count)):
        question = Question(
            pattern=rule[0],
            category=rule[1],
            severity=SEVERITIES[number % len(SEVERITIES)],
            spec=everything(service_type),
            failed={},
            findings={},
        )
        options = score_options(question, strategies(), Lessons(), POLICY).options
        gap = GAP_LEAST + (GAP_MOST - GAP_LEAST) * (number + 0.5) / count
        found.append(_context(f"{rule[0]} on {service_type}", question, options, gap))
    return found


def _pairs(count: int) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield patterns with their category and types of services, each pair once, in an order drawn by hash."""
    pairs = [((rule.id, rule.category), kind) for rule in patterns().rules for kind in TYPES]
    yield from sorted(pairs, key=lambda pair: draw(f"pair {pair}"))[:count]


def _context(name: str, question: Question, options: Sequence[Option], gap: float) -> Context:
    """Draw what is true: whose value is best, by how much, and the others'.

    What is never explored (asking a person, and what is too risky) does what the catalogue says.
    """
    ours = [option for option in options if may_be_explored(option)]
    costs = {one.action: POLICY.cost_weight * one.cost + POLICY.risk_weight * one.risk for one in options}
    ranks = sorted(ours, key=lambda option: draw(f"{name} {option.action}"))
    most = 1.0 - max(costs[one.action] for one in ours)
    best = 0.6 + (most - 0.6) * draw(f"{name} best")
    value = {one.action: one.expected_success - costs[one.action] for one in options}
    for place, option in enumerate(ranks):
        below = 0.0 if place == 0 else gap if place == 1 else gap + (best - gap) * draw(f"{name} value {option.action}")
        value[option.action] = best - below
    success = {action: value[action] + costs[action] for action in value}
    return Context(name=name, question=question, success=success, value=value, drawn=tuple(one.action for one in ours))


def by_score(answer: Answer, identity: str) -> Option:
    """Choose as the fold does."""
    return choose(answer.options, identity)


def at_random(answer: Answer, identity: str) -> Option:
    """Choose any option, each as likely."""
    return answer.options[int(draw(identity) * len(answer.options))]


def play(
    world: Sequence[Context],
    policy: Policy,
    choice: Choose,
    *,
    incidents: int,
    changed_at: int = -1,
    learns: bool = True,
) -> None:
    """Let each context have its incidents, by turns; ``changed_at`` is the incident before which the world changes."""
    lessons = Lessons()
    for number in range(incidents):
        for context in world:
            if number == changed_at:
                context.change()
            _incident(context, number, lessons, policy, choice, learns=learns)


def _incident(context: Context, number: int, lessons: Lessons, policy: Policy, choice: Choose, *, learns: bool) -> None:
    failed: dict[str, int] = {}
    for attempt in range(ATTEMPTS):
        question = context.question if not failed else replace(context.question, failed=failed)
        identity = f"{context.name} {number} {attempt}"
        chosen = choice(score_options(question, strategies(), lessons, policy), identity)
        if attempt == 0:
            context.judge(chosen.action)
        if chosen.strategy == "escalate":
            return
        success = draw(f"outcome {identity}") < context.success[chosen.action]
        if learns:
            where = question.where
            learnt = lessons.learn(where, chosen.action, success=success, forgetting=policy.forgetting)
            if isinstance(learnt, Learnt) and learnt.changed:
                context.changes_told.append(number)
        if success:
            return
        failed[chosen.action] = failed.get(chosen.action, 0) + 1


def share_optimal(world: Sequence[Context], begin: int, end: int) -> float:
    """Return the share of optimal first choices among the incidents ``begin`` to ``end`` of all contexts."""
    choices = [choice for context in world for choice in context.optimal[begin:end]]
    return sum(choices) / len(choices)


def after_learning(world: Sequence[Context]) -> float:
    """Return the share of optimal first choices in the last fifth of the incidents."""
    incidents = len(world[0].optimal)
    return share_optimal(world, incidents * 4 // 5, incidents)


def mean_regret(world: Sequence[Context], begin: int, end: int) -> float:
    """Return the value that was lost against the best option, on average over the same incidents."""
    lost = [regret for context in world for regret in context.regret[begin:end]]
    return sum(lost) / len(lost)


def growth(world: Sequence[Context], end: int) -> float:
    """Return a of a regret that grows as time to the power of a, from its second half; below 1 it is sublinear."""
    half, whole = mean_regret(world, 0, end // 2) * (end // 2), mean_regret(world, 0, end) * end
    return log(whole / half) / log(end / (end // 2))


def until_optimal(context: Context, begin: int, *, window: int = 20, share: float = 0.8) -> int:
    """Return after how many incidents from ``begin`` on ``share`` of ``window`` choices were optimal; -1: never."""
    for end in range(begin + window, len(context.optimal) + 1):
        if sum(context.optimal[end - window : end]) >= share * window:
            return end - begin
    return -1


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--contexts", type=int, default=CONTEXTS)
    parser.add_argument("--incidents", type=int, default=INCIDENTS)
    given = parser.parse_args()
    count, incidents = given.contexts, given.incidents
    print(f"{count} contexts, {incidents} incidents each; share of optimal first choices, bar {OPTIMAL_BAR:.1%}")
    print(f"{'':12}{'first 100':>10}{'all':>7}{'last fifth':>11}  growth   regret an incident, by tenths of the time")
    greedy = Policy(exploration_rate=0.0)
    tell("the fold", count, incidents, POLICY, by_score)
    tell("greedy", count, incidents, greedy, by_score)
    tell("rules alone", count, incidents, greedy, by_score, learns=False)
    tell("random", count, incidents, POLICY, at_random)
    changed(count, incidents)


def tell(name: str, count: int, incidents: int, policy: Policy, choice: Choose, *, learns: bool = True) -> None:
    """Play one way to choose, and print its row."""
    world = contexts(count)
    play(world, policy, choice, incidents=incidents, learns=learns)
    tenths = [mean_regret(world, incidents * ten // 10, incidents * (ten + 1) // 10) for ten in range(10)]
    shares = (share_optimal(world, 0, SPAN), share_optimal(world, 0, incidents), after_learning(world))
    print(
        f"{name:12}{shares[0]:10.1%}{shares[1]:7.1%}{shares[2]:11.1%}{growth(world, incidents):8.2f}  "
        f" {' '.join(f'{one:.3f}' for one in tenths)}",
        flush=True,
    )
    told = sum(len(context.changes_told) for context in world)
    if told:
        print(f"{'':12}said {told} times that the world had changed, when it had not")


def changed(count: int, incidents: int) -> None:
    """Print what happens when the world changes after half of the incidents."""
    world = contexts(count)
    at = incidents // 2
    play(world, POLICY, by_score, incidents=incidents, changed_at=at)
    again = sorted(until_optimal(context, at) for context in world)
    back = [one for one in again if one >= 0]
    told = [min((one - at for one in context.changes_told if one >= at), default=-1) for context in world]
    noticed = sorted(one for one in told if one >= 0)
    print(f"the world changes at incident {at}: optimal {share_optimal(world, at - SPAN, at):.1%} before,")
    parts = [f"{share_optimal(world, at + span, at + span + SPAN):.1%}" for span in range(0, incidents - at, SPAN)]
    print(f"  then by {SPAN}: {' '.join(parts)}")
    print(f"  noticed in {len(noticed)} of {count} contexts, after {_middle(noticed)} incidents (median)")
    print(f"  16 of 20 choices optimal again in {len(back)} of {count}, after {_middle(back)} incidents (median)")


def _middle(values: Sequence[int]) -> str:
    return str(values[len(values) // 2]) if values else "-"


if __name__ == "__main__":
    main()
