"""How long an open page takes to show who succeeds a killed worker: from kill -9 to the new pid in its table.

Real ``logmend detect``, ``decide``, ``dispatch``, ``workers`` and ``web`` on an embedded broker, and a real Chromium
with the page of the cluster. Killed are workers of each role in turn; the page is never fetched by hand.

    python -m benchmarks.live              20 kills
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct, structs
from playwright.async_api import Page, async_playwright

from benchmarks.api import STAGES, WAIT_S
from benchmarks.recovery import HOST, Times, serving, times
from streams.core.requests import ROLES
from streams.runtime.address import web_address_file
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.settings import Settings

LIVE_MS_MAX: Final = 2_000
CELL: Final = "#worker-{host}-{role}_001 [data-label=PID]"
CHANGED: Final = "([cell, pid]) => document.querySelector(cell)?.innerText.trim() !== pid"
PAUSE_S: Final = 1.0


class Result(Struct, frozen=True, kw_only=True):
    """What was measured, in milliseconds from kill -9 to the page."""

    kills: int
    shown: Times
    load_average: float

    @property
    def kept(self) -> bool:
        """Whether the limit of the specification holds."""
        return self.shown.max <= LIVE_MS_MAX


async def measure(kills: int) -> Result:
    """Kill workers and watch the page."""
    with tempfile.TemporaryDirectory(prefix="logmend-live-", ignore_cleanup_errors=True) as directory:
        settings = Settings(data_dir=Path(directory), host=HOST, dry_run=False, source_partitions=1)
        async with EmbeddedBroker(settings) as broker:
            settings = settings.model_copy(update={"brokers": broker.address})
            await create_topics(settings)
            async with serving(settings, STAGES), async_playwright() as playwright:
                arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
                program = shutil.which("chromium")
                browser = await playwright.chromium.launch(executable_path=program, args=arguments)
                page = await browser.new_page()
                page.set_default_timeout(WAIT_S * 1000)
                await page.goto(web_address_file(settings.data_dir).read_text().strip() + "/cluster")
                shown = [await _replaced(page, ROLES[number % len(ROLES)]) for number in range(kills)]
                await browser.close()
    return Result(kills=kills, shown=times(shown), load_average=round(os.getloadavg()[0], 2))


async def _replaced(page: Page, role: str) -> float:
    """Kill a worker that has just come to rest; return after how many milliseconds the page has another pid."""
    cell = CELL.format(host=HOST, role=role)
    pid = (await page.locator(cell).inner_text()).strip()
    await asyncio.sleep(PAUSE_S)
    began = time.monotonic()
    os.kill(int(pid), signal.SIGKILL)
    await page.wait_for_function(CHANGED, arg=[cell, pid], polling=10)
    return (time.monotonic() - began) * 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 when the limit is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("--kills", type=int, default=20)
    found = asyncio.run(measure(parser.parse_args(arguments).kills))
    print(json.dumps({**structs.asdict(found), "shown": structs.asdict(found.shown), "kept": found.kept}, indent=2))
    return 0 if found.kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
