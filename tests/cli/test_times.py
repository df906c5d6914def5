"""Times that people name: ``--since`` of what is read, ``--before`` of what is erased."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from streams.cli.dlq import dlq
from streams.cli.erasing import erase

COMMANDS: dict[str, Any] = {"--since": dlq.commands["list"], "--before": erase}
NOON_MS = 1_793_534_400_000
"""2026-11-01, 12:00 UTC."""
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def lima(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the commands run where the clock shows five hours less than UTC."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "America/Lima")
        time.tzset()
        yield
    time.tzset()


def asked(option: str, *words: str) -> Result:
    """Give words to an option as a command of the product has it; what it understood is printed."""
    (parameter,) = (one for one in COMMANDS[option].params if option in one.opts)
    command = click.Command("told", params=[parameter], callback=lambda **known: click.echo(known[parameter.name]))
    return CliRunner().invoke(command, [option, *words] if words else [])


def understood(option: str, *words: str) -> int:
    """Return the milliseconds since 1970 that words were understood as."""
    done = asked(option, *words)
    assert done.exit_code == 0, done.output
    return int(done.stdout)


@pytest.mark.parametrize("option", COMMANDS)
@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01T12:00:00Z",
        "2026-11-01T13:00:00+01:00",
        "2026-11-01 07:00-05:00",
        "2026-11-01T12:00:00",
        "20261101T12",
    ],
)
def test_an_iso_time_is_that_moment(option: str, text: str) -> None:
    """A zone is heeded, and without one a time is UTC's, wherever the command is run."""
    assert understood(option, text) == NOON_MS


@pytest.mark.parametrize("option", COMMANDS)
def test_a_day_begins_at_midnight_in_utc(option: str) -> None:
    """A date alone is its first moment."""
    assert understood(option, "2026-11-01") == NOON_MS - 12 * HOUR_MS


@pytest.mark.parametrize(
    ("text", "ago_ms"), [("90s", 90_000), ("30m", 1_800_000), ("2h", 7_200_000), ("3d", 259_200_000)]
)
def test_since_may_be_so_long_ago(text: str, ago_ms: int) -> None:
    """A number with a unit is counted back from now."""
    earliest_ms = int(time.time() * 1_000)
    found_ms = understood("--since", text)
    assert earliest_ms <= found_ms + ago_ms <= int(time.time() * 1_000)


def test_what_is_erased_is_named_by_a_moment() -> None:
    """``--before 2h`` is refused, and told what to give: what is gone for good is not counted back from now."""
    done = asked("--before", "2h")
    assert done.exit_code == 2
    assert "'2h': give a time such as 2026-11-01" in done.output


def test_without_a_time_all_is_meant() -> None:
    """What is read begins with the log, and what is erased ends now."""
    earliest_ms = int(time.time() * 1_000)
    assert understood("--since") == 0
    assert earliest_ms <= understood("--before") <= int(time.time() * 1_000)


@pytest.mark.parametrize("option", COMMANDS)
@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "1234567d", "3w", "-2h", "2h ago"])
def test_nonsense_is_refused(option: str, text: str) -> None:
    """It is wrong usage that names what was given, not a moment that nobody meant."""
    done = asked(option, text)
    assert done.exit_code == 2
    assert text in done.output


def test_an_empty_time_erases_nothing() -> None:
    """A script whose variable is empty is told so; it does not erase everything up to now."""
    assert asked("--before", "").exit_code == 2


def test_no_log_is_older_than_1970() -> None:
    """An earlier time reads from the beginning, and erases nothing."""
    assert understood("--since", "1969-12-31") == 0
    assert understood("--before", "1969-12-31") < 0
