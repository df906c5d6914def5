"""What Logmend made goes, unless it is in use; nothing else does."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli import main
from streams.runtime.address import created, write_whole
from streams.runtime.readiness import ready_file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data directory with what Logmend makes, and a file of somebody else's."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(home))
    for name in ("log/segments", "kafka/data", "run", "pool/checkpoints"):
        (home / name).mkdir(parents=True)
    for name in ("log/manifest.json", "redaction.key", "notes.txt", "pool/journal.lock", "kafka/ports.json"):
        (home / name).write_text("x")
    return home


def uninstall(*arguments: str, status: int = 0, says: str = "") -> Result:
    """Run the command and return what it printed."""
    result = CliRunner().invoke(main, ["uninstall", *arguments], input=says)
    assert result.exit_code == status, result.output
    return result


def left(home: Path) -> set[str]:
    """Return what is in the data directory."""
    return {path.name for path in home.iterdir()}


def test_what_was_made_goes_and_what_was_not_stays(home: Path) -> None:
    """Another's file is left, and named."""
    assert "left: notes.txt" in uninstall("--yes").stdout
    assert left(home) == {"notes.txt"}


def test_an_empty_directory_goes_too(home: Path) -> None:
    """Nothing is left when all of it was ours; again is no error."""
    (home / "notes.txt").unlink()
    uninstall("--yes")
    assert not home.exists()
    assert "there is nothing of Logmend's" in uninstall("--yes").stdout


def test_the_log_can_be_kept(home: Path) -> None:
    """With --keep-log the event log stays as it is."""
    assert json.loads(uninstall("--keep-log", "--yes", "--json").stdout)["left"] == ["log", "notes.txt"]
    assert (home / "log" / "manifest.json").exists()


def test_it_asks_first(home: Path) -> None:
    """Whoever says no keeps everything."""
    before = left(home)
    uninstall(says="n\n", status=1)
    assert left(home) == before


def test_it_is_refused_while_a_process_runs(home: Path) -> None:
    """A process that said that it is ready, and lives, is named; nothing goes."""
    write_whole(ready_file(home, "decide"), json.dumps({"pid": os.getpid(), "created": created(os.getpid())}).encode())
    assert ": decide" in uninstall("--yes", status=1).stderr
    assert (home / "log").exists()


def test_it_is_refused_while_a_lock_is_held(home: Path) -> None:
    """A pool that was started by hand holds its journal; one that died does not."""
    with (home / "pool" / "journal.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "who holds pool/journal.lock" in uninstall("--yes", status=1).stderr
    write_whole(ready_file(home, "decide"), json.dumps({"pid": 2**22 + 7, "created": 1.0}).encode())
    uninstall("--yes")


def test_a_link_is_removed_and_not_what_it_leads_to(home: Path, tmp_path: Path) -> None:
    """An event log that lies on another disk, behind a link, is not followed."""
    elsewhere = tmp_path / "elsewhere"
    (home / "log").rename(elsewhere)
    (home / "log").symlink_to(elsewhere)
    uninstall("--yes")
    assert (elsewhere / "manifest.json").exists()


def test_files_of_others_in_directories_of_the_same_name_stay(home: Path) -> None:
    """Whoever names /var, /opt or a project as data directory keeps log, kafka, run and web that were there before."""
    theirs = ("log/syslog", "log/app/today.log", "run/sshd.pid", "web/index.html", "kafka/LICENSE", "lab/notes.md")
    for name in theirs:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("theirs")
    uninstall("--yes")
    assert all((home / name).exists() for name in theirs)
    assert not (home / "log" / "segments").exists()
    assert not (home / "kafka" / "data").exists()


def test_a_kafka_of_somebody_elses_stays(home: Path) -> None:
    """A directory named kafka with data in it is ours only with the file that our broker remembers its ports in."""
    (home / "kafka" / "ports.json").unlink()
    assert "left: kafka, notes.txt" in uninstall("--yes").stdout
    assert (home / "kafka" / "data").exists()


def test_what_the_lab_made_goes(home: Path) -> None:
    """Its services and notes are Logmend's, too."""
    (home / "lab" / "shop-db").mkdir(parents=True)
    (home / "lab" / "injections.jsonl").write_text("")
    uninstall("--yes")
    assert left(home) == {"notes.txt"}


def test_a_data_directory_behind_a_link_is_emptied(home: Path, tmp_path: Path) -> None:
    """The link stays: it is not known who made it."""
    (home / "notes.txt").unlink()
    home.rename(tmp_path / "elsewhere")
    home.symlink_to(tmp_path / "elsewhere")
    uninstall("--yes")
    assert left(home) == set()


def test_it_is_refused_while_a_candidate_is_compared(home: Path) -> None:
    """Shadow mode holds its file."""
    (home / "shadow").mkdir()
    with (home / "shadow" / "shadow.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "who holds shadow/shadow.lock" in uninstall("--yes", status=1).stderr
