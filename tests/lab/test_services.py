from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import control, declared, furnish
from lab.health import get, is_healthy, wait_until
from lab.services.common import OWNER_VARIABLE
from lab.site import API, AUTH, CACHE, CART, DB, GATE, MAIL, PROXY, SEARCH, SERVICES, WORKER, Site
from streams.ingest.classifying import Classifier
from streams.ingest.matcher import shipped


def test_every_service_serves(whole: Site) -> None:
    """Each of the ten does its work, as its customers see it."""
    assert [service for service in SERVICES if not is_healthy(whole, service)] == []


def test_the_proxy_hands_the_apis_answers_on(whole: Site) -> None:
    """An order is the same from the API and through the proxy."""
    assert get(whole.ports[PROXY], "/orders/7") == get(whole.ports[API], "/orders/7")


def test_the_api_logs_json_lines(whole: Site) -> None:
    """Each line of the API's log is a JSON object with stamp, level, service and message."""
    get(whole.ports[API], "/orders/7")
    lines = [json.loads(line) for line in whole.log_file(API).read_text().splitlines()]
    assert all({"ts", "level", "service", "msg"} <= line.keys() for line in lines)
    assert any(line["msg"] == "GET /orders/7 200" for line in lines)


def test_the_worker_logs_as_python_does(whole: Site) -> None:
    """A line of the worker's log has the stamp, level and logger of Python's logging."""
    lines = whole.log_file(WORKER).read_text().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO shop\.worker stored order \d+", lines[-1])


@contextmanager
def without_the_api(site: Site) -> Iterator[None]:
    """Stop the API and start it again in the end."""
    control.stop(site, API)
    try:
        yield
    finally:
        control.start(site, API)
        assert wait_until(site, API, healthy=True, timeout_s=60.0)


def test_the_proxy_tells_an_absent_upstream(whole: Site) -> None:
    """With the API gone the proxy answers 502 and logs the refused connection."""
    with without_the_api(whole):
        assert get(whole.ports[PROXY], "/orders/7")[0] == 502
    log = whole.log_file(PROXY).read_text()
    assert "Connection refused" in log
    assert '"GET /orders/7 HTTP/1.1" 502' in log


def test_bad_configuration_is_told_in_one_line(tmp_path: Path) -> None:
    """Each service says in its log what is wrong with its configuration and ends with EX_CONFIG."""
    made = furnish.create(tmp_path, "testhost", [name for name in SERVICES if name != CACHE])
    for service in made.services:
        made.config_file(service).write_text('{"name": 5}')
        argv = furnish.command_line(made, service)
        ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert (ended.returncode, ended.stderr.count("\n")) == (78, 1), ended.stderr
        assert "configuration error: invalid configuration in" in ended.stderr


def test_services_end_with_their_owner(tmp_path: Path) -> None:
    """A service whose lab is gone without a word ends by itself."""
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    environment = {**os.environ, OWNER_VARIABLE: gone.stdout.decode().strip()}
    made = furnish.create(tmp_path, "testhost", [name for name in SERVICES if name != CACHE])
    started = [
        subprocess.Popen(furnish.command_line(made, service), env=environment, stderr=subprocess.DEVNULL)
        for service in made.services
    ]
    assert [process.wait(timeout=60) for process in started] == [0] * len(started)


def test_a_service_that_root_runs_obeys_the_modes_of_files(tmp_path: Path) -> None:
    """A file that nobody may read is not read, whoever runs the service."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0)
    code = f"from lab.services.privilege import obey_file_modes as o; o(); open({str(secret)!r})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "PermissionError" in ended.stderr


@pytest.mark.parametrize(
    ("service", "shape"),
    [
        (DB, r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC \[\d+\] LOG:  connection authorized: user=shop database=shop"),
        (CACHE, r'ts=\S+Z level=info caller=store\.go:61 msg="stored" key="order-\d+"'),
        (
            AUTH,
            r"\S+ \S+  INFO \d+ --- \[https-jsse-nio-exec\] com\.shop\.auth\.\w+ +: opened a session for user customer",
        ),
        (SEARCH, r'I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ query\.go:71\] "Query" .*'),
        (MAIL, r"\S+Z\tINFO\tmail/relay\.go:71\tmessage sent\t\{.*\}"),
        (CART, r"\S+Z info: Shop\.Cart\.Checkout\[0\] Order paid by payments-eu"),
        (GATE, r'127\.0\.0\.1 - - \[\S+ \+0000\] "GET /page\?number=7 HTTP/1\.1" 200 11'),
    ],
)
def test_each_service_logs_in_a_style_of_its_own(whole: Site, service: str, shape: str) -> None:
    """What a service says of its daily work has the shape that a real product's line has, and is no trouble."""
    assert is_healthy(whole, service)
    last = whole.log_file(service).read_text().splitlines()[-1]
    assert re.fullmatch(shape, last), last
    verdict = Classifier(shipped()).classify(last.encode())
    assert (verdict.pattern, verdict.severity) == ("", "info")


def test_a_hung_service_ends_with_its_owner_too(whole: Site) -> None:
    """Even a service that waits for its own lock ends when its lab is gone."""
    with (
        without_the_api(whole),
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as owner,
        subprocess.Popen(declared.spec(whole, API).argv, env={**os.environ, OWNER_VARIABLE: str(owner.pid)}) as hung,
    ):
        assert wait_until(whole, API, healthy=True, timeout_s=60.0)
        with pytest.raises(OSError, match="timed out"):
            get(whole.ports[API], "/export")
        assert hung.poll() is None
        owner.communicate(b"\n", timeout=60)
        assert hung.wait(timeout=60) == 0
