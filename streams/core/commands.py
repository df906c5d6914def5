"""What is asked for, and the identity of it: an approval names it, and the worker recomputes it before acting."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from streams.core.events import Command

COMMAND_KINDS: Final = ("recovery", "look", "spawn", "release", "task", "heal")
"""Act on a service; find something out and change nothing; bring a specialist up; let it go; do what a person asked;
replace workers that are dead or hung."""


def command_sha256(command: Command) -> str:
    """Return the hex SHA-256 over what a command does, leaving out when and under which number it was sent."""
    bare = msgspec.structs.replace(
        command, id="", seq=0, previous_seq=0, expires_ms=0, approved_by="", sha256="", epoch=0
    )
    return hashlib.sha256(msgspec.msgpack.encode(bare)).hexdigest()


def verb_of(action: str) -> str:
    """Return what an action does: ``restart`` of ``process.restart``, ``escalate`` of itself."""
    return action.partition(".")[2] or action
