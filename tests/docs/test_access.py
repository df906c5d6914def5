"""All of Logmend on a broker by TLS, each kind of process as a user of its own, with the access lists of the guide.

What a list lacks stops a process here, and what the table says nobody may, the broker refuses.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import TopicAuthorizationFailedError

from streams.catalogue.wire import wire
from streams.core.errors import InputError
from streams.documents.topics import acls
from streams.ports import Outgoing
from streams.runtime.admin import create_topics
from streams.runtime.kafka import KafkaLog
from streams.runtime.security import client as client_of
from streams.settings import Settings
from tests.certificates import certificate
from tests.docs.guarded import GuardedBroker, grant
from tests.docs.guide import ROOT
from tests.ports import free_port

PROCESSES = ("detect", "decide", "dispatch", "eventlog", "workers", "host", "web", "advise", "notify", "shadow")
WAIT_SECONDS = 90.0
PASSWORD = "correct-horse-battery"


class Guarded(NamedTuple):
    """A broker with access lists, and where its users' things are."""

    home: Path
    port: int
    administrator: Settings

    def settings(self, user: str, **given: Any) -> Settings:
        """Return the settings of a user."""
        return Settings(**{**self.values(user), **given})

    def values(self, user: str) -> dict[str, Any]:
        """Return settings as the guide gives them."""
        return {
            "brokers": f"127.0.0.1:{self.port}",
            "kafka_tls": "true",
            "kafka_ca_file": str(self.home / "ca.pem"),
            "kafka_user": user,
            "kafka_password_file": str(self.home / "password"),
            "data_dir": str(self.home / "data"),
            "source_partitions": "4",
            "host": "guarded",
        }

    def environment(self, user: str) -> dict[str, str]:
        """Return the environment of a user's process."""
        ours = {f"LOGMEND_{name.upper()}": str(value) for name, value in self.values(user).items()}
        return {**os.environ, **ours, "LOGMEND_PROCESS": user, "PYTHONPATH": str(ROOT)}

    def logmend(self, user: str, *words: str) -> str:
        """Run a command as a user and return what it wrote."""
        command = [sys.executable, "-m", "streams.cli", *words]
        done = subprocess.run(
            command, env=self.environment(user), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Run the broker with topics, users and lists as long as the module lasts."""
    home = tmp_path_factory.mktemp("guarded")
    keystore = certificate(home).server
    (home / "password").write_text(f"{PASSWORD}\n")
    (home / "data").mkdir()
    made = Guarded(home, free_port(), Settings(data_dir=home / "broker"))
    broker = GuardedBroker(made.administrator, made.port, keystore, dict.fromkeys(wire().processes, PASSWORD))
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(broker.start())
        loop.run_until_complete(create_topics(made.administrator))
        loop.run_until_complete(grant(broker.address, acls()))
        yield made
        loop.run_until_complete(broker.stop())
    finally:
        broker.kill()
        loop.close()


@contextlib.contextmanager
def running(guarded: Guarded, extra: dict[str, dict[str, str]]) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run every kind of process as its user."""
    (guarded.home / "data" / "run").mkdir(exist_ok=True)
    processes = {}
    try:
        for name in PROCESSES:
            words = [name, *(["--policy", str(guarded.home / "policy.toml")] if name == "shadow" else [])]
            with (guarded.home / f"{name}.log").open("wb") as log:
                processes[name] = subprocess.Popen(
                    [sys.executable, "-m", "streams.cli", *words],
                    env={**guarded.environment(name), **extra.get(name, {})},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
        yield processes
    finally:
        for process in processes.values():
            process.kill()
        for process in processes.values():
            process.wait()


def until(holds: Callable[[], bool], guarded: Guarded, processes: dict[str, subprocess.Popen[bytes]]) -> None:
    """Wait until something holds; no process may end meanwhile."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        for name, process in processes.items():
            assert process.poll() is None, f"{name}: {(guarded.home / f'{name}.log').read_text()[-2000:]}"
        assert time.monotonic() < deadline, {
            name: (guarded.home / f"{name}.log").read_text()[-500:] for name in processes
        }
        time.sleep(0.2)


def test_all_of_logmend_runs_with_the_access_lists_of_the_guide(guarded: Guarded) -> None:
    """A line becomes a decision, a command and an outcome, and every other process is ready."""
    (guarded.home / "policy.toml").write_text("attempts_max = 2\n")
    (guarded.home / "answers.jsonl").write_text("")
    (guarded.home / "lines.log").write_text("ERROR: connection to 10.0.0.7:5432 refused\n")
    (guarded.home / "services.toml").write_text(
        '[[services]]\nname = "lines"\nhost = "guarded"\nmode = "auto"\n'
        'argv = ["/bin/sleep", "1000"]\npid_file = "/tmp/none.pid"\n'
    )
    extra = {
        "web": {"LOGMEND_WEB_PORT": str(free_port())},
        "advise": {
            "LOGMEND_ADVISE_PROVIDER": "recorded",
            "LOGMEND_ADVISE_MODEL": "recorded",
            "LOGMEND_ADVISE_ANSWERS": str(guarded.home / "answers.jsonl"),
            "LOGMEND_ADVISE_PORT": str(free_port()),
        },
        "notify": {"LOGMEND_MAIL_TO": "nobody@localhost", "LOGMEND_SMTP_URL": "smtp://localhost:9"},
    }
    with running(guarded, extra) as processes:
        ready = guarded.home / "data" / "run"
        until(lambda: {path.stem for path in ready.glob("*.json")} >= {*PROCESSES}, guarded, processes)
        guarded.logmend("people", "apply", str(guarded.home / "services.toml"))
        guarded.logmend("producers", "ship", str(guarded.home / "lines.log"))

        def acted() -> bool:
            question = "select count(*) as n from outcomes"
            return bool(json.loads(guarded.logmend("eventlog", "sql", question, "--json"))[0]["n"])

        until(acted, guarded, processes)
        assert "lines" in guarded.logmend("people", "services", "list")
        guarded.logmend("dlq", "dlq", "list", "--counts")
        logs = {name: (guarded.home / f"{name}.log").read_text() for name in processes}
    assert [name for name, text in logs.items() if "Authorization" in text or "authoriz" in text.lower()] == []


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("producers", "logmend.facts"),
        ("producers", "logmend.inbox.people"),
        ("workers", "logmend.inbox.people"),
        ("dispatch", "logmend.decisions"),
        ("web", "logmend.facts"),
    ],
)
async def test_what_no_list_allows_to_be_written_is_refused(guarded: Guarded, user: str, topic: str) -> None:
    """A producer forges no fact, a pool approves nothing, a page decides nothing."""
    async with KafkaLog(guarded.settings(user), connect_seconds=5) as log:
        with pytest.raises(TopicAuthorizationFailedError):
            await log.append([Outgoing(topic, b"x", b"")])


@pytest.mark.parametrize(("user", "topic"), [("workers", "logs"), ("web", "logs"), ("notify", "logmend.dlq")])
async def test_what_no_list_allows_to_be_read_is_not_even_described(guarded: Guarded, user: str, topic: str) -> None:
    """Neither pool nor web sees a topic of lines, nor does notify the dead letters."""
    client = AIOKafkaAdminClient(**client_of(guarded.settings(user)))
    await client.start()
    try:
        (row,) = await client.describe_topics([topic])
    finally:
        await client.close()
    assert row["error_code"] == TopicAuthorizationFailedError.errno


@pytest.mark.parametrize("wrong", ["password", "certificate"])
async def test_who_is_not_taken_in_is_told_what_to_look_at(guarded: Guarded, tmp_path: Path, wrong: str) -> None:
    """A wrong password, and a broker whose certificate nobody vouches for, end in one line."""
    (tmp_path / "password").write_text("wrong")
    certificate(tmp_path)
    given = {"kafka_password_file": tmp_path / "password"} if wrong == "password" else {}
    given |= {"kafka_ca_file": tmp_path / "ca.pem"} if wrong == "certificate" else {}
    log = KafkaLog(guarded.settings("web", **given), connect_seconds=3)
    with pytest.raises(InputError, match="takes us for no client: is it a broker, and are LOGMEND_KAFKA_"):
        await log.start()
