"""How well lines are classified, measured on labelled lines (``logmend score lines FILE``).

A file has one JSON object a line: ``line``, ``expected`` (pattern or null), ``also`` (other acceptable answers; null
means "no pattern"), ``category``, ``severity``, ``kind`` (pattern, benign, other_error), ``provenance`` (captured or
authored). The names of the figures are a contract.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from streams.core.errors import InputError
from streams.core.events import SEVERITIES
from streams.ingest import matcher as matchers
from streams.ingest.classifying import Classifier
from streams.ingest.matcher import Matcher, Verdict

F1_LINES_MIN: Final = 5
"""A pattern with fewer lines is left out of macro_f1."""


class LabelledLine(Struct, frozen=True):
    """One labelled line."""

    line: str
    expected: str | None
    kind: str
    severity: str
    category: str | None = None
    also: tuple[str | None, ...] = ()
    provenance: str = "captured"
    id: str = ""


class Measures(Struct, frozen=True, kw_only=True):
    """Shares are 0..1, and 0 when there is no line to take a share of.

    ``recall_*`` and ``category_accuracy`` are over lines of kind pattern, ``false_positive_rate`` over benign lines
    that got any pattern, ``other_error_fired`` over lines of kind other_error that got one, ``severity_within_one``
    over all, ``macro_f1`` the mean over patterns with at least ``F1_LINES_MIN`` lines, by the expected answer alone.
    """

    n: int
    recall_strict: float
    recall_lenient: float
    false_positive_rate: float
    other_error_fired: float
    category_accuracy: float
    severity_within_one: float
    macro_f1: float


class Miss(Struct, frozen=True, kw_only=True):
    """A line that was not classified as its label says: the answer given and the severity, beside the label's."""

    id: str
    kind: str
    expected: str | None
    also: tuple[str | None, ...]
    got: str | None
    severity_expected: str
    severity_got: str
    line: str


class LinesScore(Struct, frozen=True, kw_only=True):
    """The figures over all lines, the same for captured lines apart, and each miss."""

    overall: Measures
    captured: Measures
    misses: tuple[Miss, ...]

    def as_json(self, *, errors: bool = False) -> dict[str, object]:
        """Return the keys of the contract: those of ``Measures``, ``captured``, and ``errors`` when asked for."""
        found: dict[str, object] = {**msgspec.to_builtins(self.overall), "captured": msgspec.to_builtins(self.captured)}
        return {**found, "errors": msgspec.to_builtins(self.misses)} if errors else found


class _Answer(Struct, frozen=True):
    label: LabelledLine
    verdict: Verdict

    @property
    def strict(self) -> bool:
        return (self.verdict.pattern or None) == self.label.expected

    @property
    def lenient(self) -> bool:
        return self.strict or (self.verdict.pattern or None) in self.label.also

    @property
    def severity_steps(self) -> int:
        return abs(SEVERITIES.index(self.verdict.severity) - SEVERITIES.index(self.label.severity))


def read_labels(path: Path) -> list[LabelledLine]:
    """Return the labelled lines of a file; ``InputError`` naming the first line that is none."""
    decoder = msgspec.json.Decoder(LabelledLine)
    labels = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        try:
            labels.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            raise InputError(f"{path}:{number}: {error}") from error
    return labels


def lines(path: Path, matcher: Matcher | None = None, change: Callable[[str], str] | None = None) -> LinesScore:
    """Classify each labelled line by itself and compare; the shipped rules unless a matcher is given.

    ``change`` is what is done to each line before, such as ``replacing.replaced``.
    """
    classifier = Classifier(matcher or matchers.shipped())
    answers = [_answer(classifier, label, change) for label in read_labels(path)]
    return LinesScore(
        overall=_measure(answers),
        captured=_measure([answer for answer in answers if answer.label.provenance == "captured"]),
        misses=tuple(_miss(answer) for answer in answers if not answer.lenient or answer.severity_steps > 1),
    )


def _answer(classifier: Classifier, label: LabelledLine, change: Callable[[str], str] | None) -> _Answer:
    asked = msgspec.structs.replace(label, line=change(label.line)) if change else label
    return _Answer(asked, classifier.classify(asked.line.encode()))


def _measure(answers: Sequence[_Answer]) -> Measures:
    patterns = [answer for answer in answers if answer.label.kind == "pattern"]
    fired = {
        kind: [bool(answer.verdict.pattern) for answer in answers if answer.label.kind == kind]
        for kind in ("benign", "other_error")
    }
    return Measures(
        n=len(answers),
        recall_strict=_share([answer.strict for answer in patterns]),
        recall_lenient=_share([answer.lenient for answer in patterns]),
        false_positive_rate=_share(fired["benign"]),
        other_error_fired=_share(fired["other_error"]),
        category_accuracy=_share([answer.verdict.category == answer.label.category for answer in patterns]),
        severity_within_one=_share([answer.severity_steps <= 1 for answer in answers]),
        macro_f1=_macro_f1(answers),
    )


def _share(hits: Sequence[bool]) -> float:
    return round(sum(hits) / len(hits), 4) if hits else 0.0


def _macro_f1(answers: Sequence[_Answer]) -> float:
    expected = [answer.label.expected for answer in answers]
    names = [name for name in sorted({name for name in expected if name}) if expected.count(name) >= F1_LINES_MIN]
    return round(sum(_f1(answers, name) for name in names) / len(names), 4) if names else 0.0


def _f1(answers: Sequence[_Answer], name: str) -> float:
    """Return 2·tp / (2·tp + fp + fn) of one pattern."""
    right = sum(answer.strict and answer.verdict.pattern == name for answer in answers)
    wrong = sum((answer.verdict.pattern == name) != (answer.label.expected == name) for answer in answers)
    return 2 * right / (2 * right + wrong) if right else 0.0


def _miss(answer: _Answer) -> Miss:
    label = answer.label
    return Miss(
        id=label.id,
        kind=label.kind,
        expected=label.expected,
        also=label.also,
        got=answer.verdict.pattern or None,
        severity_expected=label.severity,
        severity_got=answer.verdict.severity,
        line=label.line,
    )
