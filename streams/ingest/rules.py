"""Catalogue work: check a rule file, run its examples, list what holds (``logmend rules lint|test|list``).

A rule file is TOML with ``[[rules]]`` tables of ``RuleSpec``'s fields. Without a file the shipped catalogue is meant.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import hyperscan
import msgspec
from msgspec import Struct

from streams.catalogue.patterns import patterns
from streams.core.config import RuleSet, RuleSpec
from streams.core.errors import InputError
from streams.ingest import compiling
from streams.ingest import matcher as matchers
from streams.ingest.classifying import Classifier
from streams.ingest.compiling import Expression
from streams.ingest.matcher import Matcher

ERROR = "error"
WARNING = "warning"
SHORT_CHARACTERS = 4
_PIECES: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*,?\d*\}|.", re.DOTALL)
"""What an expression is made of: an escape, a class, a counted repeat, or one character."""
_UNLIMITED: Final = re.compile(r"[*+]|\{\d+,\}")


class Finding(Struct, frozen=True):
    """Something wrong with a rule. ``level``: an error can't be applied, a warning can."""

    rule: str
    level: str
    problem: str


class Result(Struct, frozen=True):
    """What became of an example: ``got`` is the pattern that names it, ``""`` for none.

    A positive example is right when the rule names it; a negative one when the rule does not.
    """

    rule: str
    positive: bool
    example: str
    got: str
    ok: bool


class Listed(Struct, frozen=True):
    """A rule that holds, in order of precedence. ``origin``: shipped, own, or replaced (own with a shipped id)."""

    id: str
    category: str
    severity: str
    origin: str
    expressions: int
    hint: str


class Explained(Struct, frozen=True):
    """Why a line is called what it is called: the verdict, the rules that match in order, every expression that does.

    ``pattern`` is ``""`` when no rule names it; ``matched`` has what takes a match back as well.
    """

    pattern: str
    category: str
    severity: str
    confidence: float
    rules: tuple[str, ...]
    matched: tuple[str, ...]


def load(path: Path) -> RuleSet:
    """Return the rules of a TOML file; ``InputError`` in one line when it can't be read or is no rule file."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
        return msgspec.convert(raw, RuleSet)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, msgspec.ValidationError) as error:
        raise InputError(f"{path}: {error}") from error


def _rules(path: Path | None) -> tuple[RuleSpec, ...]:
    return load(path).rules if path else patterns().rules


def lint(path: Path | None = None) -> list[Finding]:
    """Return all that is wrong with the rules of a file: errors first by rule, then dead and shadowed rules.

    ``InputError`` only when the file is no rule file at all.
    """
    rules = _rules(path)
    findings = _doubled(rules)
    for rule in rules:
        findings += _lint_fields(rule)
    findings += _replacing(rules) if path else []
    findings += _lint_expressions(rules, known_to_compile=path is None and _shipped_compile())
    if any(finding.level == ERROR for finding in findings):
        return findings
    return findings + _dead_or_shadowed(rules, _matcher(path))


def _matcher(path: Path | None) -> Matcher:
    return matchers.merged(load(path)) if path else matchers.shipped()


def _shipped_compile() -> bool:
    """Say whether the shipped expressions, of which none is limited, compile together: then each does by itself."""
    try:
        matchers.shipped()
    except hyperscan.error:
        return False
    return True


def _doubled(rules: tuple[RuleSpec, ...]) -> list[Finding]:
    ids = [rule.id for rule in rules]
    return [Finding(name, ERROR, "is defined more than once") for name in sorted({i for i in ids if ids.count(i) > 1})]


def _replacing(rules: tuple[RuleSpec, ...]) -> list[Finding]:
    """Say of which shipped rule nothing is left: its expressions may be more than the author had in mind."""
    shipped = {rule.id: len(rule.expressions) for rule in patterns().rules}
    return [
        Finding(rule.id, WARNING, f"replaces the shipped {rule.id} ({shipped[rule.id]} expressions)")
        for rule in rules
        if rule.id in shipped
    ]


def _lint_fields(rule: RuleSpec) -> list[Finding]:
    findings = []
    try:
        matchers.check_rule(rule)
    except InputError as error:
        findings.append(Finding(rule.id, ERROR, str(error)))
    if not rule.positive:
        findings.append(Finding(rule.id, WARNING, "has no positive example, so nothing shows that it works"))
    if not rule.negative:
        findings.append(Finding(rule.id, WARNING, "has no negative example, so nothing shows what it leaves alone"))
    if not rule.hint:
        findings.append(Finding(rule.id, WARNING, "has no hint for whoever reads the alert"))
    return findings


def _lint_expressions(rules: tuple[RuleSpec, ...], *, known_to_compile: bool) -> list[Finding]:
    owned = [(rule.id, expression) for rule in rules for expression in matchers.expressions_of(rule)]
    problems = {} if known_to_compile else compiling.problems([expression for _, expression in owned])
    findings = [Finding(owned[min(index, len(owned) - 1)][0], ERROR, why) for index, why in sorted(problems.items())]
    findings += [Finding(rule, WARNING, why) for rule, expression in owned if (why := _suspicious(expression))]
    return findings + _repeated(rules)


def _suspicious(expression: Expression) -> str:
    if len(expression.text) < SHORT_CHARACTERS:
        return f"{expression.name}: so short that it matches almost everything"
    if expression.text.startswith((".*", ".+")) or expression.text.endswith((".*", ".+")):
        return f"{expression.name}: unbounded at an end, which changes nothing; leave it out"
    if nests_repeats(expression.text):
        return f"{expression.name}: catastrophic in engines that backtrack: a repeat without limit inside another"
    return ""


def nests_repeats(text: str) -> bool:
    """Say whether a group that holds a repeat without limit is itself repeated without limit, such as ``(a+)+``.

    Such an expression takes exponential time where an engine backtracks; here it only costs states.
    """
    pieces = [found[0] for found in _PIECES.finditer(text)]
    unlimited = [False]
    for piece, after in zip(pieces, [*pieces[1:], ""], strict=True):
        if piece == "(":
            unlimited.append(False)
        elif piece == ")" and len(unlimited) > 1:
            inner, repeated = unlimited.pop(), bool(_UNLIMITED.fullmatch(after))
            if inner and repeated:
                return True
            unlimited[-1] |= inner or repeated
        elif _UNLIMITED.fullmatch(piece):
            unlimited[-1] = True
    return False


def _repeated(rules: tuple[RuleSpec, ...]) -> list[Finding]:
    """Find expressions that stand twice in one rule."""
    return [
        Finding(rule.id, WARNING, f"duplicate: {text!r} stands in it {texts.count(text)} times")
        for rule in rules
        for texts in (rule.expressions, rule.unless)
        for text in sorted(set(texts))
        if texts.count(text) > 1
    ]


def _dead_or_shadowed(rules: tuple[RuleSpec, ...], matcher: Matcher) -> list[Finding]:
    """Find rules that none of their own positive examples reach, and expressions that repeat an earlier rule's."""
    findings = []
    owners: dict[str, str] = {}
    for rule in matcher.rules:
        for text in rule.expressions:
            owners.setdefault(text, rule.id)
    for rule in rules:
        findings += [
            Finding(rule.id, WARNING, f"shadowed: {text!r} stands in {owners[text]} too, which comes first")
            for text in rule.expressions
            if owners[text] != rule.id
        ]
        hits = [matcher.rules_in(example.encode()) for example in rule.positive]
        if rule.positive and not any(rule.id in hit for hit in hits):
            findings.append(Finding(rule.id, ERROR, "dead: it matches none of its positive examples"))
        elif rule.positive and not any(hit[:1] == (rule.id,) for hit in hits):
            firsts = ", ".join(sorted({hit[0] for hit in hits if hit}))
            findings.append(Finding(rule.id, WARNING, f"shadowed: {firsts} names its examples first"))
    return findings


def test(path: Path | None = None) -> list[Result]:  # noqa: PT028 - named like its command, no pytest test
    """Run each rule's examples through the whole effective rule set."""
    matcher = _matcher(path)
    results = []
    for rule in _rules(path):
        for example in rule.positive:
            got = matcher.scan(example.encode()).pattern
            results.append(_result(rule.id, example, got, ok=got == rule.id, positive=True))
        for example in rule.negative:
            standing = matcher.rules_in(example.encode())
            got = next(iter(standing), "")
            results.append(_result(rule.id, example, got, ok=rule.id not in standing, positive=False))
    return results


def _result(rule: str, example: str, got: str, *, ok: bool, positive: bool) -> Result:
    return Result(rule=rule, positive=positive, example=example, got=got, ok=ok)


def explain(line: str, path: Path | None = None) -> Explained:
    """Classify one line with a file's rules, or the shipped ones, and say by which expressions."""
    matcher = _matcher(path)
    verdict = Classifier(matcher).classify(line.encode())
    return Explained(
        pattern=verdict.pattern,
        category=verdict.category,
        severity=verdict.severity,
        confidence=verdict.confidence,
        rules=matcher.rules_in(line.encode()),
        matched=matcher.expressions_in(line.encode()),
    )


def effective(path: Path | None = None) -> list[Listed]:
    """Return the rules that hold with a file applied, most specific first."""
    matcher = _matcher(path)
    shipped = frozenset(rule.id for rule in patterns().rules)
    return [
        Listed(
            id=rule.id,
            category=rule.category,
            severity=rule.severity,
            origin=_origin(rule.id, matcher.shipped, shipped),
            expressions=len(rule.expressions),
            hint=rule.hint,
        )
        for rule in matcher.rules
    ]


def _origin(name: str, unchanged: frozenset[str], shipped: frozenset[str]) -> str:
    if name in unchanged:
        return "shipped"
    return "replaced" if name in shipped else "own"
