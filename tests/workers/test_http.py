"""HTTP actions against a real server, carried out by a real worker."""

from __future__ import annotations

import socket

import pytest

from streams.workers.orders import may_repeat
from tests.workers.kit import Executor, command, http_spec, target


def test_a_call_carries_its_command_as_idempotency_key(executor: Executor) -> None:
    """A declared call is made once, with the command's id and the body."""
    with target() as (port, seen):
        arguments = {"call": "restart", "body": '{"hard": true}'}
        ended = executor.run(command(http_spec(port), "http.call", seq=5, arguments=arguments))
    assert (ended.status, ended.result.ok, ended.result.code, ended.result.effect) == ("done", True, "200", "once")
    assert seen == ['POST /restart 1-5-0 {"hard": true}']


def test_a_call_that_fails_says_its_status(executor: Executor) -> None:
    """An answer of 500 is a failed action with that code."""
    with target() as (port, _):
        ended = executor.run(command(http_spec(port), "http.call", arguments={"call": "fail"}))
    assert (ended.status, ended.result.ok, ended.result.code) == ("done", False, "500")


def test_a_redirect_is_not_followed(executor: Executor) -> None:
    """A redirect is an answer, not another request."""
    with target() as (port, seen):
        spec = http_spec(port, calls={"go": "POST /moved"})
        ended = executor.run(command(spec, "http.call", arguments={"call": "go"}))
    assert (ended.result.ok, ended.result.code, len(seen)) == (False, "302", 1)


def test_a_call_without_an_answer_is_in_doubt(executor: Executor) -> None:
    """A call that changes something and got no answer in time may have been done: in doubt."""
    with target() as (port, seen):
        ended = executor.run(command(http_spec(port), "http.call", timeout_ms=600, arguments={"call": "slow"}))
        assert (ended.status, ended.result.code, ended.result.effect) == ("in_doubt", "timed_out", "unknown")
        assert len(seen) == 1


def test_an_action_dies_with_its_worker(executor: Executor) -> None:
    """When a worker is killed the action that it runs ends long before its own time-out of 14 s."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        spec = http_spec(silent.getsockname()[1])
        executor.send(command(spec, "http.call", timeout_ms=14_000, arguments={"call": "restart"}))
        connection, _ = silent.accept()
        executor.process.kill()
        with connection:
            connection.settimeout(7.0)
            while connection.recv(4_096):
                pass


def test_a_refused_connection_had_no_effect(executor: Executor) -> None:
    """A call that could not even connect failed without effect."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    ended = executor.run(command(http_spec(port), "http.call", arguments={"call": "restart"}))
    assert (ended.status, ended.result.code, ended.result.effect) == ("done", "refused", "none")


def test_a_probe_reads_and_changes_nothing(executor: Executor) -> None:
    """A probe is one GET without effect."""
    with target() as (port, seen):
        ended = executor.run(command(http_spec(port), "http.probe"))
    assert (ended.result.ok, ended.result.effect, seen) == (True, "none", ["GET /"])


@pytest.mark.parametrize(("call", "repeats"), [("restart", False), ("status", True)])
def test_only_calls_that_read_are_repeated(call: str, *, repeats: bool) -> None:
    """After a crash a GET is made again and a POST is not."""
    assert may_repeat(command(http_spec(80), "http.call", arguments={"call": call})) is repeats
