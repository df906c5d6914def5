"""The fenced blocks of the guides: what each is, and how it is run in a sandbox.

The words behind the language say what a block is. ``sh run`` is run (``until=REGEX``: again and again until its output
has that, for three minutes at most); ``sh start`` is run in the background until the module ends; ``file=NAME`` is
written to a file; all other kinds are checked and not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.ports import free_port

ROOT: Final = Path(__file__).parents[2]
GUIDES: Final = (
    "quick-start",
    "analysis",
    "troubleshooting",
    "retention-and-erasure",
    "backup",
    "deployment",
    "upgrade",
)
"""In the order in which they are run: the first one starts what the others use."""

FENCE: Final = re.compile(
    r"^(?P<indent> *)```(?P<words>[^\n`]+)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
PORT: Final = "18099"
"""Where the guides' service listens; here it listens where nobody else does."""
FETCHED: Final = (".cache", ".config", ".m2", ".jgo")
"""Where the jars of the embedded broker are in a home, and how they are fetched."""

UNTIL_SECONDS: Final = 180.0
PAUSE_SECONDS: Final = 0.5
"""Between two runs of a block, and as long as it took at least: what it waits for needs the processor too."""
BLOCK_SECONDS: Final = 600.0


class Block(NamedTuple):
    """One fenced block: language, the words behind it, and what is in it."""

    guide: str
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    def given(self, name: str) -> str:
        """Return the value of ``name=value`` among the words; empty when there is none."""
        return next((word.partition("=")[2] for word in self.words if word.startswith(f"{name}=")), "")


def blocks(guide: str) -> Iterator[Block]:
    """Yield the blocks of a guide, in order."""
    text = (ROOT / "docs" / f"{guide}.md").read_text()
    for found in FENCE.finditer(text):
        language, *words = found["words"].split()
        yield Block(
            guide, text.count("\n", 0, found.start()) + 1, language, tuple(words), textwrap.dedent(found["text"])
        )


class Sandbox:
    """A directory with a shell whose ``logmend`` is that of this tree, and whose home is the directory itself."""

    def __init__(self, home: Path, settings: dict[str, str]) -> None:
        self.home = home
        self._port = str(free_port())
        tools = home / ".tools"
        tools.mkdir()
        for name in (name for name in FETCHED if (Path.home() / name).exists()):
            (home / name).symlink_to(Path.home() / name)
        script = tools / "logmend"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m streams.cli "$@"\n')
        script.chmod(0o755)
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        self._environment = {
            **kept,
            **settings,
            "HOME": str(home),
            "PATH": f"{tools}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
        }

    def run(self, block: Block) -> str:
        """Run a block, again while it is to say something that it doesn't yet; return what it wrote."""
        wanted = block.given("until")
        deadline = time.monotonic() + UNTIL_SECONDS
        while True:
            began = time.monotonic()
            done = self.shell(block.text)
            took = time.monotonic() - began
            where = f"{block.guide}.md:{block.line}"
            assert done.returncode == int(block.given("status") or 0), f"{where}: {done.stdout}{done.stderr}"
            if re.search(wanted, done.stdout, re.DOTALL):
                return done.stdout
            assert time.monotonic() < deadline, f"{where}: never said {wanted}: {done.stdout}{done.stderr}"
            time.sleep(max(PAUSE_SECONDS, took))

    def shell(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run lines as a careful shell would."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text.replace(PORT, self._port)],
            cwd=self.home,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BLOCK_SECONDS,
            check=False,
        )

    def start(self, block: Block) -> subprocess.Popen[str]:
        """Start a block that stays; what it writes goes to ``up.log``."""
        with (self.home / "up.log").open("w") as output:
            return subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", f"exec env {block.text}"],
                cwd=self.home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
