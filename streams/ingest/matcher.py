"""Which pattern a line shows: one Hyperscan scan for all rules, levels and signs, then a choice among what matched.

The scan yields the set of expressions that occur in the line; one that finds something is followed by another for what
takes a match back or raises it. A verdict depends on the set alone and is remembered for it. Of several rules that
match, the first in order names the line: users' rules come before the shipped ones, and the shipped ones stand in order
of specificity (the most specific named cause wins).

Users' expressions have a database of their own, and a line is scanned for them besides: together with the shipped ones
they would take seconds to compile each time that a rule is applied, in which nothing is read. What of the shipped ones
a user's rule replaces is still looked for, and not heeded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final

import hyperscan
import msgspec
from msgspec import Struct

from streams.catalogue.patterns import LevelSpec, PatternCatalogue, SignSpec, patterns
from streams.core import config
from streams.core.config import RuleSet, RuleSpec
from streams.core.errors import InputError
from streams.core.events import CATEGORIES, SEVERITIES
from streams.ingest import compiled, compiling
from streams.ingest.compiling import Expression

LINE_BYTES_MAX: Final = 8192
"""Lines are cut here for matching."""
_REMEMBERED_MAX: Final = 50_000
_UNRANKED: Final = 1 << 30
_RAISES_MAX: Final = 16
_REPLACED: Final = -1
"""The index of a shipped expression whose rule a user's takes the place of."""


class Verdict(Struct, frozen=True):
    """What a line's text says. ``pattern`` is ``""`` when no rule matches; ``rank`` is lower for the more specific.

    ``level`` is the severity that the text states (``""``: none), ``error_like`` that it has words of an error.
    """

    pattern: str = ""
    category: str = ""
    severity: str = ""
    confidence: float = 0.0
    rank: int = _UNRANKED
    level: str = ""
    error_like: bool = False


NOTHING: Final = Verdict()

_LEVEL_KIND: Final = "level"
_SIGN_KIND: Final = "sign"
_UNSIGN_KIND: Final = "unsign"
_RULE_KIND: Final = "rule"
_UNLESS_KIND: Final = "unless"
_RAISE_KIND: Final = "raise"
_BENIGN_KIND: Final = "benign"
_SERVED_KIND: Final = "served"
TELLING: Final = frozenset({_RULE_KIND, _LEVEL_KIND, _SIGN_KIND})
"""A line in which nothing of these occurs says nothing: all others only weigh what these tell. They are looked for
first, and the others in the tenth of all lines in which something was found."""
_ATTACKS: Final = "security"


class Matcher:
    """A compiled rule set. ``scan`` is pure but reuses one scratch space: one matcher per thread."""

    def __init__(self, rules: Sequence[RuleSpec], catalogue: PatternCatalogue, shipped: frozenset[str]) -> None:
        """Compile ``rules``, most specific first; ``benign`` and ``served`` apply to the ``shipped`` ids only."""
        self.rules: Final = tuple(rules)
        self.shipped: Final = shipped
        self.rules_sha256: Final = _sha256(self.rules, catalogue)
        expressions, meanings = table(self.rules, catalogue)
        self._names: Final = tuple(expression.name for expression in expressions)
        self._meanings: Final = meanings
        self._hits: Final[list[int]] = []
        index_of = {expression: index for index, expression in enumerate(expressions)}
        common = table(catalogue.rules, catalogue)
        there = set(common[0])
        own = [(expression, meanings[index]) for expression, index in index_of.items() if expression not in there]
        tables = [list(zip(*common, strict=True)), own]

        def scanner(*, telling: bool) -> tuple[Scan, Seen]:
            groups = [[e for e, (kind, _) in rows if (kind in TELLING) == telling] for rows in tables]
            return _scanner(groups, index_of, self._hits)

        self._tells, self._told = scanner(telling=True)
        self._weighs, self._weighed = scanner(telling=False)
        self._remembered: Final[dict[tuple[int, ...], Verdict]] = {}
        self._last_text, self._last = b"", NOTHING
        """Producers in trouble say the same line many times in a row, which is scanned once."""

    def scan(self, text: bytes) -> Verdict:
        """Return the verdict on one line; only its first ``LINE_BYTES_MAX`` bytes are looked at."""
        if text == self._last_text:
            return self._last
        self._tells(text if len(text) <= LINE_BYTES_MAX else text[:LINE_BYTES_MAX], self._told)
        self._last_text = text
        self._last = verdict = self._verdict(text) if self._hits else NOTHING
        return verdict

    def scan_all(self, texts: Sequence[bytes]) -> list[tuple[int, Verdict]]:
        """Return (index, verdict) of the lines in which something was seen: ``scan`` for many lines."""
        scan, told, hits = self._tells, self._told, self._hits
        text, verdict = self._last_text, self._last
        noticed = []
        for index, line in enumerate(texts):
            if line != text:
                text = line
                scan(text if len(text) <= LINE_BYTES_MAX else text[:LINE_BYTES_MAX], told)
                verdict = self._verdict(text) if hits else NOTHING
            if verdict is not NOTHING:
                noticed.append((index, verdict))
        self._last_text, self._last = text, verdict
        return noticed

    def _verdict(self, text: bytes) -> Verdict:
        """Return the verdict for what a scan found that tells something, and for what weighs it.

        It is remembered for the set of expressions.
        """
        self._weighs(text[:LINE_BYTES_MAX], self._weighed)
        key = tuple(self._hits)
        self._hits.clear()
        verdict = self._remembered.get(key)
        if verdict is None:
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            verdict = self._remembered[key] = self._judge(key)
        return verdict

    def rules_in(self, text: bytes) -> tuple[str, ...]:
        """Return the ids of all rules that match a text, most specific first, those taken back left out."""
        return tuple(self.rules[index].id for index in self._standing(self._all_in(text)))

    def expressions_in(self, text: bytes) -> tuple[str, ...]:
        """Return what matches a text, as messages name it (rule, kind, number, expression), rules in order."""
        return tuple(self._names[hit] for hit in sorted(set(self._all_in(text))))

    def _all_in(self, text: bytes) -> tuple[int, ...]:
        """Return the indexes of all expressions that occur in a text."""
        self._tells(text[:LINE_BYTES_MAX], self._told)
        self._weighs(text[:LINE_BYTES_MAX], self._weighed)
        found = tuple(self._hits)
        self._hits.clear()
        return found

    def _standing(self, hits: tuple[int, ...]) -> list[int]:
        """Return the indexes of the rules that matched and were not taken back, in order."""
        said = [self._meanings[hit] for hit in hits]
        taken_back = {index for kind, index in said if kind == _UNLESS_KIND}
        kinds = {kind for kind, _ in said}
        there = {index for kind, index in said if kind == _RULE_KIND} - taken_back
        return sorted(index for index in there if not self._harmless(self.rules[index], kinds))

    def _harmless(self, rule: RuleSpec, kinds: set[str]) -> bool:
        """Say whether a shipped rule's match is taken back by what the line as a whole is."""
        if rule.id not in self.shipped:
            return False
        return _BENIGN_KIND in kinds or (_SERVED_KIND in kinds and rule.category != _ATTACKS)

    def _judge(self, hits: tuple[int, ...]) -> Verdict:
        said = [self._meanings[hit] for hit in hits]
        kinds = {kind for kind, _ in said}
        level = SEVERITIES[max((index for kind, index in said if kind == _LEVEL_KIND), default=0)]
        error_like = _SIGN_KIND in kinds and not kinds & {_UNSIGN_KIND, _BENIGN_KIND}
        standing = self._standing(hits)
        stated = level if _LEVEL_KIND in kinds else ""
        if not standing:
            return Verdict(level=stated, error_like=error_like) if stated or error_like else NOTHING
        rule = self.rules[standing[0]]
        return Verdict(
            pattern=rule.id,
            category=rule.category,
            severity=_raised(rule, {place for kind, place in said if kind == _RAISE_KIND}, standing[0]),
            confidence=rule.confidence,
            rank=standing[0],
            level=stated,
            error_like=True,
        )


def _raised(rule: RuleSpec, raising: set[int], index: int) -> str:
    """Return the severity of a rule's match: the highest among its own and those of its context that is there."""
    there = [place % _RAISES_MAX for place in raising if place // _RAISES_MAX == index]
    return max((rule.severity, *(rule.raises[place].severity for place in there)), key=SEVERITIES.index)


Seen = Callable[[int, int, int, int, object], None]
Scan = Callable[[bytes, Seen], object]


def _scanner(
    groups: Sequence[Sequence[Expression]], index_of: Mapping[Expression, int], hits: list[int]
) -> tuple[Scan, Seen]:
    """Return what scans a text for groups of expressions, and what it calls: that adds the index of each to ``hits``.

    An expression without an index is passed over. They are called together, positionally: a call between the two would
    cost a tenth of a scan, so only where there are users' rules there is one.
    """
    made = [
        (compiled.database(group).scan, _seen([index_of.get(one, _REPLACED) for one in group], hits))
        for group in groups
        if group
    ]
    if not made:
        return _nothing_in, _seen([], hits)
    (first, seen), *others = made
    if not others:
        return first, seen
    ((second, seen_too),) = others

    def both(text: bytes, _seen: Seen) -> None:
        first(text, seen)
        second(text, seen_too)

    return both, seen


def _seen(indexes: Sequence[int], hits: list[int]) -> Seen:
    """Return what adds the index of an expression that occurs to ``hits``."""
    append = hits.append

    def seen(expression: int, _start: int, _end: int, _flags: int, _context: object) -> None:
        append(indexes[expression])  # and None, so the scan goes on

    def seen_if_heeded(expression: int, _start: int, _end: int, _flags: int, _context: object) -> None:
        index = indexes[expression]
        if index != _REPLACED:
            append(index)

    return seen_if_heeded if _REPLACED in indexes else seen


def _nothing_in(_text: bytes, _seen: Seen) -> None:
    """Find nothing: Hyperscan compiles no empty set of expressions."""


def table(rules: Sequence[RuleSpec], catalogue: PatternCatalogue) -> tuple[list[Expression], list[tuple[str, int]]]:
    """Return every expression with what its match means: (kind, index of the rule, severity or rule and raise)."""
    rows: list[tuple[Expression, tuple[str, int]]] = []
    for index, rule in enumerate(rules):
        rows += [(expression, (_RULE_KIND, index)) for expression in of_rule(rule)]
        rows += [(expression, (_UNLESS_KIND, index)) for expression in unless_of(rule)]
        for place in range(len(rule.raises)):
            rows += [(e, (_RAISE_KIND, index * _RAISES_MAX + place)) for e in raises_of(rule, place)]
    for level in catalogue.levels:
        rows += [(e, (_LEVEL_KIND, SEVERITIES.index(level.severity))) for e in _of_level(level)]
    rows += _of_signs(catalogue.signs)
    rows += [(Expression(name="benign", text=text), (_BENIGN_KIND, 0)) for text in catalogue.benign]
    rows += [(Expression(name="served", text=text), (_SERVED_KIND, 0)) for text in catalogue.served]
    return [expression for expression, _ in rows], [meaning for _, meaning in rows]


def of_rule(rule: RuleSpec) -> list[Expression]:
    """Return a rule's expressions, named for messages."""
    return [
        Expression(name=f"rule {rule.id}, expression {n} {text!r}", text=text, case_sensitive=rule.case_sensitive)
        for n, text in enumerate(rule.expressions, start=1)
    ]


def unless_of(rule: RuleSpec) -> list[Expression]:
    """Return the expressions that take a rule's match back."""
    return [
        Expression(name=f"rule {rule.id}, unless {n} {text!r}", text=text, case_sensitive=rule.case_sensitive)
        for n, text in enumerate(rule.unless, start=1)
    ]


def raises_of(rule: RuleSpec, place: int) -> list[Expression]:
    """Return the expressions of one of the contexts that raise a rule's severity."""
    raised = rule.raises[place]
    return [
        Expression(
            name=f"rule {rule.id}, raise to {raised.severity} {n} {text!r}",
            text=text,
            case_sensitive=rule.case_sensitive,
        )
        for n, text in enumerate(raised.expressions, start=1)
    ]


def expressions_of(rule: RuleSpec) -> list[Expression]:
    """Return all expressions that a rule brings."""
    contexts = [expression for place in range(len(rule.raises)) for expression in raises_of(rule, place)]
    return [*of_rule(rule), *unless_of(rule), *contexts]


def _of_level(level: LevelSpec) -> list[Expression]:
    return [Expression(name="level", text=text, case_sensitive=True, head_only=True) for text in level.expressions]


def _of_signs(signs: SignSpec) -> list[tuple[Expression, tuple[str, int]]]:
    rows = [(Expression(name="sign", text=text), (_SIGN_KIND, 0)) for text in signs.expressions]
    return rows + [(Expression(name="sign", text=text), (_UNSIGN_KIND, 0)) for text in signs.unless]


def _sha256(rules: tuple[RuleSpec, ...], catalogue: PatternCatalogue) -> str:
    frame = (catalogue.levels, catalogue.signs, catalogue.benign, catalogue.served)
    return config.sha256(msgspec.json.encode((rules, *frame)))


def check_rule(rule: RuleSpec) -> None:
    """Raise ``InputError`` when a rule's fields are not what a rule's fields can be."""
    if not rule.id or not rule.id.replace("_", "").isalnum() or not rule.id.isascii():
        raise InputError(f"rule {rule.id!r}: an id is lower-case letters, digits and _")
    if rule.category not in CATEGORIES:
        raise InputError(f"rule {rule.id}: category {rule.category!r} is none of {', '.join(CATEGORIES)}")
    if rule.severity not in SEVERITIES:
        raise InputError(f"rule {rule.id}: severity {rule.severity!r} is none of {', '.join(SEVERITIES)}")
    if not 0.0 < rule.confidence <= 1.0:
        raise InputError(f"rule {rule.id}: confidence {rule.confidence} is not above 0 and at most 1")
    if not rule.expressions:
        raise InputError(f"rule {rule.id}: has no expression")
    if len(rule.raises) > _RAISES_MAX:
        raise InputError(f"rule {rule.id}: {len(rule.raises)} raises, at most {_RAISES_MAX} are allowed")
    for raised in rule.raises:
        if raised.severity not in SEVERITIES[SEVERITIES.index(rule.severity) + 1 :]:
            raise InputError(f"rule {rule.id}: raises to {raised.severity!r}, which is not above {rule.severity}")


@cache
def shipped() -> Matcher:
    """Return the matcher of the shipped catalogue alone."""
    catalogue = patterns()
    return Matcher(catalogue.rules, catalogue, frozenset(rule.id for rule in catalogue.rules))


def merged(users: RuleSet) -> Matcher:
    """Return the matcher of users' rules over the shipped catalogue.

    A rule with a shipped id takes that one's place; the others come first. Raises ``InputError``, naming rule and
    expression, for what does not compile within the limits.
    """
    if not users.rules:
        return shipped()
    for rule in users.rules:
        check_rule(rule)
    compiling.check_compiles([expression for rule in users.rules for expression in expressions_of(rule)])
    catalogue = patterns()
    own = {rule.id: rule for rule in users.rules}
    if len(own) != len(users.rules):
        raise InputError("two rules have the same id")
    replaced = {rule.id for rule in catalogue.rules if rule.id in own}
    rules = [rule for rule in users.rules if rule.id not in replaced]
    rules += [own.get(rule.id, rule) for rule in catalogue.rules]
    try:
        return Matcher(rules, catalogue, frozenset(rule.id for rule in catalogue.rules) - replaced)
    except hyperscan.error as error:
        raise InputError(
            f"rules that compile one by one do not together: {error}; have fewer, or simpler ones"
        ) from error
