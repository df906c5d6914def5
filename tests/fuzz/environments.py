"""Environments that people might set: settings with values that nobody means, taken or explained in a line."""

from __future__ import annotations

import os
from random import Random
from typing import Final
from unittest import mock

import msgspec

from streams.settings import PREFIX, Settings

NAMES: Final = tuple(PREFIX + name.upper() for name in Settings.model_fields)
ODD: Final = (
    "", " ", "0", "-1", "1", "true", "TRUE", "no", "nan", "inf", "-inf", "1e400", "9" * 30, "9" * 5_000, "0x10", "1_0",
    "a,b", ",", ",,a,", "a" * 300, "a b", "a/b", "../..", "~", "~nobody/x", "/", "\n", "a\nb", "\t", "\x1b[31m",
    "\ud800", "é", "💥", "null", "[]", "{}", '"', "'", "localhost:9092", "localhost:99999", "host:1,host:2", ":1",
    "[::1]:1", "http://a", "http://a:b@c:1/d", "https://[::1", "http://" + "a" * 5_000, "smtp://x:99999", "a@b", "@",
    "a@" + "b." * 200, "127.0.0.1", "999.999.999.999", "::", "logs,logs", "logs,metrics", "logmend.facts", "x" * 201,
    "owner/name", "%2C", "${HOME}",
)  # fmt: skip
ALPHABET: Final = "abz019.,:/@-_ []%?#\t\\\"'é"


def an_environment(random: Random) -> bytes:
    """Return variables and their values as JSON: mostly one, sometimes several, now and then a misspelt name."""
    variables: dict[str, str] = {}
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        name = random.choice(NAMES)
        if random.random() < 0.05:
            name = name[:-1] + random.choice("XYZ_")
        variables[name] = random.choice(ODD) if random.random() < 0.6 else _a_value(random)
    return msgspec.json.encode(
        {name: value.encode("utf-8", "surrogatepass").hex() for name, value in variables.items()}
    )


def _a_value(random: Random) -> str:
    value = list(random.choice(ODD))
    for _ in range(random.randrange(1, 6)):
        value.insert(random.randrange(len(value) + 1), random.choice(ALPHABET))
    return "".join(value)


def taken(data: bytes) -> bool:
    """Read settings from an environment; False when they are refused with faults of one line each."""
    variables = {name: bytes.fromhex(value) for name, value in msgspec.json.decode(data, type=dict[str, str]).items()}
    environment = {name: os.fsdecode(value) for name, value in variables.items()}
    with mock.patch.dict(os.environ, environment):
        settings, faults = Settings.read()
    if any("\n" in fault or not fault for fault in faults):
        raise AssertionError(f"a fault is not a line: {faults}")
    if settings is None and not faults:
        raise AssertionError("no settings, and no fault")
    if settings is None or faults:
        return False
    with mock.patch.dict(os.environ, settings.environment()):
        if Settings.load() != settings:
            raise AssertionError("a child would have other settings")
    return True
