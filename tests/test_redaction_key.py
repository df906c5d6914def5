"""The key of redaction's tags is set, or made once for a data directory, and shown to nobody."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli import main
from streams.core.errors import InputError
from streams.runtime.redaction_key import FILE_NAME, redaction_key
from streams.settings import Settings

OURS = "correct-horse-battery-staple"


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(tmp_path / "data"))


def test_a_key_is_made_once() -> None:
    """The first process makes the key, and the next ones have the same."""
    assert redaction_key(Settings.load()) == redaction_key(Settings.load())


def test_installations_have_keys_of_their_own(tmp_path: Path) -> None:
    """Two data directories have two keys."""
    first, second = (Settings.load(data_dir=tmp_path / name) for name in ("a", "b"))
    assert redaction_key(first) != redaction_key(second)


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """The file with the key is its owner's alone, and no other file is left beside it."""
    redaction_key(Settings.load())
    assert stat.S_IMODE((tmp_path / "data" / FILE_NAME).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == [FILE_NAME]


def test_processes_that_start_at_once_have_one_key() -> None:
    """Eight processes that all find no key end up with the same one."""
    code = (
        "from streams.settings import Settings; from streams.runtime.redaction_key import redaction_key; import sys;"
        "settings = Settings.load(); sys.stdin.readline(); print(redaction_key(settings).decode())"
    )
    command = [sys.executable, "-c", code]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    said = [process.communicate("go\n")[0] for process in started]
    assert len(set(said)) == 1
    assert len(said[0].strip()) == 64


def test_a_set_key_is_taken(tmp_path: Path) -> None:
    """A key that is set is the key, and no file is made."""
    assert redaction_key(Settings.load(redaction_key=OURS)) == OURS.encode()
    assert not (tmp_path / "data").exists()


def test_a_damaged_key_is_told(tmp_path: Path) -> None:
    """A file that holds no key is named, and what to do; it is not replaced, as all tags would change."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE_NAME).write_text("half")
    with pytest.raises(InputError, match="is damaged: restore it, or remove it"):
        redaction_key(Settings.load())


def test_a_directory_that_cant_be_made_is_told(tmp_path: Path) -> None:
    """Where no key can be kept, the message names the setting that gives one."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="LOGMEND_REDACTION_KEY"):
        redaction_key(Settings.load(data_dir=tmp_path / "file" / "data"))


def test_a_child_gets_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is started with our settings has our key."""
    for name, value in Settings.load(redaction_key=OURS).environment().items():
        monkeypatch.setenv(name, value)
    assert Settings.load().redaction_key == OURS


@pytest.mark.parametrize("wrong", ["too-short", "with a space in between", "x" * 257])
def test_a_wrong_key_is_not_quoted(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    """A key that is refused is not in the message, nor in the settings as they are shown."""
    monkeypatch.setenv("LOGMEND_REDACTION_KEY", wrong)
    with pytest.raises(InputError, match="LOGMEND_REDACTION_KEY is not valid; allowed: key of the tags") as caught:
        Settings.load()
    assert wrong not in str(caught.value)
    assert OURS not in repr(Settings.load(redaction_key=OURS))


def test_doctor_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """``doctor`` prints neither a key that is set nor one that was made."""
    made = redaction_key(Settings.load()).decode()
    monkeypatch.setenv("LOGMEND_REDACTION_KEY", OURS)
    shown = CliRunner().invoke(main, ["doctor", "--json"]).output
    assert "check" in shown
    assert OURS not in shown
    assert made not in shown


@pytest.mark.parametrize("days", ["0", "-1", "4000", "soon"])
def test_text_is_kept_for_a_day_at_least(monkeypatch: pytest.MonkeyPatch, days: str) -> None:
    """Days without sense are refused in one line."""
    monkeypatch.setenv("LOGMEND_EVIDENCE_DAYS", days)
    with pytest.raises(InputError, match=f"LOGMEND_EVIDENCE_DAYS is '{days}'; allowed: days that the text"):
        Settings.load()
