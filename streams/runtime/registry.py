"""A schema registry by HTTP (``ports.Schemas``): Confluent's, or one that speaks as it does (Karapace, Redpanda).

    async with Registry(settings.schema_registry) as registry:
        answers = await registry.get({7})

A registry that is slow, dead or full of rubbish must not hold up the lines of everybody else: every answer comes within
``SECONDS_MAX``, has a limit, and is remembered, the bad ones for a while.

Source: Confluent Platform 8.1 documentation, "Schema Registry API Reference".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp
import msgspec
from msgspec import Struct
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter
from yarl import URL

from streams import telemetry
from streams.ports import SCHEMA_BYTES_MAX, Registered, SchemaId

SECONDS_MAX: Final = 10.0
"""For all that one call asks, retries and waiting included."""
ATTEMPT_SECONDS: Final = 2.5
ATTEMPTS: Final = 3
PROBE_SECONDS: Final = 1.0
"""For the first question after the registry was down, which nobody should wait for long."""
DOWN_SECONDS: Final = 10.0
UNKNOWN_SECONDS: Final = 60.0
UNKNOWN_MAX: Final = 512
"""So many ids without a schema are remembered; the oldest is then asked for again."""
MISSES_MAX: Final = 64
"""After so many questions of one call for what has no schema the rest of its ids are taken for noise."""
SCHEMAS_MAX: Final = 2_000
ANSWER_BYTES_MAX: Final = 1024 * 1024
REFERENCES_MAX: Final = 64
AT_ONCE: Final = 8

UNREACHABLE: Final = "registry unreachable"
UNKNOWN: Final = "unknown schema"
REFUSES: Final = "registry refuses our login"
NO_REGISTRY_THERE: Final = "registry answers with something else"
TOO_LARGE: Final = "schema refused: too large"
REFERENCES: Final = "schema refused: too many references"

ASKED_AND_ANSWERED: Final = frozenset({UNKNOWN, TOO_LARGE, REFERENCES})
"""Reasons that a registry in good health gives."""


class _Reference(Struct):
    subject: str
    version: int


class _Answer(Struct):
    """What ``/schemas/ids/{id}`` and ``/subjects/{subject}/versions/{version}`` say, as far as we need it."""

    schema: str
    schemaType: str = "AVRO"  # noqa: N815 - the registry's name
    references: tuple[_Reference, ...] = ()


class _Error(Struct):
    error_code: int


class _NoAnswerError(Exception):
    """The registry can't be asked: ``reason`` for its records, ``problem`` for us; ``again`` says what may help."""

    def __init__(self, reason: str, problem: str, *, again: bool = False) -> None:
        super().__init__(problem)
        self.reason = reason
        self.problem = problem
        self.again = again


class _NoSchemaError(Exception):
    """The registry's answer is that there is no schema for us; the text is the reason."""


class Registry:
    """See the module. An async context manager; one object belongs to one event loop."""

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the address as the setting has it, with user and password; ``clock`` counts seconds."""
        whole = URL(address)
        self.address: Final = str(whole.with_user(None)).rstrip("/")
        """Without user and password: fit to be shown."""
        self._auth = aiohttp.BasicAuth(whole.user, whole.password or "", "utf-8") if whole.user else None
        self._clock = clock
        self._session: Any = None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._found: dict[SchemaId, Registered] = {}
        self._reasons: dict[SchemaId, tuple[str, float]] = {}
        """Why there is no schema of an id, and until when to believe it."""
        self._misses = 0
        """Ids of the call under way that turned out to have no schema."""
        self._down: tuple[str, float] = ("", 0.0)
        """Why the registry can't be asked, and until when not to try."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            auth=self._auth,
            auto_decompress=False,
            headers={
                "Accept": "application/vnd.schemaregistry.v1+json, application/json",
                "Accept-Encoding": "identity",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, ids: Collection[SchemaId]) -> Mapping[SchemaId, Registered | str]:
        """See ``ports.Schemas.get``. The lowest numbers are asked for first: registries count, noise does not."""
        self._forget()
        self._misses = 0
        new = sorted((id_ for id_ in ids if self._remembered(id_) is None), key=lambda id_: (type(id_) is str, id_))
        asking = [asyncio.ensure_future(self._ask(id_)) for id_ in new]
        if asking:
            done, late = await asyncio.wait(asking, timeout=SECONDS_MAX)
            for task in late:
                task.cancel()
            if late:
                self._is_down(UNREACHABLE, f"no answer within {SECONDS_MAX:.0f} s")
                await asyncio.wait(late)
            for task in done:
                if error := task.exception():
                    telemetry.handled("registry", repr(error))
        unasked = UNKNOWN if self._misses >= MISSES_MAX else UNREACHABLE
        return {id_: self._remembered(id_) or unasked for id_ in ids}

    def _remembered(self, id_: SchemaId) -> Registered | str | None:
        """Return what is known without a question; None when there is one to ask."""
        if found := self._found.get(id_):
            return found
        if id_ in self._reasons:
            return self._reasons[id_][0]
        return self._down[0] if self._clock() < self._down[1] else None

    def _forget(self) -> None:
        now = self._clock()
        if any(until <= now for _, until in self._reasons.values()):
            self._reasons = {id_: said for id_, said in self._reasons.items() if said[1] > now}

    async def _ask(self, id_: SchemaId) -> None:
        """Ask for one schema, and remember what came of it."""
        async with self._slots:
            if self._remembered(id_) is not None or self._misses >= MISSES_MAX:
                return  # meanwhile other questions found the registry down, or nothing but noise
            try:
                found = await self._whole(id_)
            except _NoAnswerError as error:
                self._is_down(error.reason, error.problem)
                return
            except _NoSchemaError as error:
                self._misses += 1
                _make_room(self._reasons, UNKNOWN_MAX)
                self._reasons[id_] = (str(error), self._clock() + UNKNOWN_SECONDS)
                telemetry.schema_answered("unknown" if str(error) == UNKNOWN else "refused")
            else:
                _make_room(self._found, SCHEMAS_MAX)
                self._found[id_] = found
                telemetry.schema_answered("found")
            self._down = ("", 0.0)

    def _is_down(self, reason: str, problem: str) -> None:
        self._down = (reason, self._clock() + DOWN_SECONDS)
        telemetry.schema_answered("unreachable")
        telemetry.registry_down(self.address, problem, DOWN_SECONDS)

    async def _whole(self, id_: SchemaId) -> Registered:
        """Return a schema with all that it refers to."""
        answer = await self._fetch(f"/schemas/{'ids' if isinstance(id_, int) else 'guids'}/{id_}")
        texts: dict[tuple[str, int], str] = {}
        _check_size([answer.schema])
        await self._refer(answer, texts, ())
        _check_size([answer.schema, *texts.values()])
        return Registered(answer.schemaType, answer.schema, tuple(texts.values()))

    async def _refer(
        self, answer: _Answer, texts: dict[tuple[str, int], str], above: tuple[tuple[str, int], ...]
    ) -> None:
        """Add the texts of an answer's references to ``texts``, each behind its own."""
        for reference in answer.references:
            key = (reference.subject, reference.version)
            if key in texts:
                continue
            if key in above or len(texts) + len(above) >= REFERENCES_MAX:
                raise _NoSchemaError(REFERENCES)
            # A schema may refer to what was deleted since (softly): readers of old records still need it.
            path = f"/subjects/{quote(reference.subject, safe='')}/versions/{reference.version}?deleted=true"
            found = await self._fetch(path)
            await self._refer(found, texts, (*above, key))
            texts[key] = found.schema
            _check_size(texts.values())

    async def _fetch(self, path: str) -> _Answer:
        """Return the registry's answer for a path, after another attempt or two if need be."""
        probing = bool(self._down[0])
        seconds = PROBE_SECONDS if probing else ATTEMPT_SECONDS
        attempts = AsyncRetrying(
            stop=stop_after_attempt(1 if probing else ATTEMPTS),
            wait=wait_exponential_jitter(initial=0.1, max=1.0, jitter=0.1),
            retry=retry_if_exception(lambda error: isinstance(error, _NoAnswerError) and error.again),
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                return await self._fetch_once(path, seconds)
        raise AssertionError  # tenacity returns or raises

    async def _fetch_once(self, path: str, seconds: float) -> _Answer:
        url = URL(self.address + path, encoded=True)
        try:
            async with self._session.get(
                url, timeout=aiohttp.ClientTimeout(total=seconds), allow_redirects=False
            ) as response:
                body = await _limited(response)
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise _NoAnswerError(UNREACHABLE, type(error).__name__, again=True) from error
        return _answered(status, body)


def _make_room(remembered: dict[SchemaId, Any], entries_max: int) -> None:
    """Forget what was remembered first, so that there is room for another entry."""
    while len(remembered) >= entries_max:
        del remembered[next(iter(remembered))]


def _check_size(texts: Iterable[str]) -> None:
    """Raise ``_NoSchemaError`` when texts are together more than what is compiled of a schema."""
    if sum(len(text.encode("utf-8", "replace")) for text in texts) > SCHEMA_BYTES_MAX:
        raise _NoSchemaError(TOO_LARGE)


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    """Return a response's body; ``_NoSchemaError`` when it is larger than any schema that we take."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise _NoSchemaError(TOO_LARGE)
    return bytes(body)


def _answered(status: int, body: bytes) -> _Answer:
    """Return what a response says; raises what it means when that is no schema."""
    if status in {401, 403}:
        raise _NoAnswerError(REFUSES, f"HTTP {status}")
    if status == 429 or status >= 500:
        raise _NoAnswerError(UNREACHABLE, f"HTTP {status}", again=True)
    try:
        if status == 200:
            return msgspec.json.decode(body, type=_Answer)
        msgspec.json.decode(body, type=_Error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if status == 200:
            raise _NoSchemaError(NO_REGISTRY_THERE) from error
        raise _NoAnswerError(NO_REGISTRY_THERE, f"HTTP {status}") from error
    raise _NoSchemaError(UNKNOWN)
