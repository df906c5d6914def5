"""What every page must be: whole, accessible, narrow, dark, without JavaScript, and safe from what it shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, expect

from streams.web.shown import visible
from tests.web.browser import NARROW, visit
from tests.web.fleet import HOSTILE
from tests.web.site import Site

LOOKS: Final[dict[str, dict[str, Any]]] = {
    "wide": {},
    "narrow": {"viewport": NARROW, "has_touch": True},
    "dark": {"color_scheme": "dark"},
}
PAGES: Final = (
    "now",
    "cluster",
    "incidents",
    "incident",
    "escalation",
    "approvals",
    "timeline",
    "why",
    "forecasts",
    "mutes",
    "dlq",
    "switch",
    "login",
    "missing",
)


def address(site: Site, page: str) -> str:
    """Return where a page is."""
    decisions = site.fleet.decisions
    escalated = next(one for one in decisions if one.kind == "escalated")
    commanded = next(one for one in decisions if one.kind == "commanded")
    known = {
        "now": "/",
        "incident": f"/incidents/{escalated.incident}",
        "escalation": f"/escalation/{escalated.seq}",
        "why": f"/why/{commanded.id}",
    }
    return known.get(page, f"/{page}")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole_and_accessible(browser: Browser, seen: Site, page: str) -> None:
    """Wide, narrow and dark, a page has one heading, nothing that axe finds wrong, and asks for nothing of others."""
    for look, options in LOOKS.items():
        with visit(browser, seen.address, **options) as visitor:
            status = visitor.go(address(seen, page))
            assert status == (404 if page == "missing" else 200), look
            expect(visitor.page.locator("h1:visible")).to_have_count(1)
            assert visitor.problems() == [], look
            assert [one for one in visitor.faults if page != "missing" or "404" not in one] == [], look


@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_a_phone(browser: Browser, seen: Site, page: str) -> None:
    """At 360 pixels nothing makes a page wider than the screen."""
    with visit(browser, seen.address, **LOOKS["narrow"]) as visitor:
        visitor.go(address(seen, page))
        assert visitor.too_wide() == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_needs_no_javascript(browser: Browser, seen: Site, page: str) -> None:
    """What a page says with JavaScript it says without."""
    with visit(browser, seen.address) as visitor:
        visitor.go(address(seen, page))
        told = visitor.page.locator("main h1, main h2").all_inner_texts()
    with visit(browser, seen.address, java_script_enabled=False) as visitor:
        visitor.go(address(seen, page))
        assert visitor.page.locator("main h1, main h2").all_inner_texts() == told


def test_nothing_of_a_page_is_inline(browser: Browser, seen: Site) -> None:
    """No page has a script, a style or a handler in itself: the policy of the web allows none."""
    with visit(browser, seen.address) as visitor:
        for page in PAGES:
            visitor.go(address(seen, page))
            inline = "script:not([src]), style, [style], [onclick], [onload], [onerror], iframe, object, base"
            expect(visitor.page.locator(inline)).to_have_count(0)


def test_hostile_lines_stay_text(browser: Browser, seen: Site) -> None:
    """Markup, scripts, template code and turned-around text in log lines are shown as the characters that they are."""
    opened = [one for one in seen.fleet.decisions if one.pattern == "out_of_memory" and one.kind == "incident_opened"]
    shown: list[str] = []
    with visit(browser, seen.address) as visitor:
        for decision in opened:
            visitor.go(f"/incidents/{decision.incident}")
            shown += visitor.page.locator(".log pre").all_text_contents()
            assert visitor.page.title().endswith("Logmend")
            expect(
                visitor.page.locator("main script, main iframe, main img, main svg[onload], main meta")
            ).to_have_count(0)
        visitor.go("/dlq")
        buried = visitor.page.locator("main pre").all_inner_texts()
        assert visitor.faults == []
    joined = "\n".join(shown)
    assert [text for text in HOSTILE if visible(text) not in joined] == []
    assert sum(HOSTILE[0] in text for text in buried) == 1


def test_a_name_in_the_address_is_text(browser: Browser, seen: Site) -> None:
    """What stands in an address comes back as text, in a message as in a field."""
    with visit(browser, seen.address) as visitor:
        visitor.go("/timeline?service=%22%3E%3Cscript%3Edocument.title%3D1%3C%2Fscript%3E&said=%3Cb%3E")
        expect(visitor.page.get_by_label("Service")).to_have_value('"><script>document.title=1</script>')
        expect(visitor.page.locator("[data-said]")).to_have_count(0)
        visitor.go("/why/%3Cimg%20src%3Dx%3E")
        expect(visitor.page.locator("main img")).to_have_count(0)


def test_the_worst_stands_first(browser: Browser, seen: Site) -> None:
    """Pending escalations are listed by severity, with what is known of each, and lead to their page."""
    with visit(browser, seen.address) as visitor:
        visitor.go("/")
        rows = visitor.page.locator("#escalations .item")
        assert rows.evaluate_all("all => all.map((one) => one.dataset.severity)") == ["fatal", "error"]
        rows.first.get_by_role("link").click()
        expect(visitor.page.get_by_role("heading", level=1)).to_contain_text("search")
        expect(visitor.page.get_by_role("heading", name="Resolve")).to_be_visible()


def test_each_vote_can_be_read(browser: Browser, seen: Site) -> None:
    """An escalation shows what each advisor said in which phase, how sure it was, and who abstained and why."""
    with visit(browser, seen.address) as visitor:
        visitor.go("/")
        visitor.page.get_by_role("link", name="search on h1: process_crash").first.click()
        votes = visitor.page.get_by_role("region", name="Votes").locator("tbody tr")
        expect(votes.first).to_contain_text("proven fix")
        expect(votes.first).to_contain_text("80 %")
        expect(votes.last).to_contain_text("abstained")
        expect(votes.last).to_contain_text("timed out")
        expect(visitor.page.locator("#analysis")).to_contain_text("Recommended")


def test_an_explanation_is_whole(browser: Browser, seen: Site) -> None:
    """From a command a page leads to the line, the rules' hash, each option with its score, the gates, and the end."""
    with visit(browser, seen.address) as visitor:
        visitor.go(address(seen, "why"))
        main = visitor.page.locator("main")
        for text in (
            "shop broke: process_crash",
            "rules rrrrrrrrrrrr",
            "chosen",
            "gates passed",
            "done ok",
            "verified",
        ):
            expect(main).to_contain_text(text)
        expect(visitor.page.get_by_role("heading", name="What was not done")).to_be_visible()


def test_a_forecast_has_its_picture_in_words(browser: Browser, seen: Site) -> None:
    """A forecast is drawn with its past and its interval, and told in a sentence."""
    with visit(browser, seen.address) as visitor:
        visitor.go("/forecasts")
        card = visitor.page.locator("#forecast-store-disk")
        expect(card.locator("polyline.past, polyline.ahead, polygon.between")).to_have_count(3)
        expect(card).to_contain_text(re.compile(r"% now, expected [\d.]+ in .* \([\d.]+ to [\d.]+\)"))


def test_everything_can_be_reached_by_keyboard(browser: Browser, seen: Site) -> None:
    """The first Tab leads to the content, g and a letter to a page, j to an entry, ? to the list of keys."""
    with visit(browser, seen.address) as visitor:
        visitor.go("/")
        keys = visitor.page.keyboard
        keys.press("Tab")
        expect(visitor.page.get_by_role("link", name="Skip to content")).to_be_focused()
        keys.press("Enter")
        keys.press("j")
        expect(visitor.page.locator("#escalations a").first).to_be_focused()
        keys.press("Enter")
        visitor.page.wait_for_url("**/escalation/*")
        keys.press("g")
        keys.press("c")
        visitor.page.wait_for_url("**/cluster")
        keys.press("?")
        expect(visitor.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
        assert visitor.problems() == []


def test_keys_can_be_switched_off(browser: Browser, seen: Site) -> None:
    """Who turns single keys off, on any page, is not moved by them any more."""
    with visit(browser, seen.address) as visitor:
        visitor.go("/")
        visitor.page.get_by_role("link", name="Keyboard shortcuts").click()
        visitor.page.get_by_label("Keys without Ctrl or Alt").uncheck()
        visitor.page.get_by_role("button", name="Close").click()
        visitor.page.keyboard.press("?")
        expect(visitor.page.get_by_role("dialog")).to_have_count(0)


def test_focus_can_be_seen(browser: Browser, seen: Site) -> None:
    """Whatever the keyboard is at has an outline."""
    with visit(browser, seen.address) as visitor:
        visitor.go("/cluster")
        for _ in range(14):
            visitor.page.keyboard.press("Tab")
            width = visitor.page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
            assert width == "2px"


def test_an_empty_fleet_says_what_to_do(browser: Browser, empty: Site) -> None:
    """Where nothing happened yet, each page says so in words, and what would fill it."""
    said = {
        "/": "Nothing is escalated",
        "/cluster": "No worker has sent a heartbeat yet",
        "/incidents": "No incident is open",
        "/approvals": "No command waits",
        "/timeline": "No decision is in the event log yet",
        "/forecasts": "No metric is forecast",
        "/mutes": "Nothing is silenced",
        "/dlq": "No dead letters",
    }
    with visit(browser, empty.address) as visitor:
        for path, text in said.items():
            visitor.go(path)
            expect(visitor.page.locator("main")).to_contain_text(text)
            assert visitor.problems() == []
        assert visitor.faults == []


def test_who_is_not_signed_in_comes_back_to_the_page(browser: Browser, site: Site, tmp_path: Path) -> None:
    """A deep link leads over signing in to the page that it names; a wrong token is said to be wrong."""
    token = site.token("viewer", "Vera")
    with visit(browser, site.address) as visitor:
        visitor.go("/timeline?severity=critical")
        visitor.page.get_by_label("Token").fill("lm_wrong")
        visitor.page.get_by_role("button", name="Sign in").click()
        expect(visitor.page.get_by_role("alert")).to_contain_text("unknown or revoked")
        visitor.go("/timeline?severity=critical")
        visitor.page.get_by_label("Token").fill(token)
        visitor.page.get_by_role("button", name="Sign in").click()
        visitor.page.wait_for_url("**/timeline?severity=critical")
        visitor.page.get_by_role("button", name="Sign out").click()
        visitor.page.wait_for_url("**/login")


def test_a_viewer_sees_and_can_do_nothing(browser: Browser, site: Site) -> None:
    """With the role viewer no page has a form that changes anything, and says which role it would take."""
    token = site.token("viewer", "Vera")
    with visit(browser, site.address) as visitor:
        visitor.go("/")
        visitor.page.get_by_label("Token").fill(token)
        visitor.page.get_by_role("button", name="Sign in").click()
        for page in ("now", "cluster", "incident", "escalation", "approvals", "mutes", "switch"):
            visitor.go(address(site, page))
            posting = visitor.page.locator("form[method=post]:not([action='/logout']) button:not([disabled])")
            expect(posting).to_have_count(0)
        visitor.go("/approvals")
        expect(visitor.page.locator("main")).to_contain_text("This needs the role approver; you have viewer.")
