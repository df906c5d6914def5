"""A command that needs a broker uses the one that runs, and starts one only where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streams.cli import lifecycle
from streams.core.errors import InputError
from streams.runtime.address import write_address
from streams.settings import Settings


async def test_what_goes_wrong_beside_a_running_broker_is_told_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused erasure or upgrade is no missing broker: no other one is started, and the reason is not lost."""
    monkeypatch.setattr(lifecycle, "EmbeddedBroker", lambda _: pytest.fail("another broker is started"))
    (tmp_path / "run").mkdir()
    write_address(tmp_path, "127.0.0.1:9", os.getpid())
    with pytest.raises(InputError, match=r"refused at 127\.0\.0\.1:9"):
        await refused(Settings(data_dir=tmp_path))


async def refused(settings: Settings) -> None:
    """Fail beside a broker."""
    async with lifecycle.reachable(settings) as reached:
        raise InputError(f"refused at {reached.brokers}")
