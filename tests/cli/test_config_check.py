"""Settings and configuration files are judged before anything uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(tmp_path / "home"))


def check(*arguments: str, status: int = 0) -> Result:
    """Run the check and return what it printed."""
    result = CliRunner().invoke(main, ["config", "check", *arguments])
    assert result.exit_code == status, result.output
    return result


def test_what_would_be_used_is_listed_with_where_it_is_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment wins over the file, the file over the default; nothing is made."""
    (tmp_path / "logmend.toml").write_text("evidence_days = 7\npoll_records = 9\n")
    monkeypatch.setenv("LOGMEND_POLL_RECORDS", "8")
    rows = {row["name"]: row for row in json.loads(check("--json").stdout)["settings"]}
    assert (rows["evidence_days"]["value"], rows["evidence_days"]["source"]) == ("7", "logmend.toml")
    assert (rows["poll_records"]["value"], rows["poll_records"]["source"]) == ("8", "environment")
    assert rows["fleet"]["source"] == "default"
    assert not (tmp_path / "home").exists()


def test_every_fault_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped name, a bad value and a file that is not there are all told in one run."""
    monkeypatch.setenv("LOGMEND_EVIDENCE_DAY", "7")
    monkeypatch.setenv("LOGMEND_WEB_PORT", "http")
    said = check("nowhere.toml", status=1).stderr.splitlines()
    assert [line.split()[0] for line in said] == ["LOGMEND_EVIDENCE_DAY", "LOGMEND_WEB_PORT", "nowhere.toml:"]


def test_an_unknown_key_in_the_file_is_named(tmp_path: Path) -> None:
    """A key that is nearly a setting comes with what it should be."""
    (tmp_path / "logmend.toml").write_text("evidence_dais = 7\n")
    assert "did you mean evidence_days?" in check(status=1).stderr


def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what may hold a password it is only told that it is set."""
    monkeypatch.setenv("LOGMEND_REDACTION_KEY", "abcdefghijklmnopqrst")
    said = check().stdout
    assert "(set)" in said
    assert "abcdefghij" not in said


def test_a_file_of_a_setting_that_can_not_be_read_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that is not there is told now, not when the first mail is to go."""
    monkeypatch.setenv("LOGMEND_SMTP_PASSWORD_FILE", str(tmp_path / "password"))
    assert "LOGMEND_SMTP_PASSWORD_FILE: " in check(status=1).stderr


def test_files_to_apply_are_judged(tmp_path: Path) -> None:
    """A good one is told with its hash; a rule that does not compile, and a policy with a wrong key, are faults."""
    good, bad, rule = (tmp_path / name for name in ("good.toml", "bad.toml", "rule.toml"))
    good.write_text("cooldown_ms = 5\n")
    bad.write_text("cooldown = 5\n")
    rule.write_text('[[rules]]\nid = "x"\ncategory = "disk"\nseverity = "error"\nhint = "h"\nexpressions = ["a(b"]\n')
    said = check(str(good), str(bad), str(rule), status=1)
    assert ": policy " in said.stdout
    assert "1 values differ" in said.stdout
    (first, second) = said.stderr.splitlines()
    assert "did you mean cooldown" in first
    assert str(rule) in second


def test_settings_that_contradict_each_other_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the web would refuse at its start is told here."""
    monkeypatch.setenv("LOGMEND_WEB_HOST", "0.0.0.0")
    assert "token" in check(status=1).stderr


def test_tls_that_no_broker_is_spoken_to_by_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be refused at the start, because only the embedded broker is known, is told here."""
    monkeypatch.setenv("LOGMEND_KAFKA_TLS", "true")
    assert "set LOGMEND_BROKERS" in check(status=1).stderr
