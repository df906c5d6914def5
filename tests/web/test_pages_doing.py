"""What people can do on pages, and what pages do by themselves while somebody looks."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, expect

from streams.core.events import Decision
from tests.web.browser import Visit, visit
from tests.web.site import Site


def decided(site: Site, kind: str) -> list[Decision]:
    """Return the decisions of a kind."""
    return site.do(lambda: [one for one in site.fleet.decisions if one.kind == kind])


def stays(visitor: Visit) -> None:
    """Mark the page: a page that is loaded anew has lost the mark."""
    visitor.page.evaluate("window.stayed = true")


def stayed(visitor: Visit) -> bool:
    """Tell whether the page is still the one that was marked."""
    return bool(visitor.page.evaluate("window.stayed === true"))


def test_a_command_is_approved_after_a_second_look(site: Site, visitor: Visit) -> None:
    """Approving asks once more, sends the very command that was shown, and records who did it and why."""
    visitor.go("/approvals")
    card = visitor.page.locator("article").filter(has_text="for pay")
    card.get_by_label("Reason").fill("the shop is down")
    card.get_by_label("Your name").fill("Ada")
    card.get_by_role("button", name="Approve").click()
    visitor.page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    expect(visitor.page.locator("[data-said]")).to_contain_text("Approved")
    expect(visitor.page.locator("article")).to_have_count(1)
    sent = next(one for one in site.do(lambda: list(site.fleet.commands)) if one.service == "pay")
    assert sent.approved_by == "Ada"


def test_a_second_look_can_end_in_no(site: Site, visitor: Visit) -> None:
    """Who is asked whether it is meant, and says no, has done nothing."""
    visitor.go("/approvals")
    card = visitor.page.locator("article").first
    card.get_by_label("Your name").fill("Ada")
    card.get_by_role("button", name="Approve").click()
    visitor.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(visitor.page.get_by_role("dialog")).to_have_count(0)
    expect(visitor.page.locator("article")).to_have_count(2)
    assert not [one for one in site.do(lambda: list(site.fleet.commands)) if one.service == "pay"]


def test_a_command_is_denied(site: Site, visitor: Visit) -> None:
    """What is denied is not sent, and its incident goes to a person."""
    visitor.go("/approvals")
    card = visitor.page.locator("article").filter(has_text="for vault")
    card.get_by_label("Your name").fill("Ada")
    card.get_by_role("button", name="Deny").click()
    expect(visitor.page.locator("[data-said]")).to_contain_text("Denied")
    expect(visitor.page.locator("article")).to_have_count(1)
    assert [one.service for one in decided(site, "approval_denied")] == ["vault"]


def test_a_halt_shows_everywhere_and_is_taken_back(site: Site, visitor: Visit) -> None:
    """The kill switch is thrown with a reason, a banner says so on each page, and it is released the same way."""
    visitor.go("/timeline")
    visitor.page.get_by_role("link", name="Halt").click()
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("freeze <b>now</b>")
    dialog.get_by_label("Your name").fill("Ada")
    assert visitor.problems() == []
    dialog.get_by_role("button", name="Halt").click()
    banner = visitor.page.locator("#banners")
    expect(banner).to_contain_text("by Ada: freeze <b>now</b>")
    visitor.go("/cluster")
    expect(banner).to_contain_text("nothing is acted on")
    assert visitor.problems() == []
    visitor.page.get_by_role("link", name="Resume").click()
    dialog.get_by_label("Reason").fill("over")
    dialog.get_by_role("button", name="Resume").click()
    expect(visitor.page.locator("[data-said]")).to_contain_text("Resumed")
    expect(banner).to_be_empty()
    assert len(decided(site, "resumed")) == 1


def test_an_escalation_is_taken_on_and_resolved(site: Site, visitor: Visit) -> None:
    """Somebody acknowledges it, has it assigned, writes a note, and resolves it by an action, which is recorded."""
    escalated = decided(site, "escalated")[0]
    visitor.go(f"/escalation/{escalated.seq}")
    page = visitor.page
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator("[data-said]")).to_contain_text("Acknowledged")
    page.get_by_label("Assign to").fill("Grace")
    page.get_by_role("button", name="Assign").click()
    expect(page.locator("#state")).to_contain_text("Grace has it")
    page.get_by_label("Note", exact=True).fill("looked at the disk")
    page.get_by_role("button", name="Add note").click()
    expect(page.locator("[data-said]")).to_contain_text("Noted")
    page.get_by_label("How").select_option("process.restart")
    page.get_by_label("What was done").fill("restarted it by hand")
    page.get_by_role("button", name="Mark resolved").click()
    expect(page.locator("main")).to_contain_text("Nothing is left to do here")
    assert [one.reason for one in decided(site, "escalation_resolved")] == ["process.restart"]
    site.archive()
    visitor.go(f"/escalation/{escalated.seq}")
    expect(page.locator("#notes")).to_contain_text("looked at the disk")


def test_a_silence_is_set_and_lifted(site: Site, visitor: Visit) -> None:
    """A silence for all services that begin so shows with who set it and when it ends, and can be lifted."""
    visitor.go("/mutes")
    page = visitor.page.locator("main")
    page.get_by_label("Service").fill("shop*")
    page.get_by_label("Lasts minutes").fill("30")
    page.get_by_label("Reason").fill("new release")
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("button", name="Set", exact=True).click()
    row = page.locator("#mutes .item")
    expect(row).to_contain_text("shop*")
    expect(row).to_contain_text("set by Ada")
    expect(row).to_contain_text(re.compile(r"ends in (29|30):\d\d min"))
    assert visitor.problems() == []
    row.get_by_role("button", name="Lift").click()
    visitor.page.get_by_role("dialog").get_by_role("button", name="Lift").click()
    expect(page.locator("#mutes")).to_contain_text("Nothing is silenced")
    assert len(decided(site, "mute_lifted")) == 1


def test_the_pool_is_healed(site: Site, visitor: Visit) -> None:
    """Heal replaces the workers that are dead, and the table shows the new process."""
    site.do(lambda: site.fleet.dead.add(("h1", "executor")))
    visitor.go("/cluster")
    visitor.page.get_by_role("button", name="Heal").click()
    visitor.page.get_by_role("dialog").get_by_role("button", name="Heal").click()
    expect(visitor.page.locator("[data-said]")).to_contain_text("were replaced")
    expect(visitor.page.locator("#worker-h1-executor_001 [data-label=PID]")).to_have_text("5004")


def test_a_new_process_shows_without_a_reload(site: Site, visitor: Visit) -> None:
    """A worker's new PID appears on the page that is open, and nothing of the page jumps."""
    visitor.go("/cluster")
    stays(visitor)
    visitor.page.evaluate("""() => {
      window.jumped = 0;
      new PerformanceObserver((list) => list.getEntries().forEach((one) => (window.jumped += one.value)))
        .observe({type: "layout-shift"});
    }""")
    cell = visitor.page.locator("#worker-h1-critic_001 [data-label=PID]")
    expect(cell).to_have_text("4002")
    site.do(lambda: site.fleet.pids.update({("h1", "critic"): 4_777}))
    expect(cell).to_have_text("4777")
    assert stayed(visitor)
    assert visitor.page.evaluate("window.jumped") < 0.01


def test_what_somebody_writes_stays_while_the_page_follows(site: Site, visitor: Visit) -> None:
    """A half-written reason, its focus and the open details outlive that other things on the page change."""
    visitor.go("/approvals")
    stays(visitor)
    reason = visitor.page.locator("article").filter(has_text="for vault").get_by_label("Reason")
    reason.fill("because I lo")
    site.do(lambda: site.fleet.see("pay", "out_of_memory"))
    site.do(site.fleet.halt)
    expect(visitor.page.locator("#banners")).to_contain_text("Halted")
    visitor.page.keyboard.type("oked")
    expect(reason).to_have_value("because I looked")
    assert stayed(visitor)


def test_a_new_escalation_shows_on_the_open_page(site: Site, visitor: Visit) -> None:
    """Who looks at the first page sees what is escalated meanwhile, in its place, and in the title of the menu."""
    visitor.go("/")
    stays(visitor)
    expect(visitor.page.locator("#escalations li")).to_have_count(2)
    site.do(lambda: site.fleet.fail("shop", severity="critical"))
    expect(visitor.page.locator("#escalations li")).to_have_count(3)
    rows = visitor.page.locator("#escalations .item")
    severities = rows.evaluate_all("all => all.map((one) => one.dataset.severity)")
    assert severities == ["fatal", "critical", "error"]
    expect(visitor.page.locator("#tabs a[href='/'] .count")).to_have_text("3")
    assert stayed(visitor)


def test_what_expires_goes(site: Site, visitor: Visit) -> None:
    """A command that nobody answers in time leaves the page by itself, and can't be approved any more."""
    visitor.go("/approvals")
    expect(visitor.page.locator("article")).to_have_count(2)
    site.do(lambda: site.fleet.pass_by(16))
    expect(visitor.page.locator("article")).to_have_count(0)
    assert {one.service for one in decided(site, "approval_denied")} == {"pay", "vault"}


def test_a_form_that_came_too_late_says_so(browser: Browser, site: Site, visitor: Visit) -> None:
    """Who approves what was answered meanwhile is told so, and led back."""
    with visit(browser, site.address, java_script_enabled=False) as other:
        other.go("/approvals")
        visitor.go("/approvals")
        for one, word in ((visitor, "Deny"), (other, "Approve")):
            card = one.page.locator("article").filter(has_text="for pay")
            card.get_by_label("Your name").fill("Ada")
            card.get_by_role("button", name=word).click()
            one.page.wait_for_load_state()
        expect(other.page.locator("main")).to_contain_text("This was answered")
        other.page.get_by_role("link", name="Back").click()
        expect(other.page.locator("article")).to_have_count(1)


def test_a_page_says_that_it_is_not_live(browser: Browser, site: Site) -> None:
    """When the web is gone, the open page says that what it shows is not live any more."""
    with visit(browser, site.address) as visitor:
        visitor.go("/")
        expect(visitor.page.locator("#link-state")).to_have_text("Live")
        site.stop()
        expect(visitor.page.locator("#link-state")).to_have_text("Not live")


def test_an_id_is_copied(browser: Browser, site: Site) -> None:
    """The button beside an id puts it on the clipboard."""
    escalated = decided(site, "escalated")[0]
    with visit(browser, site.address, permissions=["clipboard-read", "clipboard-write"]) as visitor:
        visitor.go(f"/escalation/{escalated.seq}")
        visitor.page.get_by_role("button", name=f"Copy {escalated.id}").first.click()
        expect(visitor.page.locator("#toast")).to_contain_text("Copied")
        assert visitor.page.evaluate("navigator.clipboard.readText()") == escalated.id


def test_times_are_relative_and_absolute(site: Site, visitor: Visit) -> None:
    """A time on a page says how long ago it was, goes on, and has the moment in UTC as its title."""
    visitor.go("/incidents")
    time = visitor.page.locator("#open-incidents time").first
    expect(time).to_have_text(re.compile(r"^(just now|\d+ (s|min|h) ago)$"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", time.get_attribute("title") or "")
    told = time.inner_text()
    expect(time).not_to_have_text(told)
