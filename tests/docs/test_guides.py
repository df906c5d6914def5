"""Every command of the guides, run in order in one sandbox, on one embedded broker."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.guide import GUIDES, ROOT, Sandbox, blocks
from tests.ports import free_port

READY_SECONDS = 180.0
STOP_SECONDS = 100.0


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Run what the quick start starts, until the module ends; what a guide left running ends with it."""
    home = tmp_path_factory.mktemp("guides")
    made = Sandbox(home, {"LOGMEND_WEB_PORT": str(free_port()), "LOGMEND_ADVISE_PORT": str(free_port())})
    (block,) = [block for block in blocks("quick-start") if block.words == ("start",)]
    process = made.start(block)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while "ready in" not in (home / "up.log").read_text():
            assert process.poll() is None, (home / "up.log").read_text()
            assert time.monotonic() < deadline, (home / "up.log").read_text()
            time.sleep(0.2)
        yield made
        process.send_signal(signal.SIGINT)
        process.wait(STOP_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for path in home.glob("*.pid"):
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(path.read_text().split()[0]), signal.SIGKILL)


@pytest.mark.broker
@pytest.mark.parametrize("guide", [guide for guide in GUIDES if (ROOT / "docs" / f"{guide}.md").exists()])
def test_every_command_of_a_guide_does_what_it_says(sandbox: Sandbox, guide: str) -> None:
    """Each block ends with the status and says what the guide promises; files that it shows are taken as they stand."""
    for block in blocks(guide):
        if name := block.given("file"):
            (sandbox.home / name).write_text(block.text)
        elif block.language == "sh" and "run" in block.words:
            sandbox.run(block)


def test_a_command_that_fails_is_found(tmp_path: Path) -> None:
    """A block whose command fails in the middle, or whose output lacks what was promised, is no success."""
    (block, *_) = [block for block in blocks("quick-start") if "run" in block.words]
    bare = Sandbox(tmp_path, {"LOGMEND_DATA_DIR": str(tmp_path / "nothing")})
    with pytest.raises(AssertionError, match=r"quick-start\.md:\d+"):
        bare.run(block._replace(text="false\ntrue\n"))
    with pytest.raises(AssertionError, match="quick-start"):
        bare.run(block._replace(text="cat nothing | true\n"))
