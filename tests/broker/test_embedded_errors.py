"""What the embedded broker says when it can't start: one line that says what to do. No broker is needed here."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import NamedTuple

import pytest

from streams.core.errors import InputError
from streams.runtime import jars, java_archive
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.broker_config import JAVA_ENVIRONMENT, java
from streams.settings import Settings


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


async def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little free space is said before anything is started."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(10**9, 10**9, 3 * 1024**2))
    with pytest.raises(InputError, match="has 3 MB free and the broker needs 512: free some space"):
        await EmbeddedBroker(Settings(data_dir=tmp_path)).start()


async def test_an_unwritable_directory_is_named(tmp_path: Path) -> None:
    """A data directory that can't be made is said with the setting's name."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="set LOGMEND_DATA_DIR"):
        await EmbeddedBroker(Settings(data_dir=tmp_path / "file" / "data")).start()


async def test_a_path_that_kafka_would_misread_is_refused(tmp_path: Path) -> None:
    """A comma separates directories for Kafka, so a path with one is refused."""
    with pytest.raises(InputError, match="allowed: a path without ,"):
        await EmbeddedBroker(Settings(data_dir=tmp_path / "a,b")).start()


async def test_no_repository_on_first_use_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With empty caches and no repository the line names both ways out."""
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "jgo.conf").write_text("[repositories]\ncentral = http://127.0.0.1:1/\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("JGO_CACHE_DIR", "M2_REPO", "XDG_CONFIG_HOME", "JGO_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=r"jgo\.conf .* or set LOGMEND_BROKERS") as caught:
        await jars.kafka_jars()
    assert "\n" not in str(caught.value)


def test_a_damaged_jar_is_found(tmp_path: Path) -> None:
    """A jar that an interrupted download cut short does not pass for whole, nor does a missing one."""
    whole, cut = tmp_path / "whole.jar", tmp_path / "cut.jar"
    whole.write_bytes(b"abc")
    cut.write_bytes(b"ab")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    expected = {"whole.jar": digest, "cut.jar": digest, "gone.jar": digest}
    assert jars.damaged([whole, cut], expected) == ["cut.jar", "gone.jar"]


def test_every_jar_has_a_checksum() -> None:
    """The table of checksums covers Kafka itself and is well formed."""
    table = jars.checksums()
    assert "kafka_2.13-4.3.0.jar" in table
    assert all(len(digest) == 64 and name.endswith(".jar") for name, digest in table.items())


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("broker.log", "ERROR LogManager java.io.IOException: No space left on device", "the disk is full: free some"),
        ("output.log", "java.net.BindException: Address already in use", "set LOGMEND_BROKER_PORT to a free one"),
        ("output.log", "Terminating due to java.lang.OutOfMemoryError: Java heap space", "it ran out of memory"),
        ("broker.log", "2026-01-01 ERROR KafkaRaftServer something new", "something new; see "),
        ("broker.log", "2026-01-01 WARN nothing that matters", "it was killed; see "),
    ],
)
def test_the_cause_of_a_brokers_end_is_said(tmp_path: Path, file: str, text: str, says: str) -> None:
    """What the broker wrote last becomes one line that says why it ended, and what to do."""
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / file).write_text(f"{text}\n")
    assert says in EmbeddedBroker(Settings(data_dir=tmp_path))._cause()


async def test_jars_that_are_there_are_left_alone() -> None:
    """A second start finds the files as they are, not laid out anew: a Java may be reading them just then."""
    first = await jars.kafka_jars()
    before = [(jar, jar.lstat().st_ino, jar.lstat().st_ctime_ns) for jar in first]
    assert await jars.kafka_jars() == first
    assert [(jar, jar.lstat().st_ino, jar.lstat().st_ctime_ns) for jar in first] == before


async def test_java_takes_the_archive_of_the_classes(tmp_path: Path) -> None:
    """Java starts when it may not start without the archive: it fits this Java, these jars and our options."""
    found = await jars.kafka_jars()
    archive = java_archive.usable_archive(found)
    assert archive
    command = java(found, tmp_path, "kafka.tools.StorageTool", "random-uuid", archive=archive)
    command.insert(1, "-XX:AOTMode=on")
    status, output, problem = await jars.run_to_end(command, 60, JAVA_ENVIRONMENT)
    assert (status, len(output.strip())) == (0, 22), problem


async def test_a_damaged_archive_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Java on damaged classes could do anything, so an archive with other bytes than were written is replaced."""
    found = await jars.kafka_jars()
    archive = tmp_path / "there.aot"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(jars, "archive_file", lambda _: archive)
    monkeypatch.setattr(jars, "make_archive", lambda _: archive.write_bytes(b"whole"))
    monkeypatch.setattr(jars, "_resolve", lambda: found)
    assert (jars._prepared(), jars._prepare()) == ([], found)
    assert jars._prepared() == found
    archive.write_bytes(b"whale")
    assert jars._prepared() == []
    assert jars._prepare() == jars._prepared() == found
    assert archive.read_bytes() == b"whole"


def test_an_archive_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    """Where the training fails, here for want of Kafka, there is no archive, and no start tries it again."""
    nothing = [tmp_path / "kafka.jar"]
    nothing[0].write_bytes(b"")
    java_archive.make_archive(nothing)
    assert java_archive.archive_file(nothing).exists()
    assert java_archive.usable_archive(nothing) is None


@pytest.mark.parametrize("known", [True, False], ids=["open until now", "new"])
def test_what_producers_sent_is_for_its_owner_alone(tmp_path: Path, *, known: bool) -> None:
    """Nobody else may look into the directory of the embedded Kafka, nor into a data directory that was made for it."""
    home = tmp_path / "home"
    if known:
        (home / "kafka").mkdir(parents=True, mode=0o755)
    EmbeddedBroker(Settings(data_dir=home))._prepare_directory()
    assert stat.S_IMODE((home / "kafka").stat().st_mode) == 0o700
    assert known or stat.S_IMODE(home.stat().st_mode) == 0o700
