from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from lab import control
from lab.health import get, is_healthy, wait_until
from lab.services.common import OWNER_VARIABLE
from lab.site import API, PROXY, SERVICES, WORKER, Site


def test_every_service_serves(site: Site) -> None:
    """An order comes from the API and through the proxy, and the worker's heartbeat moves."""
    assert [is_healthy(site, service) for service in SERVICES] == [True, True, True]
    assert get(site.proxy_port, "/orders/7") == get(site.api_port, "/orders/7")


def test_the_api_logs_json_lines(site: Site) -> None:
    """Each line of the API's log is a JSON object with stamp, level, service and message."""
    get(site.api_port, "/orders/7")
    lines = [json.loads(line) for line in site.log_file(API).read_text().splitlines()]
    assert all({"ts", "level", "service", "msg"} <= line.keys() for line in lines)
    assert any(line["msg"] == "GET /orders/7 200" for line in lines)


def test_the_worker_logs_as_python_does(site: Site) -> None:
    """A line of the worker's log has the stamp, level and logger of Python's logging."""
    lines = site.log_file(WORKER).read_text().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO shop\.worker stored order \d+", lines[-1])


def test_the_proxy_tells_an_absent_upstream(site: Site) -> None:
    """With the API gone the proxy answers 502 and logs the refused connection."""
    control.stop(site, API)
    assert get(site.proxy_port, "/orders/7")[0] == 502
    log = site.log_file(PROXY).read_text()
    assert "Connection refused" in log
    assert '"GET /orders/7 HTTP/1.1" 502' in log


def test_bad_configuration_is_told_in_one_line(site: Site) -> None:
    """Each service says in its log what is wrong with its configuration and ends with EX_CONFIG."""
    for service in SERVICES:
        site.config_file(service).write_text('{"name": 5}')
        ended = subprocess.run(site.spec(service).argv, capture_output=True, text=True, timeout=20, check=False)
        assert (ended.returncode, ended.stderr.count("\n")) == (78, 1), ended.stderr
        assert "configuration error: invalid configuration in" in ended.stderr


def test_services_end_with_their_owner(site: Site) -> None:
    """A service whose lab is gone without a word ends by itself."""
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    for service in SERVICES:
        control.stop(site, service)
        environment = {**os.environ, OWNER_VARIABLE: gone.stdout.decode().strip()}
        ended = subprocess.run(site.spec(service).argv, env=environment, capture_output=True, timeout=20, check=False)
        assert ended.returncode == 0, ended.stderr


def test_a_hung_service_ends_with_its_owner_too(site: Site) -> None:
    """Even a service that waits for its own lock ends when its lab is gone."""
    control.stop(site, API)
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as owner,
        subprocess.Popen(site.spec(API).argv, env={**os.environ, OWNER_VARIABLE: str(owner.pid)}) as hung,
    ):
        assert wait_until(site, API, healthy=True, timeout_s=15.0)
        with pytest.raises(OSError, match="timed out"):
            get(site.api_port, "/export")
        assert hung.poll() is None
        owner.communicate(b"\n", timeout=10)
        assert hung.wait(timeout=10) == 0
