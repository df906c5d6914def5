"""Pictures of the pages, wide, narrow and dark, in ``streams/web/screenshots``: ``python -m tests.web.screenshots``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

from tests.web.browser import NARROW, chromium, visit
from tests.web.fleet import populated
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
    with (
        tempfile.TemporaryDirectory() as directory,
        running(populated(), Path(directory)) as site,
        chromium() as browser,
    ):
        for look, options in LOOKS.items():
            with visit(browser, site.address, **options) as visitor:
                for page, path in _pages(site).items():
                    visitor.go(path)
                    visitor.page.wait_for_timeout(SETTLED_MS)
                    picture = WHERE / f"{page}-{look}.png"
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
