"""Local files against what is in force."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError
from click.testing import CliRunner

from streams.cli import comparing, files, main, running
from streams.core.config import Inventory, Policy
from streams.core.directory import Directory
from streams.core.errors import InputError
from streams.runtime.supervisor import Supervisor
from streams.settings import Settings
from tests.core.world import World, spec

POLICY = "attempts_max = 2\n"
SERVICES = '[[services]]\nname = "api"\nhost = "h1"\nmode = "observe"\n'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings that name a policy and an inventory."""
    policy, services = tmp_path / "policy.toml", tmp_path / "services.toml"
    policy.write_text(POLICY)
    services.write_text(SERVICES)
    return Settings(data_dir=tmp_path, policy=policy, services=services)


def in_force(*values: Policy | Inventory) -> Directory:
    """Return what is known of a fleet in which some configurations were applied."""
    world = World()
    for value in values:
        world.apply(files.kind_of(value), value)
    return world.fold.directory


def test_a_file_that_is_not_in_force_is_named_with_what_to_do(settings: Settings) -> None:
    """Each file that differs gets one line with the commands that show it and put it in force."""
    directory = in_force(Policy(attempts_max=5), Inventory(services=(spec("other"),)))
    lines = list(comparing.differing(settings, directory))
    assert len(lines) == 2
    for line, file in zip(lines, (settings.policy, settings.services), strict=True):
        assert f"`logmend diff {file}`" in line
        assert f"`logmend apply {file}`" in line
        assert "\n" not in line


def test_what_is_in_force_is_not_mentioned(settings: Settings) -> None:
    """A file that says what is in force gives no line, applied or by default."""
    assert settings.services is not None
    inventory = files.read(settings.services)
    assert isinstance(inventory, Inventory)
    applied = in_force(Policy(attempts_max=2), inventory)
    assert list(comparing.differing(settings, applied)) == []
    assert settings.policy is not None
    settings.policy.write_text(f"attempts_max = {Policy().attempts_max}\n")
    assert list(comparing.differing(settings, in_force(inventory))) == []


def test_a_file_that_can_not_be_read_is_one_line(settings: Settings) -> None:
    """A broken file is named, and the others are compared all the same."""
    assert settings.policy is not None
    settings.policy.write_text("attempts_max = \n")
    broken, other = comparing.differing(settings, in_force())
    assert f"{settings.policy}: not TOML" in broken
    assert f"{settings.services} is not the inventory in force" in other


def test_without_files_no_log_is_read(tmp_path: Path) -> None:
    """Nothing is asked of a broker when there is nothing to compare."""
    nobody = Settings(data_dir=tmp_path, brokers="127.0.0.1:1")
    assert asyncio.run(comparing.compare(nobody)) == []


@pytest.mark.parametrize("failure", [None, InputError("no broker"), KafkaError("gone")])
def test_up_says_what_differs_when_all_is_ready(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, failure: InputError | KafkaError | None
) -> None:
    """The line is said after the start, with the broker's address known; that it can't be found out ends nothing."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    asked: list[str] = []

    async def start(self: Supervisor) -> None:
        self.settings = self.settings.model_copy(update={"brokers": "127.0.0.1:9"})

    async def stop(_: Supervisor) -> None:
        return

    async def compare(given: Settings) -> list[str]:
        asked.append(given.brokers)
        signal.raise_signal(signal.SIGINT)
        if failure:
            raise failure
        return ["it differs"]

    monkeypatch.setattr(Supervisor, "start", start)
    monkeypatch.setattr(Supervisor, "stop", stop)
    monkeypatch.setattr(running, "compare", compare)
    result = CliRunner().invoke(main, ["up"])
    assert (result.exit_code, asked) == (0, ["127.0.0.1:9"]), result.output
    assert ("logmend: it differs" in result.output) is (failure is None)
