from __future__ import annotations

from pathlib import Path

import hyperscan
import msgspec
import pytest

from streams.catalogue.patterns import PatternCatalogue, patterns
from streams.core.errors import InputError
from streams.ingest import matcher, rules

GOOD = """
[[rules]]
id = "warp_core"
category = "service"
severity = "critical"
hint = "Eject it."
expressions = ["warp core (breach|overload)"]
unless = ["drill"]
positive = ["warp core breach in 5"]
negative = ["warp core drill: breach simulated"]
"""


def written(tmp_path: Path, text: str) -> Path:
    """Write a rule file with this text."""
    path = tmp_path / "rules.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where these tests keep what they compile: apart, so that it pushes nothing out of the cache of others."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, cache: Path) -> PatternCatalogue:
    """Ship the three smallest rules instead of all: the whole catalogue takes seconds to compile."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    smallest = sorted(patterns().rules, key=lambda spec: len(spec.expressions))[:3]
    catalogue = msgspec.structs.replace(patterns(), rules=tuple(smallest))
    for module in (rules, matcher):
        monkeypatch.setattr(module, "patterns", lambda: catalogue)
    monkeypatch.setattr(matcher, "shipped", lambda: pytest.fail("it would be remembered for the tests that follow"))
    return catalogue


def test_good_file(tmp_path: Path) -> None:
    """A good file has no findings, its examples hold, and its rule is listed first as one's own."""
    path = written(tmp_path, GOOD)
    assert rules.lint(path) == []
    assert [result.ok for result in rules.test(path)] == [True, True]
    listed = rules.effective(path)
    assert (listed[0].id, listed[0].origin, len(listed)) == ("warp_core", "own", len(patterns().rules) + 1)


def test_a_replaced_shipped_rule_is_said(few: PatternCatalogue, tmp_path: Path) -> None:
    """Who takes a shipped id is warned how many expressions go with the old rule."""
    shipped = few.rules[0]
    found = rules.lint(written(tmp_path, GOOD.replace('"warp_core"', f'"{shipped.id}"')))
    text = f"replaces the shipped {shipped.id} ({len(shipped.expressions)} expressions)"
    assert rules.Finding(shipped.id, rules.WARNING, text) in found


LINT = {
    "dead": (GOOD.replace("warp core breach in 5", "all well"), "error", "dead"),
    "bad regular expression": (GOOD.replace("(breach|", "((breach|"), "error", "expression 1"),
    "no positive example": (GOOD.replace('positive = ["warp core breach in 5"]', ""), "warning", "no positive example"),
    "no negative example": (GOOD.replace("negative =", "hint2 ="), None, "hint2"),
    "no hint": (GOOD.replace("Eject it.", ""), "warning", "no hint"),
    "unbounded": (GOOD.replace("warp core (", ".*warp core ("), "warning", "unbounded"),
    "nested repeat": (GOOD.replace("(breach|overload)", "(breach|[a-z]+ ?)+"), "warning", "catastrophic"),
    "repeated expression": (GOOD.replace('["drill"]', '["drill", "drill"]'), "warning", "duplicate"),
    "a raise that lowers": (
        GOOD + 'raises = [{ severity = "error", expressions = ["x"] }]',
        "error",
        "raises to 'error', which is not above critical",
    ),
    "bad expression of a raise": (
        GOOD + 'raises = [{ severity = "fatal", expressions = ["(x"] }]',
        "error",
        "raise to fatal 1",
    ),
    "short": (GOOD.replace('["drill"]', '["dr"]'), "warning", "short"),
    "doubled": (GOOD + GOOD, "error", "more than once"),
    "shadowed by an earlier rule": (
        GOOD + GOOD.replace('"warp_core"', '"second"').replace("overload", "meltdown"),
        "warning",
        "shadowed: warp_core",
    ),
    "same expression": (GOOD + GOOD.replace('"warp_core"', '"second"'), "warning", "stands in warp_core too"),
}


@pytest.mark.parametrize("name", LINT)
@pytest.mark.usefixtures("few")
def test_lint_finds(name: str, tmp_path: Path) -> None:
    """Each kind of mistake in a rule file is found and said."""
    text, level, said = LINT[name]
    path = written(tmp_path, text)
    if level is None:
        with pytest.raises(InputError, match=said):
            rules.lint(path)
        return
    assert any(finding.level == level and said in finding.problem for finding in rules.lint(path))


NESTED = {
    "(a+)+": True,
    "(a|b*)*c": True,
    r"(\w+\s?){2,}x": True,
    "((a+)b)*": True,
    "(a+){1,3}": False,
    "(ab)+c+": False,
    "[(+)]+(x)+": False,
    r"\(a+\)+": False,
}


@pytest.mark.parametrize("text", NESTED)
def test_nested_repeats(text: str) -> None:
    """A repeat without limit inside another is found; limits, classes and escapes don't look like one."""
    assert rules.nests_repeats(text) is NESTED[text]


def test_explained(tmp_path: Path) -> None:
    """A line is explained by the rule that names it and by every expression that matches, those that take back too."""
    path = written(tmp_path, GOOD)
    named = rules.explain("warp core breach", path)
    assert (named.pattern, named.severity, named.rules) == ("warp_core", "critical", ("warp_core",))
    assert named.matched == ("rule warp_core, expression 1 'warp core (breach|overload)'",)
    taken_back = rules.explain("drill: warp core breach", path)
    assert (taken_back.pattern, taken_back.rules) == ("", ())
    assert "rule warp_core, unless 1 'drill'" in taken_back.matched


def test_examples_fail(tmp_path: Path) -> None:
    """An example that does not hold is a result that says what named the line instead."""
    path = written(tmp_path, GOOD.replace("warp core breach in 5", "disk full: No space left on device"))
    assert [(r.got, r.ok) for r in rules.test(path)] == [("disk_full", False), ("", True)]


@pytest.mark.parametrize("text", ["[[rules", "[[rules]]\nid = 1", "\x00"])
def test_no_rule_file(text: str, tmp_path: Path) -> None:
    """A file that is no rule file is an InputError that names it."""
    with pytest.raises(InputError, match=r"rules\.toml"):
        rules.load(written(tmp_path, text))


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is an InputError that names it."""
    with pytest.raises(InputError, match=r"none\.toml"):
        rules.load(tmp_path / "none.toml")


def test_a_shipped_expression_that_does_not_compile_is_named(
    few: PatternCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the shipped rules don't compile together, it is said which expression of which rule is to blame."""
    (first, *others) = few.rules
    broken = msgspec.structs.replace(few, rules=(msgspec.structs.replace(first, expressions=("((",)), *others))

    def refused() -> matcher.Matcher:
        raise hyperscan.error("error code -4")

    monkeypatch.setattr(rules, "patterns", lambda: broken)
    monkeypatch.setattr(matcher, "shipped", refused)
    (found,) = (finding for finding in rules.lint() if finding.level == "error")
    assert (found.rule, "expression 1 '(('" in found.problem) == (first.id, True)


def test_shipped_rules_are_clean() -> None:
    """The shipped catalogue has no findings, not that it replaces itself either, and all its examples hold."""
    assert rules.lint() == []
    assert [result for result in rules.test() if not result.ok] == []
    assert {listed.origin for listed in rules.effective()} == {"shipped"}
