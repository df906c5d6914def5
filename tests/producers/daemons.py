"""rsyslog, syslog-ng and kcat as processes of a test, writing to a broker whose address is known at run time.

Debian's rsyslog and syslog-ng packages exclude each other. ``LOGMEND_RSYSLOG_ROOT`` may name a directory in which the
packages of rsyslog are unpacked (``.ci/run`` does that); else the one that is installed is used.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.ports import free_port

HOST = "web-1"
"""What the daemons call this host; messages over TCP bring their own."""
PATIENCE_SECONDS = 60.0
STOP_SECONDS = 10.0
RSYSLOG_ROOT = Path(os.environ.get("LOGMEND_RSYSLOG_ROOT") or "/")


class Syslog(NamedTuple):
    """A running syslog daemon: where it listens, and the file that it follows."""

    socket: Path
    port: int
    file: Path

    def log(self, tag: str, priority: str, text: str) -> None:
        """Say something over the Unix socket, as any program of this host does."""
        _run("logger", "--socket", str(self.socket), "--tag", tag, "--priority", priority, "--", text)

    def send(self, tag: str, priority: str, text: str) -> None:
        """Say something over TCP, in the format of RFC 5424."""
        where = ("--server", "127.0.0.1", "--port", str(self.port), "--tcp", "--rfc5424")
        _run("logger", *where, "--tag", tag, "--id=77", "--priority", priority, "--", text)

    def write(self, lines: Sequence[str]) -> None:
        """Append lines to the file."""
        with self.file.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)


def tool(name: str) -> str:
    """Return the path of a tool; skip the test without it."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    if found is None:
        pytest.skip(f"{name} is not installed; .ci/run installs it")
    return found


def _run(name: str, *arguments: str, stdin: bytes = b"") -> None:
    subprocess.run([tool(name), *arguments], input=stdin, check=True, timeout=PATIENCE_SECONDS)


def kcat(brokers: str, topic: str, codec: str, stdin: bytes, *arguments: str) -> None:
    """Produce what stands on standard input, and wait until it is acknowledged."""
    _run("kcat", "-P", "-b", brokers, "-t", topic, "-z", codec, *arguments, stdin=stdin)


# ------------------------------------------------------------------------------------------------------------ rsyslog


@contextmanager
def rsyslog(directory: Path, brokers: str, topics: Mapping[str, tuple[str, str]]) -> Iterator[Syslog]:
    """Run rsyslog with omkafka; ``topics`` maps a topic to (codec, name of one of rsyslog's templates, or ``json``)."""
    modules = next(RSYSLOG_ROOT.glob("usr/lib/*/rsyslog/omkafka.so"), None)
    if modules is None or not (RSYSLOG_ROOT / "usr/sbin/rsyslogd").exists():
        pytest.skip(f"no rsyslog with omkafka in {RSYSLOG_ROOT}; .ci/run unpacks it into LOGMEND_RSYSLOG_ROOT")
    where = Syslog(directory / "r.sock", 0, directory / "app.log")
    where.file.touch()
    port = directory / "port"
    (directory / "r.conf").write_text(_rsyslog_configuration(directory, where, port, brokers, topics))
    program = [str(RSYSLOG_ROOT / "usr/sbin/rsyslogd"), "-n", "-M", str(modules.parent)]
    libraries = [RSYSLOG_ROOT / "lib" / modules.parts[-3], RSYSLOG_ROOT / "usr/lib" / modules.parts[-3]]
    environment = {"LD_LIBRARY_PATH": ":".join(map(str, libraries))}
    files = ["-f", str(directory / "r.conf"), "-i", str(directory / "r.pid")]
    with _running([*program, *files], environment, lambda: where.socket.exists() and port.exists()):
        yield where._replace(port=int(port.read_text()))


def _rsyslog_configuration(
    directory: Path, where: Syslog, port: Path, brokers: str, topics: Mapping[str, tuple[str, str]]
) -> str:
    inputs = f"""\
global(workDirectory="{directory}" localHostname="{HOST}")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{where.socket}")
module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="{port}")
module(load="imfile")
input(type="imfile" File="{where.file}" Tag="orders:" Severity="info" Facility="local0")
module(load="omkafka")
template(name="json" type="string" string="%jsonmesg%")
"""
    return inputs + "".join(
        f'action(type="omkafka" broker=["{brokers}"] topic="{topic}" template="{template}" partitions.auto="on"'
        f' confParam=["compression.codec={codec}", "queue.buffering.max.ms=50"])\n'
        for topic, (codec, template) in topics.items()
    )


# ---------------------------------------------------------------------------------------------------------- syslog-ng


@contextmanager
def syslog_ng(directory: Path, brokers: str, topics: Mapping[str, tuple[str, str]]) -> Iterator[Syslog]:
    """Run syslog-ng with kafka-c; ``topics`` maps a topic to (codec, message template; ``""`` is the default)."""
    program = tool("syslog-ng")
    if not list(Path("/usr/lib/syslog-ng").glob("*/libkafka.so")):
        pytest.skip("syslog-ng has no Kafka module; .ci/run installs syslog-ng-mod-rdkafka")
    where = Syslog(directory / "s.sock", free_port(), directory / "app.log")
    where.file.touch()
    (directory / "s.conf").write_text(_syslog_ng_configuration(where, brokers, topics))
    files = [f"--{name}={directory / f's.{name}'}" for name in ("persist-file", "pidfile", "control")]
    arguments = [program, "--foreground", "--no-caps", f"--cfgfile={directory / 's.conf'}", *files]
    with _running(arguments, {}, lambda: where.socket.exists() and _listens(where.port)):
        yield where


def _syslog_ng_configuration(where: Syslog, brokers: str, topics: Mapping[str, tuple[str, str]]) -> str:
    sources = f"""\
@version: 3.35
options {{ keep-hostname(yes); stats-freq(0); }};
source lines {{
  unix-dgram("{where.socket}" host-override("{HOST}"));
  network(transport("tcp") ip("127.0.0.1") port({where.port}) flags(syslog-protocol));
  file("{where.file}" flags(no-parse) program-override("orders") host-override("{HOST}") follow-freq(0.1));
}};
"""
    return sources + "".join(
        f'log {{ source(lines); destination {{ kafka-c(bootstrap-servers("{brokers}") topic("{topic}")'
        f' config("compression.codec"("{codec}") "queue.buffering.max.ms"("50"))'
        + (f" message('{template}')" if template else "")
        + "); }; };\n"
        for topic, (codec, template) in topics.items()
    )


# ---------------------------------------------------------------------------------------------------------- processes


@contextmanager
def _running(arguments: Sequence[str], environment: Mapping[str, str], ready: Callable[[], bool]) -> Iterator[None]:
    """Run a daemon in the foreground until the block ends; its traditional stamps are in UTC."""
    process = subprocess.Popen(arguments, env={**os.environ, "TZ": "UTC", **environment})
    try:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not ready():
            assert process.poll() is None, f"{arguments[0]} has ended"
            assert time.monotonic() < give_up, f"{arguments[0]} does not listen"
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
