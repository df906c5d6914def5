"""Pages over the real thing: broker, detect, decide, dispatch, pool, event log and web, each a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from streams.runtime.address import web_address_file
from streams.runtime.readiness import NAME_VARIABLE, ready_file
from streams.settings import Settings
from tests.web.browser import Visit, chromium, visit
from tests.workers.kit import end_services, until

pytestmark = pytest.mark.broker
STAGES: Final = ("detect", "decide", "dispatch", "eventlog", "workers", "web")
SERVICES: Final = ("pay", "vault", "till")
CRASH: Final = "worker died with signal 11, core dumped"
POLICY: Final = (
    "attempts_max = 1\nblast_radius_share = 1.0\ncoordination = false\nadvice = false\nexploration_rate = 0.0\n"
)


@contextmanager
def stage(settings: Settings, name: str) -> Iterator[None]:
    """Run one process of Logmend."""
    environment = {**settings.environment(), NAME_VARIABLE: name, "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen([sys.executable, "-m", "streams.cli", name], env={**_paths(), **environment})
    try:
        until(ready_file(settings.data_dir, name).exists, f"{name} is ready")
        yield
    finally:
        process.terminate()
        process.wait(70)


def _paths() -> dict[str, str]:
    return {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}


def logmend(settings: Settings, *arguments: str) -> None:
    """Run a command to its end."""
    environment = {**_paths(), **settings.environment(), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-m", "streams.cli", *arguments], env=environment, check=True, capture_output=True)


def crash(settings: Settings, service: str) -> None:
    """Let a service say that it crashed."""
    file = settings.data_dir / f"{service}.log"
    file.write_text(f"CRITICAL {CRASH}\n")
    logmend(settings, "ship", str(file), "--service", service)


def inventory(root: Path) -> str:
    """Return services whose actions wait for a yes."""
    rows = [
        f'[[services]]\nname = "{name}"\nhost = "test-host"\ntype = "process"\nmode = "approve"\n'
        f'argv = ["/bin/sleep", "3600"]\ncwd = "{root}"\n'
        f'pid_file = "{root / name}.pid"\nlog_file = "{root / name}.out"\n'
        for name in SERVICES
    ]
    return "\n".join(rows)


def test_an_operators_night(broker: Settings, tmp_path: Path) -> None:
    """On a real fleet: heal, approve, deny, resolve, silence, halt, expire; and a killed worker's successor shows."""
    settings = broker.model_copy(update={"dry_run": False, "web_port": 0})
    logmend(settings, "topics", "create")
    (tmp_path / "run").mkdir(exist_ok=True)
    with ExitStack() as running:
        running.callback(end_services, tmp_path)
        for name in STAGES:
            running.enter_context(stage(settings, name))
        for name, text in {"policy": POLICY, "services": inventory(tmp_path)}.items():
            (tmp_path / f"{name}.toml").write_text(text)
            logmend(settings, "apply", str(tmp_path / f"{name}.toml"))
        browser = running.enter_context(chromium())
        address = web_address_file(settings.data_dir).read_text().strip()
        visitor = running.enter_context(visit(browser, address))
        a_killed_workers_successor_shows(visitor)
        a_command_is_approved(visitor, settings)
        the_pool_is_healed(visitor)
        a_command_is_denied_and_its_escalation_resolved(visitor, settings)
        a_silence_is_set_and_lifted(visitor)
        a_halt_is_taken_back(visitor)
        a_command_expires(visitor, settings)
        assert visitor.faults == []


def a_killed_workers_successor_shows(visitor: Visit) -> None:
    """See the new process of a killed worker on the page that is open."""
    page = visitor.page
    visitor.go("/cluster")
    page.evaluate("window.stayed = true")
    cell = page.locator("#worker-test-host-critic_001 [data-label=PID]")
    pid = cell.inner_text()
    os.kill(int(pid), signal.SIGKILL)
    expect(cell).not_to_have_text(pid)
    assert page.evaluate("window.stayed === true")


def the_pool_is_healed(visitor: Visit) -> None:
    """Ask for healing, now that the pool was heard of, and be told what it came to."""
    page = visitor.page
    visitor.go("/cluster")
    page.get_by_role("button", name="Heal").click()
    page.get_by_role("dialog").get_by_role("button", name="Heal").click()
    expect(page.locator("[data-said]")).to_contain_text(re.compile("replaced"))


def answer(page: Page, service: str, word: str) -> None:
    """Answer the command for a service that waits on the open page."""
    card = page.locator("article").filter(has_text=f"for {service}")
    card.get_by_label("Your name").fill("Ada")
    card.get_by_role("button", name=word).click()
    if word == "Approve":
        page.get_by_role("dialog").get_by_role("button", name="Approve").click()


def a_command_is_approved(visitor: Visit, settings: Settings) -> None:
    """Approve a command, and read how it ended."""
    page = visitor.page
    visitor.go("/approvals")
    crash(settings, "pay")
    answer(page, "pay", "Approve")
    expect(page.locator("[data-said]")).to_contain_text("Approved")
    visitor.go("/cluster")
    expect(page.locator("#healings")).to_contain_text("for pay")
    expect(page.locator("#healings")).to_contain_text(re.compile("done|healed"))


def a_command_is_denied_and_its_escalation_resolved(visitor: Visit, settings: Settings) -> None:
    """Deny a command, and resolve the escalation that follows."""
    page = visitor.page
    visitor.go("/approvals")
    crash(settings, "vault")
    answer(page, "vault", "Deny")
    expect(page.locator("[data-said]")).to_contain_text("Denied")
    visitor.go("/")
    page.get_by_role("link", name="vault").first.click()
    page.get_by_label("How").select_option("external")
    page.get_by_label("What was done").fill("another team had it")
    page.get_by_role("button", name="Mark resolved").click()
    expect(page.locator("main")).to_contain_text("Nothing is left to do here")


def a_silence_is_set_and_lifted(visitor: Visit) -> None:
    """Set a silence and lift it."""
    page = visitor.page
    visitor.go("/mutes")
    main = page.locator("main")
    main.get_by_label("Service").fill("pay")
    main.get_by_label("Reason").fill("known")
    main.get_by_role("button", name="Set").click()
    page.locator("#mutes").get_by_role("button", name="Lift").click()
    page.get_by_role("dialog").get_by_role("button", name="Lift").click()
    expect(page.locator("#mutes")).to_contain_text("Nothing is silenced")


def a_halt_is_taken_back(visitor: Visit) -> None:
    """Throw the kill switch and release it."""
    page = visitor.page
    for link, word in (("Halt", "Halt"), ("Resume", "Resume")):
        page.get_by_role("link", name=link).click()
        page.get_by_role("dialog").get_by_label("Reason").fill("a drill")
        page.get_by_role("dialog").get_by_role("button", name=word).click()
        expect(page.locator("[data-said]")).to_contain_text("Halted" if word == "Halt" else "Resumed")


def a_command_expires(visitor: Visit, settings: Settings) -> None:
    """Let a command expire: it leaves the page by itself, and its incident is there to be resolved."""
    page = visitor.page
    file = settings.data_dir / "hasty.toml"
    file.write_text(POLICY + "approval_ttl_ms = 15000\n")
    logmend(settings, "apply", str(file))
    visitor.go("/approvals")
    crash(settings, "till")
    expect(page.locator("article").filter(has_text="for till")).to_have_count(1)
    expect(page.locator("article")).to_have_count(0)
    visitor.go("/")
    expect(page.locator("#escalations")).to_contain_text("till")
