"""How `logmend up` stops: what the pool has begun may end, a person is told of the wait, and may cut it short."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from streams.catalogue.actions import actions
from streams.codec import encode
from streams.core.events import OutcomeReported
from streams.ports import Outgoing
from streams.runtime import children, supervisor
from streams.runtime.kafka import KafkaLog
from streams.runtime.supervisor import STOP_POOL_S, Supervisor
from streams.settings import Settings
from streams.workers.crew import OVERTIME_SECONDS, Timing
from streams.workers.pool import TELL_SECONDS
from tests.workers.facts import Facts, inventory
from tests.workers.kit import command, http_spec, target, until
from tests.workers.test_on_kafka import inbox

DEAF = """
    import signal, sys, time
    from pathlib import Path
    from streams.runtime.readiness import ready

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready(Path(sys.argv[1]))
    time.sleep(600)
"""
UP = """
    import asyncio, sys
    from streams.runtime import children
    from streams.runtime.supervisor import run
    from streams.settings import Settings

    children._command = lambda role: [sys.executable, "-c", sys.argv[3], sys.argv[1]]
    settings = Settings(data_dir=sys.argv[1], brokers=sys.argv[2], fleet=sys.argv[4])
    asyncio.run(run(settings, lambda line: print(line, flush=True), roles=("workers",)))
"""


@pytest.mark.broker
async def test_a_stop_lets_the_pool_finish_what_it_began(broker: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that takes longer than other processes get to end is made once, and its outcome told before the stop."""
    monkeypatch.setattr(supervisor, "STOP_S", 0.5)
    settings = broker.model_copy(update={"dry_run": False})
    with target() as (port, seen):
        spec = http_spec(port, host=settings.host)
        running = Supervisor(settings, roles=("workers",))
        await running.start()
        async with KafkaLog(settings) as log:
            await Facts(log, settings).say(inventory(spec))
            asked = command(spec, "http.call", arguments={"call": "slow"})
            await log.append([Outgoing(settings.topics.commands, encode(asked), settings.host.encode())])
            await asyncio.to_thread(until, lambda: seen, "the call, which takes 3 s")
            await running.stop()
            told = [event for event in await inbox(log, settings) if isinstance(event, OutcomeReported)]
    assert [(one.command_id, one.status, one.ok) for one in told] == [(asked.id, "done", True)]
    assert len(seen) == 1


def test_the_pool_gets_the_time_of_the_longest_action() -> None:
    """A stop waits for the catalogue's longest action, or for a leave, and until the pool has told of it."""
    longest = max(action.timeout_ms for action in actions().values()) / 1000 + OVERTIME_SECONDS
    assert max(longest, Timing().leave_seconds) + TELL_SECONDS < STOP_POOL_S


async def test_a_stop_is_bounded_and_says_whom_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that never ends is named to the user, and killed when its time is over."""
    monkeypatch.setattr(supervisor, "STOP_POOL_S", 3.0)
    monkeypatch.setattr(children, "_command", lambda _: [sys.executable, "-c", textwrap.dedent(DEAF), str(tmp_path)])
    said: list[str] = []
    (tmp_path / "run").mkdir()
    running = Supervisor(Settings(data_dir=tmp_path, brokers="127.0.0.1:1"), said.append, roles=("workers",))
    running._start_children()
    await running._until_ready()
    pid = running.states[0].pid
    await running.stop()
    assert not psutil.pid_exists(pid)
    assert [line for line in said if re.search(r"waiting up to \d+ s for workers", line)]


@pytest.fixture
def deaf_up(broker: Settings, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a supervisor in a process of its own, whose pool does not heed a stop."""
    given = [str(tmp_path), broker.brokers, textwrap.dedent(DEAF), broker.fleet]
    command = [sys.executable, "-c", textwrap.dedent(UP), *given]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.broker
def test_a_second_ctrl_c_ends_it_at_once(deaf_up: subprocess.Popen[str]) -> None:
    """Interrupted again while it waits for the pool, it kills what is left and ends."""
    assert deaf_up.stdout is not None
    said = iter(deaf_up.stdout)
    next(line for line in said if line.startswith("ready in"))
    (pool,) = psutil.Process(deaf_up.pid).children()
    deaf_up.send_signal(signal.SIGINT)
    next(line for line in said if line.startswith("waiting up to"))
    assert pool.is_running()
    deaf_up.send_signal(signal.SIGINT)
    assert deaf_up.wait(STOP_POOL_S / 2) == 0
    assert not pool.is_running()
