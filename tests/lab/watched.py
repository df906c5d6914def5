"""A whole Logmend with a real Prometheus beside it, and something for each part of it to do."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
import yaml
from msgspec.structs import replace

from lab.campaign import HEAL_S
from lab.display import Silent
from lab.run import run_track
from lab.scenarios import mix
from lab.scenarios.troubles import TROUBLES
from lab.scenarios.workshop import Workshop
from lab.session import PROCESSES, Lab, running
from lab.timeline import Story
from streams.ports import Outgoing
from streams.runtime.address import advise_address_file, bootstrap
from streams.runtime.supervisor import Supervisor
from streams.settings import Settings
from streams.workers.clock import now_ms
from tests.notify.serving import posting

ALERTS: Final = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"
MORE: Final = ("host", "web", "notify")
"""Kinds of process that a run of the lab has not."""
LATER: Final = 10
"""Their ports are so much higher."""
KINDS: Final = (*PROCESSES, "advise", *MORE)
SCRAPE_S: Final = 1
POLICY: Final = replace(mix.POLICY, prediction=True)
FAULTS: Final = {"shader_pipeline": "process_crash", "build_pipeline": "bad_start"}
"""One that the first action heals, and one that takes advisors."""
LEAK: Final = (*[40.0] * 4, 60.0, 75.0, 85.0, 95.0)
"""Memory of a service every ten seconds, that crashes ten seconds after the last value."""
LEAKY, STEADY, WAVES = 8, 5, 3
STEP_MS: Final = 10_000
STEP_S: Final = 0.6
"""Real time in which ten seconds of event time are told: what is learnt in a second is limited."""


def free_base() -> int:
    """Return a port after which twenty are free."""
    for base in range(21_000, 60_000, 100):
        try:
            for port in range(base, base + 20):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return base
    raise RuntimeError("no twenty free ports in a row")


class Prometheus:
    """The API of one that runs at a port."""

    def __init__(self, port: int) -> None:
        self._api = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=10.0)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the samples of a query now; ``ValueError`` when Prometheus can't answer it."""
        answer = self._api.get("/query", params={"query": query}).json()
        if answer["status"] != "success":
            raise ValueError(f"{query}: {answer['error']}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules with what came of their last evaluation."""
        groups = self._api.get("/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def close(self) -> None:
        """Let it go."""
        self._api.close()

    def is_ready(self) -> bool:
        """Say whether it answers."""
        try:
            return self._api.get("/status/runtimeinfo").status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def scraping(ports: Mapping[str, int], at: int, directory: Path) -> Iterator[Prometheus]:
    """Run a Prometheus with our alerts, which scrapes each kind of process at its port, until the block ends."""
    config = {
        "global": {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": "5s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [
            {"job_name": kind, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for kind, port in ports.items()
        ],
    }
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    command = ["prometheus", f"--config.file={path}", f"--web.listen-address=127.0.0.1:{at}"]
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--storage.tsdb.path={directory / 'series'}"], stdout=log, stderr=log)
    try:
        found = Prometheus(at)
        deadline = time.monotonic() + 20.0
        while not found.is_ready():
            assert process.poll() is None, (directory / "prometheus.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield found
        found.close()
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def watched(directory: Path) -> AsyncIterator[tuple[Lab, Workshop, Prometheus]]:
    """Run every kind of process on a Kafka of their own, with a workshop to heal and Prometheus beside them."""
    base = free_base()
    settings = mix.advised(
        Settings(
            data_dir=directory,
            host="test-host",
            metrics_port=base,
            advise_usd_in=1.0,
            advise_usd_out=5.0,
            dry_run=False,
            disk_budget_gb=1.0,
        )
    )
    ports = {kind: base + 1 + place for place, kind in enumerate((*PROCESSES, "advise"))}
    ports |= {kind: base + LATER + 1 + place for place, kind in enumerate(MORE)}
    workshop = Workshop()
    display = Silent()
    with scraping(ports, base + 19, directory) as prometheus, posting() as post:
        async with running(settings, display.phase, POLICY, (), invite=workshop.invited) as lab:
            update = {
                "brokers": bootstrap(lab.settings),
                "metrics_port": base + LATER,
                "host_every_ms": 1_000,
                "canary_seconds": 10,
                "mail_to": ("eva@example.org",),
                "smtp_url": f"smtp://localhost:{post.port}",
            }
            async with Supervisor(lab.settings.model_copy(update=update), None, MORE):
                yield lab, workshop, prometheus


async def break_and_heal(lab: Lab, workshop: Workshop) -> list[Story]:
    """Inject the faults, each into a component of its own, and return what became of them."""
    faults = [TROUBLES[kind](workshop.components[name], 1) for name, kind in FAULTS.items()]
    stories = {fault.name: Story(fault=fault.name, service=fault.service) for fault in faults}
    room = asyncio.Semaphore(len(faults))
    async with asyncio.TaskGroup() as group:
        for fault in faults:
            group.create_task(run_track((fault,), lab.watch, stories, room, HEAL_S))
    return list(stories.values())


async def foretell(lab: Lab) -> None:
    """Tell the metrics and the crashes of the last minutes: waves of services that leak, and some that don't."""
    steps = len(LEAK) + 1
    begin_ms = now_ms() - (WAVES * steps + 1) * STEP_MS
    for step in range(WAVES * steps):
        at_ms = begin_ms + step * STEP_MS
        wave, place = divmod(step, steps)
        leaky = [f"leaky-{wave}-{number}" for number in range(LEAKY)]
        calm = [_point(f"steady-{number}", 40.0, at_ms) for number in range(STEADY)]
        if place < len(LEAK):
            await _send(lab, lab.settings.metrics[0], calm + [_point(name, LEAK[place], at_ms) for name in leaky])
        else:
            await _send(lab, lab.settings.metrics[0], calm)
            await _send(lab, lab.settings.logs[0], [_crash(name, at_ms) for name in leaky])
        await asyncio.sleep(STEP_S)


async def _send(lab: Lab, topic: str, records: Sequence[dict[str, Any]]) -> None:
    await lab.log.append([Outgoing(topic, json.dumps(one).encode(), b"") for one in records])


def _point(service: str, value: float, at_ms: int) -> dict[str, Any]:
    return {"ts": at_ms, "service": service, "metric": "memory", "value": value}


def _crash(service: str, at_ms: int) -> dict[str, Any]:
    return {"ts": at_ms, "service": service, "level": "critical", "message": "Segmentation fault (core dumped)"}


async def ask_and_garble(lab: Lab) -> None:
    """Ask the decision service something, and send a record that nobody understands."""
    url = advise_address_file(lab.settings.data_dir).read_text()
    question = {"decision": "risk_assessment", "action": "process.restart"}
    async with httpx.AsyncClient() as client:
        (await client.post(f"{url}/decide", json=question)).raise_for_status()
    await lab.log.append([Outgoing(lab.settings.metrics[0], b"\xff\xfe no metrics", b"")])
