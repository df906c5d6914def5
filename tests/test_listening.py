"""The sockets that the web and the decision service are found at."""

from __future__ import annotations

import socket

import pytest

from streams.core.errors import InputError
from streams.runtime.listening import listen, url_of
from tests.ports import free_port


def test_two_processes_never_get_one_port() -> None:
    """Where none is asked for, the first gets the preferred one, the second another, served already or not."""
    preferred = free_port()
    with listen("web", "127.0.0.1", 0, preferred) as first, listen("web", "127.0.0.1", 0, preferred) as second:
        assert first.getsockname()[1] == preferred
        assert second.getsockname()[1] != preferred


@pytest.mark.parametrize("command", ["web", "advise"])
def test_a_port_that_is_taken_is_named(command: str) -> None:
    """A port that was asked for and is taken ends the start in one line that names the settings."""
    with listen(command, "127.0.0.1", 0, free_port()) as first:
        port = first.getsockname()[1]
        variables = f"LOGMEND_{command.upper()}_HOST, LOGMEND_{command.upper()}_PORT"
        with pytest.raises(InputError, match=rf"^logmend {command} .* 127\.0\.0\.1:{port}: .*set {variables}$"):
            listen(command, "127.0.0.1", port, 1)


def test_answers_go_out_at_once() -> None:
    """The socket names TCP: else asyncio leaves Nagle's algorithm on, and an answer waits for 40 ms."""
    with listen("web", "127.0.0.1", 0, free_port()) as listening:
        assert listening.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(
    ("host", "found"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")],
)
def test_the_url_leads_to_this_machine(host: str, found: str) -> None:
    """What listens at all addresses is found at loopback; IPv6 addresses stand in brackets."""
    with listen("web", host, 0, free_port()) as listening:
        assert url_of(listening) == f"http://{found}:{listening.getsockname()[1]}"
