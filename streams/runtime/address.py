"""Where the embedded broker of a data directory is: one small file that every other command reads."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
from msgspec import Struct
from msgspec import json as msgspec_json

from streams.core.errors import InputError
from streams.settings import Settings


class Address(Struct, frozen=True, kw_only=True):
    """The running embedded broker: ``host:port`` of its listener, and its process.

    A process is named by pid and creation time (seconds since 1970), so a reused pid is never mistaken for it.
    """

    listener: str
    pid: int
    pid_created: float

    @property
    def running(self) -> bool:
        """Whether the broker's process is alive."""
        return is_alive(self.pid, self.pid_created)


def address_file(data_dir: Path) -> Path:
    """Return the path of the address file."""
    return data_dir / "run" / "broker.json"


def read_address(data_dir: Path) -> Address | None:
    """Return what the address file says; None when there is none or it is damaged."""
    try:
        return msgspec_json.decode(address_file(data_dir).read_bytes(), type=Address)
    except (OSError, ValueError):
        return None


def write_address(data_dir: Path, listener: str, pid: int) -> None:
    """Record that the broker of this directory is process ``pid`` and serves on ``listener``."""
    address = Address(listener=listener, pid=pid, pid_created=created(pid))
    write_whole(address_file(data_dir), msgspec_json.encode(address))


def web_address_file(data_dir: Path) -> Path:
    """Return where a running web says at which URL it is found."""
    return data_dir / "web" / "address"


def advise_address_file(data_dir: Path) -> Path:
    """Return where a running decision service says at which URL it is found."""
    return data_dir / "advise" / "address"


def write_whole(path: Path, body: bytes) -> None:
    """Replace a small file so that a reader sees the old one or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(body)
    temporary.replace(path)


def created(pid: int) -> float:
    """Return when a process was created, in seconds since 1970; 0 when there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def is_alive(pid: int, process_created: float) -> bool:
    """Whether the very process runs; a zombie does not."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - process_created) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def bootstrap(settings: Settings) -> str:
    """Return the brokers to connect to: the setting, or the embedded broker that runs on this data directory.

    Raises ``InputError`` when nothing is set and nothing runs.
    """
    if settings.brokers:
        return settings.brokers
    address = read_address(settings.data_dir)
    if address is None or not address.running:
        raise InputError(
            f"no broker runs on {settings.data_dir}: start `logmend up`, or set LOGMEND_BROKERS to a Kafka"
        )
    return address.listener
