"""What the documentation tells people to type exists."""

from __future__ import annotations

import copy
import re
import shlex
import tomllib
from pathlib import Path

import click
import msgspec
import pytest

from analytics.views import VIEWS
from streams.cli import ENTRIES, files, main
from streams.core.config import Inventory, Policy, RuleSet
from streams.ingest import rules
from streams.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the README's code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[str]:
    """Return the README's shell lines that run a program."""
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.removeprefix(".venv/bin/").startswith(f"{program} ")]


@pytest.mark.parametrize("line", commands("logmend"))
def test_every_command_exists_with_its_options(line: str) -> None:
    """Command, subcommand and options of each line are those of the program; arguments are as many as it takes."""
    words = shlex.split(line.split(" > ", maxsplit=1)[0])[1:]
    command: click.Command | None = main
    context = click.Context(main)
    while isinstance(command, click.Group) and not (command.invoke_without_command and words[0].startswith("-")):
        command = command.get_command(context, words.pop(0))
    assert command is not None
    loose = copy.copy(command)
    loose.params = [copy.copy(parameter) for parameter in command.params]
    for parameter in loose.params:
        parameter.type = click.STRING  # the files that the README speaks of are the reader's
    loose.make_context(line, words)


def test_every_make_target_exists() -> None:
    """What is made in the README is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {line.split()[1] for line in commands("make")} <= targets


def test_every_setting_exists() -> None:
    """Each variable that is named is a setting, and its default is the one that is said."""
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+", README))
    assert {name.removeprefix(PREFIX).lower() for name in named} <= set(Settings.model_fields)
    assert len(named) >= 6


def test_every_view_is_listed() -> None:
    """The README names the views that there are, all of them."""
    listed = README.partition("Views:\n")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z_]+)`", listed)) == set(VIEWS)


def test_the_example_inventory_can_be_applied() -> None:
    """The services in the README are an inventory without a fault."""
    text = blocks("toml")[0]
    value = msgspec.convert(tomllib.loads(text), Inventory)
    assert list(files.lint(value)) == []


def test_the_example_rules_have_no_finding(tmp_path: Path) -> None:
    """The rules in the README can be applied, and their examples hold."""
    path = tmp_path / "rules.toml"
    path.write_text(blocks("toml")[1])
    assert isinstance(files.read(path), RuleSet)
    assert rules.lint(path) == []
    assert [result.ok for result in rules.test(path)] == [True, True]


def test_the_example_policy_holds_the_defaults() -> None:
    """The limits in the README are those that hold where nothing is applied."""
    assert msgspec.convert(tomllib.loads(blocks("toml")[2]), Policy) == Policy()


def test_the_change_log_names_commands_that_exist() -> None:
    """Users read of nothing that they can't call."""
    named = set(re.findall(r"`logmend ([a-z]+)", CHANGELOG))
    assert named
    assert named <= set(ENTRIES)
