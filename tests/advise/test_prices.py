"""What models cost, and the choice of a provider by settings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.advise.asking import asker_of
from streams.advise.providers import provider_of
from streams.catalogue.models import Price, price, prices
from streams.core.errors import InputError
from streams.settings import PREFIX, Settings


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Write a key into a file."""
    path = tmp_path / "key"
    path.write_text("sk-test-0123456789")
    return path


def _settings(tmp_path: Path, **given: Any) -> Settings:
    return Settings.load(data_dir=tmp_path / "data", **given)


def test_the_table_is_of_providers_that_take_money() -> None:
    """No row is free, and each tells more for writing than for reading."""
    assert {provider for provider, _ in prices()} == {"anthropic", "openai"}
    assert all(0 < row.usd_in < row.usd_out for row in prices().values())


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-opus-5-5-20260922", "claude-opus-5-5-2026-09-22"])
def test_a_dated_snapshot_costs_what_its_model_costs(model: str) -> None:
    """With either way to write the date."""
    assert price("anthropic", model) == prices()["anthropic", "claude-opus-5-5"]


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai", "claude-opus-5-5"), ("anthropic", "claude-opus-5-5-mini"), ("openai", "llama"), ("openai", "")],
)
def test_a_model_that_is_not_there_has_no_price(provider: str, model: str) -> None:
    """Nor has one that only begins like one that is, or is somebody else's."""
    assert price(provider, model) is None


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0, 100), st.floats(0, 100))
def test_a_cost_is_rounded_up(tokens_in: int, tokens_out: int, usd_in: float, usd_out: float) -> None:
    """Nothing that costs something is free."""
    cost = Price(usd_in=usd_in, usd_out=usd_out).microusd(tokens_in, tokens_out)
    exact = tokens_in * usd_in + tokens_out * usd_out
    assert exact <= cost <= exact + 1


def test_rules_ask_nobody(tmp_path: Path) -> None:
    """The default has no provider."""
    assert provider_of(_settings(tmp_path)) is None
    assert asker_of(_settings(tmp_path)) is None


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"advise_provider": "command"}, "LOGMEND_ADVISE_COMMAND"),
        ({"advise_provider": "recorded"}, "LOGMEND_ADVISE_ANSWERS"),
        ({"advise_provider": "anthropic"}, "LOGMEND_ADVISE_MODEL"),
        ({"advise_provider": "openai", "advise_url": "http://localhost:11434/v1"}, "LOGMEND_ADVISE_MODEL"),
        ({"advise_provider": "anthropic", "advise_model": "claude-opus-5-5"}, "LOGMEND_ADVISE_KEY_FILE"),
        ({"advise_provider": "openai", "advise_model": "gpt-6-sol"}, "LOGMEND_ADVISE_KEY_FILE"),
        ({"advise_provider": "openai", "advise_model": "gpt-6-sol", "advise_key_file": "/no/file"}, "/no/file"),
        (
            {"advise_provider": "openai", "advise_model": "llama4", "advise_url": "http://localhost:11434/v1"},
            "LOGMEND_ADVISE_USD_IN",
        ),
        (
            {
                "advise_provider": "openai",
                "advise_model": "llama4",
                "advise_url": "http://localhost:11434/v1",
                "advise_usd_in": 0,
            },
            "LOGMEND_ADVISE_USD_OUT",
        ),
    ],
)
def test_what_a_provider_needs_is_named(tmp_path: Path, given: dict[str, Any], missing: str) -> None:
    """Before the first question, with the variable that is missing."""
    with pytest.raises(InputError, match=missing):
        asker_of(_settings(tmp_path, **given))


@pytest.mark.parametrize(
    "given",
    [
        {"advise_provider": "command", "advise_command": f"{sys.executable} -c pass"},
        {"advise_provider": "anthropic", "advise_model": "claude-haiku-5-5-20261007"},
        {"advise_provider": "openai", "advise_model": "gpt-6-luna"},
        {
            "advise_provider": "openai",
            "advise_model": "qwen3:8b",
            "advise_url": "http://192.168.0.7:11434/v1",
            "advise_usd_in": 0,
            "advise_usd_out": 0,
        },
    ],
)
async def test_a_provider_that_has_all_it_needs_is_made(tmp_path: Path, key: Path, given: dict[str, Any]) -> None:
    """A program, both interfaces, and a model of one's own in the local network."""
    asker = asker_of(_settings(tmp_path, advise_key_file=key, **given))
    assert asker is not None
    assert asker.provider.name == given["advise_provider"]
    assert asker.present
    await asker.aclose()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("advise_provider", "gemini"),
        ("advise_url", "ftp://x"),
        ("advise_url", "http://user:password@x/v1"),
        ("advise_url", "http://x/v1?key=1"),
        ("advise_model", "a model"),
        ("advise_budget_usd_hour", -1),
        ("advise_budget_usd_hour", float("nan")),
        ("advise_usd_in", float("inf")),
    ],
)
def test_a_setting_that_is_wrong_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    """With its name."""
    with pytest.raises(InputError, match=f"{PREFIX}{name.upper()}"):
        _settings(tmp_path, **{name: value})


def test_settings_reach_a_child_process_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commas and quotes of a command, a price of nothing, and the key's file, not the key."""
    settings = _settings(
        tmp_path,
        advise_provider="command",
        advise_command="model --stop 'a, b' \"c\"",
        advise_usd_in=0.0,
        advise_key_file=tmp_path / "key",
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings.load() == settings
