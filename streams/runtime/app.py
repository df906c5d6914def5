"""The factory of Faust apps. A module-level app would be made twice when its module is imported twice.

Faust does here what it is good at: group membership, assignment, agents and their lifecycle. What it can't do safely
is switched off: web server, tables, producer, commits, topic creation, agents' replies, settings from the environment.
Its own assignor is kept: it is sticky, groups topics by their number of partitions (N for ``logs``, 1 for an inbox),
and gives the second process of a one-partition stage nothing until the first is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import faust
from faust.app.base import BootStrategy
from faust.tables.manager import TableManager

from streams.ports import Log
from streams.runtime.address import bootstrap
from streams.runtime.lease import GuardedLog, Lease
from streams.runtime.security import client
from streams.runtime.transport import BatchTransport
from streams.runtime.watchdog import Progress
from streams.settings import Settings

HEARTBEAT_SECONDS: Final = 2.0
REBALANCE_SECONDS: Final = 30.0
REQUEST_SECONDS: Final = 40.0
COMMIT_INTERVAL_SECONDS: Final = 5.0


class _NoTables(TableManager):
    """Faust's table manager without tables; Faust waits 1 s for some to be declared."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class _ReadersBoot(BootStrategy):
    """Starts no producer of Faust's: outputs go through ``ports.Log``."""

    enable_kafka_producer = False


class ReaderApp(faust.App):
    """A Faust app with our transport, the lease of its process and, once attached, the host of its engine.

    ``holes_in`` are producers' topics, where transactions leave gaps in the offsets; ``passing`` those in which what
    can't be read is passed: inboxes, too, for anybody may send there, and one process reads all topics. ``client`` is
    where brokers are, and how they are spoken to.
    """

    BootStrategy = _ReadersBoot
    lease: Lease
    progress: Progress
    client: Mapping[str, Any]
    holes_in: frozenset[str]
    passing: frozenset[str]
    pace_seconds: float = 0.0
    """So long after a fetch of few records comes the next, at the earliest; see ``streams.cli.stages``."""
    host: Any
    """A ``streams.runtime.host.Host``, which imports this module."""

    def guard(self, log: Log) -> GuardedLog:
        """Return the log that the engine is to use: it checks the lease, and tells the watchdog of progress."""
        return GuardedLog(log, self.lease, self.progress.answered)

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Make no directory: there are no tables to keep."""


def build_app(settings: Settings, group: str, instance_id: str) -> ReaderApp:
    """Return a new app that reads as member ``instance_id`` of consumer group ``group``.

    The group is a hint to Kafka only: who works on what, and where a lag monitor looks. ``instance_id`` must stay the
    same over restarts of one process and differ between processes (static membership: a restart costs no rebalance).
    To be called inside the event loop that will run the app. Raises ``InputError`` when there is no broker.
    """
    session_seconds = settings.session_timeout_ms / 1000
    app = ReaderApp(
        group,
        broker=[f"kafka://{address}" for address in bootstrap(settings).split(",")],
        env={},  # else APP_*, BROKER_*, WEB_* of the environment win over what is said here
        broker_client_id=f"{group}-{instance_id}",
        broker_session_timeout=session_seconds,
        broker_heartbeat_interval=min(HEARTBEAT_SECONDS, session_seconds / 3),
        broker_rebalance_timeout=max(REBALANCE_SECONDS, session_seconds),
        broker_request_timeout=max(REQUEST_SECONDS, session_seconds),
        broker_commit_interval=COMMIT_INTERVAL_SECONDS,
        broker_max_poll_records=settings.poll_records,
        consumer_group_instance_id=instance_id,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        reply_create_topic=False,
        web_enabled=False,
        worker_redirect_stdouts=False,
        autodiscover=False,
        TableManager=_NoTables,
        canonical_url="http://localhost",  # the assignor compares it with what a static member got before its restart
    )
    app.lease = Lease(group, settings.session_timeout_ms)
    app.progress = Progress()
    app.client = client(settings)
    app.holes_in = frozenset((*settings.logs, *settings.metrics))
    app.passing = frozenset(settings.topics.sources)
    return app
