"""Chromium, and sites to look at with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.web.browser import Visit, chromium, visit
from tests.web.fleet import Fleet, populated
from tests.web.site import Site, running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run one Chromium for a module whose tests are not async."""
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve a fleet with something of everything, to tests that only look."""
    with running(populated(), tmp_path_factory.mktemp("seen")) as site:
        yield site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Serve such a fleet to one test alone."""
    with running(populated(), tmp_path) as one:
        yield one


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Site]:
    """Serve a fleet in which nothing ever happened and nobody works."""
    fleet = Fleet()
    fleet.pids.clear()
    with running(fleet, tmp_path) as one:
        yield one


@pytest.fixture
def visitor(browser: Browser, site: Site) -> Iterator[Visit]:
    """Return a page of ``site``, on which nothing may have gone wrong at the end."""
    with visit(browser, site.address) as one:
        yield one
        assert one.faults == []
