"""The report's page in a real browser: whole, accessible, wide and narrow, light and dark, alone, and safe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser

from analytics.report.told import Cause, Named, Precursor, Report
from streams.web.plots import HEIGHT, columns, steps
from streams.web.report_page import page
from tests.analytics.history import History
from tests.analytics.trouble import BEGUN, returning, troubled
from tests.web.browser import Visit, visit
from tests.web.fleet import HOSTILE
from tests.web.reported import reported

END: Final = BEGUN + timedelta(hours=10)
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "wide": {},
    "narrow": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
    "dark": {"color_scheme": "dark"},
    "narrow and dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """Return reports of a log with all kinds of trouble, of one with what comes again, and of none."""
    made = {"troubled": troubled(), "returning": returning(), "nothing": History()}
    found = {name: reported(history, tmp_path_factory.mktemp(name), END) for name, history in made.items()}
    return {**found, "hostile": hostile(found["troubled"])}


def hostile(base: Report) -> Report:
    """Return a report in which every name is one that would rather be markup."""
    names = tuple(Named(name=text, count=len(HOSTILE) - place, share=0.1) for place, text in enumerate(HOSTILE))
    causes = tuple(
        Cause(
            service=text,
            pattern=text * 3,
            incidents=2,
            recurred=1,
            openings=2,
            before=(Precursor(what=text, seen=2, expected=0.1, chance=1e-6),),
        )
        for text in HOSTILE
    )
    strategies = tuple(replace(base.strategies[0], strategy=text) for text in HOSTILE)
    return replace(
        base, categories=names, category_lines=names, services=names, escalations=names, phases=names,
        repair_times=names, strategies=strategies, causes=causes,
    )  # fmt: skip


@pytest.fixture
def opened(browser: Browser, reports: dict[str, Report], tmp_path: Path) -> Iterator[Any]:
    """Return what opens a report from its file, in a look."""
    with ExitStack() as stack:

        def go(name: str, look: str) -> Visit:
            path = tmp_path / f"{name}.html"
            path.write_text(page(reports[name]), "utf-8")
            visitor = stack.enter_context(visit(browser, path.as_uri(), **LOOKS[look]))
            visitor.page.goto(path.as_uri())
            return visitor

        yield go


@pytest.mark.parametrize("name", ["troubled", "returning", "nothing", "hostile"])
@pytest.mark.parametrize("look", LOOKS)
def test_a_report_is_whole_accessible_and_alone(opened: Any, name: str, look: str) -> None:
    """With all its details open it fits the window, axe finds nothing, nothing is logged, and nothing is asked for."""
    visitor = opened(name, look)
    visitor.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert visitor.page.locator("h1").count() == 1
    assert visitor.too_wide() == []
    assert visitor.problems() == []
    assert visitor.faults == []
    assert visitor.page.title() == "What the log teaches · Logmend"
    asked = visitor.page.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
    assert [one for one in asked if not one.startswith("data:")] == []


def test_every_picture_has_its_numbers(opened: Any, reports: dict[str, Report]) -> None:
    """Each picture that says something has a name, and what it shows is in a table of the page."""
    visitor = opened("troubled", "wide")
    pictures = visitor.page.locator("svg[role=img]")
    assert pictures.count() == 3
    for place in range(pictures.count()):
        assert "table" in (pictures.nth(place).get_attribute("aria-label") or "")
    visitor.page.get_by_text("Numbers over time", exact=True).click()
    rows = visitor.page.locator("[aria-label='Numbers over time'] tbody tr").all_inner_texts()
    assert len(rows) == len(reports["troubled"].over_time)
    cells = [[int(cell) for cell in row.split("\t")[1:]] for row in rows]
    assert [sum(column) for column in zip(*cells, strict=True)][:3] == [1, 5, 2]


def test_text_of_others_is_text(reports: dict[str, Report]) -> None:
    """Whatever services are called, the page has no other elements than with harmless names, and shows those names."""
    tags = re.findall(r"<[a-z!/][^\s>]*", page(reports["hostile"]))
    assert set(tags) <= set(re.findall(r"<[a-z!/][^\s>]*", page(reports["returning"]) + page(reports["troubled"])))
    assert "&lt;script&gt;" in page(reports["hostile"])
    assert "\u202e" not in page(reports["hostile"])


def test_columns_are_stacked_to_the_highest() -> None:
    """Parts stand on one another from the bottom; the highest column fills the picture; nothing is drawn for 0."""
    drawn = columns([(1, 0), (2, 2), (0, 0)], ("good", "bad"))
    assert (drawn.width, drawn.top, len(drawn.bars)) == (3, 4, 3)
    low, mid, top = ((float(bar.y), float(bar.height), bar.tone) for bar in drawn.bars)
    assert low == (75.0, 25.0, "good")
    assert mid == (50.0, 50.0, "good")
    assert top == (0.0, 50.0, "bad")
    assert all(float(bar.y) + float(bar.height) <= HEIGHT for bar in drawn.bars)


def test_steps_keep_their_height() -> None:
    """A line through steps is level over each unit; without any it is empty."""
    assert steps([0, 2]).points == "0,100.00 1,100.00 1,0.00 2,0.00"
    assert (steps([]).points, steps([]).width, columns([], ()).bars) == ("", 1, ())
