"""Pictures of the pages, wide, narrow and dark, in ``streams/web/screenshots``: ``python -m tests.web.screenshots``."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from streams.web.report_page import page
from tests.analytics.trouble import BEGUN, returning
from tests.web.browser import NARROW, Visit, chromium, visit
from tests.web.fleet import populated
from tests.web.reported import reported
from tests.web.site import Site, running

WHERE: Final = Path(__file__).parents[2] / "streams" / "web" / "screenshots"
BYTES_MAX: Final = 150_000
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "wide": {"viewport": {"width": 1100, "height": 760}},
    "dark": {"viewport": {"width": 1100, "height": 760}, "color_scheme": "dark"},
    "narrow": {"viewport": NARROW},
}
SETTLED_MS: Final = 700
"""Until the first refresh of a page is over."""


def main() -> None:
    """Take every picture; fails when one is too large to lie in the repository."""
    WHERE.mkdir(exist_ok=True)
    _report()
    with (
        tempfile.TemporaryDirectory() as directory,
        running(populated(), Path(directory)) as site,
        chromium() as browser,
    ):
        for look, options in LOOKS.items():
            with visit(browser, site.address, **options) as visitor:
                for name, path in _pages(site).items():
                    visitor.go(path)
                    visitor.page.wait_for_timeout(SETTLED_MS)
                    _take(visitor, f"{name}-{look}")


def _report() -> None:
    """Take pictures of a report, from its file."""
    with tempfile.TemporaryDirectory() as directory:
        found = reported(returning(), Path(directory) / "log", BEGUN + timedelta(hours=10))
        path = Path(directory) / "report.html"
        path.write_text(page(found), "utf-8")
        with chromium() as browser:
            for look, options in LOOKS.items():
                with visit(browser, path.as_uri(), **options) as visitor:
                    visitor.page.goto(path.as_uri())
                    _take(visitor, f"report-{look}")


def _take(visitor: Visit, name: str) -> None:
    picture = WHERE / f"{name}.png"
    visitor.page.screenshot(path=picture)
    if picture.stat().st_size > BYTES_MAX:
        raise SystemExit(f"{picture} has more than {BYTES_MAX} bytes")


def _pages(site: Site) -> dict[str, str]:
    decisions = site.fleet.decisions
    escalated = next(one for one in reversed(decisions) if one.kind == "escalated")
    commanded = next(one for one in decisions if one.kind == "commanded")
    return {
        "now": "/",
        "cluster": "/cluster",
        "escalation": f"/escalation/{escalated.seq}",
        "approvals": "/approvals",
        "why": f"/why/{commanded.id}",
        "forecasts": "/forecasts",
    }


if __name__ == "__main__":
    main()
