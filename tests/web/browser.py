"""A real Chromium, a page in it that reports what it must not do, and axe's verdict on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, expect, sync_playwright

AXE: Final = Path(__file__).with_name("axe-core") / "axe.min.js"
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDE: Final = {"width": 1280, "height": 900}
NARROW: Final = {"width": 360, "height": 780}
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
SOON_MS: Final = 90_000
"""How long a change may take to show; it shows within two seconds on a machine that has nothing else to do."""
expect.set_options(timeout=SOON_MS)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium; the test is skipped where there is none. No event loop may run in this thread meanwhile."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium here")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page of one site in a context of its own; ``faults`` are console errors and requests to anywhere else."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.address = address
        self.faults: list[str] = []
        self.context: BrowserContext = browser.new_context(**{"viewport": WIDE, **options})
        self.context.set_default_timeout(SOON_MS)
        self.context.route("**/*", self._routed)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.faults.append(message.text)

    def _routed(self, route: Route) -> None:
        if route.request.url.startswith(self.address) or urlsplit(route.request.url).scheme == "data":
            route.continue_()
            return
        self.faults.append(f"asked for {route.request.url}")
        route.abort()

    def go(self, path: str) -> int:
        """Open a page; return its status."""
        answer = self.page.goto(self.address + path)
        assert answer is not None
        return answer.status

    def problems(self) -> list[str]:
        """Return what axe finds wrong: rule and element. It comes past the page's policy, as an extension would."""
        self.page.evaluate(AXE.read_text("utf-8") + "\n;0")
        found = self.page.evaluate(
            "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})", RULES
        )
        nodes = [(one["id"], node) for one in found["violations"] for node in one["nodes"]]
        return [f"{rule}: {node['target']} {node['failureSummary']}" for rule, node in nodes]

    def too_wide(self) -> list[str]:
        """Return what makes the page wider than its window."""
        script = """() => {
          const wide = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= wide) return [];
          return [...document.querySelectorAll('main *')]
            .filter((one) => one.getBoundingClientRect().right > wide + 1 && !one.closest('.scroll'))
            .map((one) => one.outerHTML.slice(0, 160)).concat([`${document.documentElement.scrollWidth} > ${wide}`]);
        }"""
        found: list[str] = self.page.evaluate(script)
        return found

    def close(self) -> None:
        """Leave."""
        self.context.unroute_all(behavior="ignoreErrors")
        self.context.close()


@contextmanager
def visit(browser: Browser, address: str, **options: Any) -> Iterator[Visit]:
    """Open a page of a site."""
    one = Visit(browser, address, **options)
    try:
        yield one
    finally:
        one.close()
