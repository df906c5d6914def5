"""The registry over HTTP: what it answers, what is remembered, and how little a bad one can do."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from streams.core.errors import InputError
from streams.ports import SCHEMA_BYTES_MAX, Registered
from streams.runtime import registry as module
from streams.runtime.registry import NO_REGISTRY_THERE, REFERENCES, REFUSES, TOO_LARGE, UNKNOWN, UNREACHABLE, Registry
from streams.settings import Settings
from tests.registry.serving import LOG_LINE, Answer, Served, body, serving

LINES = Registered("AVRO", json.dumps(LOG_LINE))


@pytest.fixture
def served() -> Iterator[Served]:
    """Serve a registry that knows schema 7."""
    with serving() as running:
        running.schema(7, LOG_LINE)
        yield running


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


@pytest.fixture
async def registry(served: Served, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Registry]:
    """Return a client that is not patient."""
    for name in ("SECONDS_MAX", "ATTEMPT_SECONDS", "PROBE_SECONDS"):
        monkeypatch.setattr(module, name, {"SECONDS_MAX": 2.0, "ATTEMPT_SECONDS": 0.4, "PROBE_SECONDS": 0.2}[name])
    async with Registry(served.address, clock) as client:
        yield client


def after(times: int, first: Answer, then: Answer) -> Callable[[], Answer]:
    """Answer ``first`` so many times, and ``then`` after that."""
    answers = iter([first] * times)
    return lambda: next(answers, then)


async def test_a_schema_is_found_and_asked_for_once(registry: Registry, served: Served) -> None:
    """What a registry said of an id is so for ever."""
    for _ in range(3):
        assert await registry.get([7]) == {7: LINES}
    assert served.paths == ["/schemas/ids/7"]


async def test_several_schemas_of_every_kind(registry: Registry, served: Served) -> None:
    """Ids and GUIDs, Avro, JSON and Protobuf are answered in one go."""
    guid = "89791762-2336-4186-9674-299b90a802e2"
    served.schema(guid, "{}", schemaType="JSON")
    served.schema(8, "syntax", schemaType="PROTOBUF")
    assert await registry.get([7, 8, guid, 9]) == {
        7: LINES,
        8: Registered("PROTOBUF", "syntax"),
        guid: Registered("JSON", "{}"),
        9: UNKNOWN,
    }


async def test_references_come_before_what_refers_to_them(registry: Registry, served: Served) -> None:
    """All that a schema refers to is fetched, once each, the deepest first; a subject may have any name."""
    refer = {
        "references": [{"name": "x", "subject": "a/b c", "version": 2}, {"name": "y", "subject": "y", "version": 1}]
    }
    served.schema(8, "main", **refer)
    served.answers["/subjects/a%2Fb%20c/versions/2?deleted=true"] = (
        200,
        body("middle", references=[{"name": "y", "subject": "y", "version": 1}]),
    )
    served.answers["/subjects/y/versions/1?deleted=true"] = 200, body("deep")
    assert await registry.get([8]) == {8: Registered("AVRO", "main", ("deep", "middle"))}
    assert len(served.asked) == 3


async def test_references_without_an_end_are_refused(registry: Registry, served: Served) -> None:
    """A circle, and a crowd, of references end with a reason."""
    circle = [{"name": "a", "subject": "a", "version": 1}]
    served.schema(8, "a", references=circle)
    served.answers["/subjects/a/versions/1?deleted=true"] = 200, body("a", references=circle)
    served.schema(9, "b", references=[{"name": "c", "subject": "c", "version": n} for n in range(100)])
    for number in range(100):
        served.answers[f"/subjects/c/versions/{number}?deleted=true"] = 200, body("c")
    assert await registry.get([8]) == {8: REFERENCES}
    assert len(served.asked) == 2
    assert await registry.get([9, 7]) == {9: REFERENCES, 7: LINES}


async def test_an_unknown_schema_is_asked_for_again_after_a_minute(
    registry: Registry, served: Served, clock: Clock
) -> None:
    """A schema that is registered late is found, and a registry is not asked for nothing all the time."""
    for _ in range(3):
        assert await registry.get([9]) == {9: UNKNOWN}
    served.schema(9, LOG_LINE)
    clock.now += 59
    assert await registry.get([9]) == {9: UNKNOWN}
    clock.now += 2
    assert await registry.get([9]) == {9: LINES}
    assert len(served.asked) == 2


async def test_ids_that_are_none_are_not_asked_for_without_end(
    registry: Registry, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of noise makes a limited number of questions; schemas that are known stay known."""
    monkeypatch.setattr(module, "MISSES_MAX", 20)
    await registry.get([7])
    for start in range(100, 1000, 100):
        assert set((await registry.get(range(start, start + 100))).values()) == {UNKNOWN}
    assert len(served.asked) <= 1 + 9 * (20 + module.AT_ONCE)
    assert await registry.get([7]) == {7: LINES}


async def test_noise_hides_no_schema(registry: Registry, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new schema is found among and after any number of ids that are none, of which few are remembered."""
    monkeypatch.setattr(module, "MISSES_MAX", 20)
    monkeypatch.setattr(module, "UNKNOWN_MAX", 30)
    for start in range(1_000, 1_500, 100):
        await registry.get(range(start, start + 100))
    served.schema(8, LOG_LINE)
    assert (await registry.get([*range(2_000, 2_100), 8]))[8] == LINES
    asked = len(served.asked)
    assert await registry.get([1_000]) == {1_000: UNKNOWN}
    assert len(served.asked) == asked + 1


async def test_many_schemas_at_once_are_no_noise(
    registry: Registry, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ids a batch has, those that have a schema get it."""
    monkeypatch.setattr(module, "MISSES_MAX", 5)
    for id_ in range(100, 150):
        served.schema(id_, LOG_LINE)
    assert set((await registry.get(range(100, 150))).values()) == {LINES}


async def test_a_schema_and_its_references_are_together_no_more_than_what_is_compiled(
    registry: Registry, served: Served
) -> None:
    """Each of them may be small enough: what is refused is not kept, and no more is fetched than it takes to know."""
    text = json.dumps({"type": "string", "doc": "x" * (SCHEMA_BYTES_MAX // 4)})
    served.schema(8, text, references=[{"name": "x", "subject": f"s{number}", "version": 1} for number in range(60)])
    for number in range(60):
        served.answers[f"/subjects/s{number}/versions/1?deleted=true"] = 200, body(text)
    assert await registry.get([8]) == {8: TOO_LARGE}
    assert len(served.asked) <= 6


async def test_trouble_that_passes_is_not_seen(registry: Registry, served: Served) -> None:
    """After two answers of 503 the third attempt finds the schema."""
    served.answers["/schemas/ids/8"] = after(2, (503, b"later"), (200, body(LOG_LINE)))
    assert await registry.get([8]) == {8: LINES}


BAD: dict[str, tuple[Answer, str]] = {
    "no login": ((401, b'{"error_code":401,"message":"Unauthorized"}'), REFUSES),
    "no right": ((403, b'{"error_code":40301}'), REFUSES),
    "down": ((500, b"{}"), UNREACHABLE),
    "too many questions": ((429, b""), UNREACHABLE),
    "another server": ((404, b"<html>not here</html>"), NO_REGISTRY_THERE),
    "a redirect": ((302, b"", {"Location": "http://127.0.0.1:1/elsewhere"}), NO_REGISTRY_THERE),
    "garbage": ((200, b"\x00\xff" * 100), NO_REGISTRY_THERE),
    "another document": ((200, b'{"schema": 7}'), NO_REGISTRY_THERE),
    "deep": ((200, b"[" * 500_000), NO_REGISTRY_THERE),
    "huge": ((200, b'"' + b"x" * (3 << 20) + b'"'), TOO_LARGE),
    "compressed": ((200, b"\x1f\x8b\x08garbage", {"Content-Encoding": "gzip"}), NO_REGISTRY_THERE),
    "cut short": ((200, b"{", {"Content-Length": "900"}), UNREACHABLE),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_answer_is_a_reason(name: str, registry: Registry, served: Served) -> None:
    """Whatever the server says, there is a reason for the dead letters and no error."""
    answer, reason = BAD[name]
    served.answers["/schemas/ids/8"] = answer
    assert await registry.get([8]) == {8: reason}


async def test_a_redirect_is_not_followed(registry: Registry, served: Served) -> None:
    """Name and password go to the registry that was set and nowhere else."""
    with serving() as other:
        served.answers["/schemas/ids/8"] = (307, b"", {"Location": f"{other.address}/schemas/ids/8"})
        await registry.get([8])
        assert other.asked == []


async def test_a_dead_registry_is_left_alone_for_a_while(registry: Registry, served: Served, clock: Clock) -> None:
    """After a failure nobody waits and nobody asks for ten seconds; then one attempt tells."""
    works = served.answers["/schemas/ids/7"]
    served.answers["/schemas/ids/7"] = (500, b"")
    assert await registry.get([7]) == {7: UNREACHABLE}
    asked = len(served.asked)
    assert asked == module.ATTEMPTS
    assert await registry.get([7, 8, 9]) == dict.fromkeys([7, 8, 9], UNREACHABLE)
    assert len(served.asked) == asked
    clock.now += module.DOWN_SECONDS
    assert await registry.get([7]) == {7: UNREACHABLE}
    assert len(served.asked) == asked + 1
    clock.now += module.DOWN_SECONDS
    served.answers["/schemas/ids/7"] = works
    assert await registry.get([7]) == {7: LINES}
    served.answers["/schemas/ids/8"] = (500, b"")
    await registry.get([8])
    assert served.paths.count("/schemas/ids/8") == module.ATTEMPTS


async def test_what_is_known_is_known_while_the_registry_is_down(registry: Registry, served: Served) -> None:
    """Schemas that were fetched before serve on."""
    await registry.get([7])
    served.answers.clear()
    served.answers["/schemas/ids/8"] = (500, b"")
    assert await registry.get([7, 8]) == {7: LINES, 8: UNREACHABLE}


async def test_a_silent_registry_holds_nobody_up(
    registry: Registry, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When all questions together take too long, the rest are answered without it."""
    monkeypatch.setattr(module, "ATTEMPT_SECONDS", 60.0)
    over = threading.Event()

    def silent() -> Answer:
        over.wait()
        return 200, body(LOG_LINE)

    served.answers["/schemas/ids/100"] = (200, body(LOG_LINE))
    for number in range(101, 200):
        served.answers[f"/schemas/ids/{number}"] = silent
    try:
        answers = await registry.get(range(100, 200))
    finally:
        over.set()
    assert answers == {100: LINES, **dict.fromkeys(range(101, 200), UNREACHABLE)}


async def test_nobody_there_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed port and a name that does not exist are the same to the pipeline."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        addresses = (f"http://127.0.0.1:{closed.getsockname()[1]}", "http://no-such-host.invalid")
        for address in addresses:
            async with Registry(address) as client:
                assert await client.get([7]) == {7: UNREACHABLE}


async def test_login_and_path_come_from_the_address(served: Served) -> None:
    """User and password are sent, unquoted, and are no part of the address that is shown."""
    served.answers["/api/schemas/ids/7"] = served.answers["/schemas/ids/7"]
    login = served.address.replace("http://", "http://ada:p%40ss@")
    async with Registry(f"{login}/api/") as client:
        assert await client.get([7]) == {7: LINES}
        assert client.address == f"{served.address}/api"
    assert served.asked == [("/api/schemas/ids/7", "Basic YWRhOnBAc3M=")]


@pytest.mark.parametrize(
    "address",
    [
        "http://registry:8081",
        "https://ada:secret@registry",
        "http://[::1]:8081/api",
        "https://r.example/ccompat/v7",
        "",
    ],
)
def test_an_address_may_have_these_forms(address: str) -> None:
    """Scheme, login, port and path."""
    assert Settings(schema_registry=address).schema_registry == address


@pytest.mark.parametrize(
    "address",
    [
        *("registry:8081", "ftp://registry", "http://", "http://ada:hunter2@", "http://ada:hunter2@h/x?y=1"),
        *("http://ada:hunter2?x@registry", "http://ada:hunter2#x@registry"),
    ],
)
def test_a_wrong_address_is_named_without_its_password(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what is allowed and repeats nothing that may be secret."""
    monkeypatch.setenv("LOGMEND_SCHEMA_REGISTRY", address)
    with pytest.raises(InputError, match="LOGMEND_SCHEMA_REGISTRY is not valid; allowed: the schema registry") as said:
        Settings.load()
    assert "hunter2" not in str(said.value)


def test_settings_do_not_show_the_password() -> None:
    """Printing settings prints no login."""
    assert "hunter2" not in repr(Settings(schema_registry="http://ada:hunter2@registry"))


def test_a_child_process_gets_the_registry() -> None:
    """Login and all, in its environment."""
    address: Any = "http://ada:hunter2@registry"
    assert Settings(schema_registry=address).environment()["LOGMEND_SCHEMA_REGISTRY"] == address
