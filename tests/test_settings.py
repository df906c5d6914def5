"""Settings come from arguments, the environment and a file, and a wrong one is named in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.core.errors import InputError
from streams.settings import Settings


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says replaces what the file says; what only the file says holds."""
    (tmp_path / "logmend.toml").write_text('fleet = "from.file"\npoll_records = 7\n')
    monkeypatch.setenv("LOGMEND_FLEET", "from.environment")
    settings = Settings.load()
    assert (settings.fleet, settings.poll_records) == ("from.environment", 7)


def test_a_given_value_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller gives replaces what the environment says."""
    monkeypatch.setenv("LOGMEND_FLEET", "from.environment")
    assert Settings.load(fleet="given").fleet == "given"


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several log topics are one variable."""
    monkeypatch.setenv("LOGMEND_LOGS", "app, nginx_access")
    assert Settings.load().topics.logs == ("app", "nginx_access")


def test_the_embedded_broker_has_fewer_source_partitions() -> None:
    """New source topics get four partitions on the embedded broker and eight on a real one."""
    assert (Settings.load().source_partitions, Settings.load(brokers="a:1").source_partitions) == (4, 8)


def test_a_child_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings travel through a child's environment unchanged."""
    ours = Settings.load(brokers="a:1,b:2", logs=("x", "y"), dry_run=False, rules=tmp_path / "r.toml", data_dir="d")
    for name, value in ours.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings.load() == ours


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("LOGMEND_POLL_RECORDS", "many", "LOGMEND_POLL_RECORDS is 'many'; allowed: records of one fetch"),
        ("LOGMEND_SESSION_TIMEOUT_MS", "1", "LOGMEND_SESSION_TIMEOUT_MS is '1'; allowed:"),
        ("LOGMEND_FLEET", "My Fleet", "LOGMEND_FLEET is 'My Fleet'; allowed: prefix of our topics"),
        ("LOGMEND_BROKERS", "kafka", "LOGMEND_BROKERS is 'kafka'; allowed: Kafka's addresses, host:port"),
        ("LOGMEND_LOGS", "a,b c", "LOGMEND_LOGS is 'a,b c'; allowed: topics with log lines"),
        ("LOGMEND_BROKER", "a:1", "LOGMEND_BROKER is not a setting: did you mean LOGMEND_BROKERS?"),
        ("LOGMEND_DATADIR", "/x", "LOGMEND_DATADIR is not a setting: did you mean LOGMEND_DATA_DIR?"),
        ("LOGMEND_CONFIG", "nowhere.toml", "LOGMEND_CONFIG=nowhere.toml: there is no such file"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    """The one line names the variable, its value and what is allowed."""
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as caught:
        Settings.load()
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_other_variables_of_ours_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service or a test is told by a LOGMEND_ variable is not mistaken for a wrong setting."""
    for name in ("LOGMEND_COMMAND_ID", "LOGMEND_PID_FILE", "LOGMEND_INSTANCE", "LOGMEND_REQUIRE_ALL"):
        monkeypatch.setenv(name, "1")
    assert Settings.load() == Settings()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("flet = 'x'", "flet in logmend.toml is not a setting: did you mean fleet?"),
        ("poll_records = 0", "poll_records in logmend.toml (or LOGMEND_POLL_RECORDS) is '0'; allowed:"),
        ("logs = [", "logmend.toml: not TOML:"),
    ],
)
def test_a_wrong_line_of_the_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    """The one line names the file, the setting and what is allowed."""
    (tmp_path / "logmend.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        Settings.load()
    assert str(caught.value).startswith(says)


def test_a_topic_is_of_logs_or_of_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that is named for both is refused in one line that says what to do: its records would be read twice."""
    monkeypatch.setenv("LOGMEND_LOGS", "app,telemetry")
    monkeypatch.setenv("LOGMEND_METRICS", "telemetry")
    with pytest.raises(InputError) as refused:
        Settings.load()
    said = str(refused.value)
    assert said == "telemetry is in both LOGMEND_LOGS and LOGMEND_METRICS: send metrics to a topic of their own"


def test_the_home_of_nobody_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that begins with the home of a user who is not there is named in one line, not raised as it comes."""
    monkeypatch.setenv("LOGMEND_POLICY", "~no-such-user/policy.toml")
    with pytest.raises(InputError, match=r"^LOGMEND_POLICY is '~no-such-user/policy.toml'; allowed: "):
        Settings.load()
