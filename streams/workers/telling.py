"""What the pool says in its inbox: outcomes, findings, where specialists stand, and probes.

All but probes is written down first and told after: whoever comes after a crash tells what was not told yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from streams import telemetry
from streams.codec import encode
from streams.core.events import OutcomeReported, ProbeReported
from streams.core.reports import FindingReported
from streams.ports import Log, Outgoing
from streams.workers.errands import Over
from streams.workers.journal import Entry, Journal
from streams.workers.results import Result

NO_TIMES: Final = (0, 0)


class Telling:
    """Tells what is in the journal to ``inbox``. ``skew_ms`` is how far this host's clock is ahead of the broker's."""

    def __init__(self, log: Log, inbox: str, journal: Journal, host: str, skew_ms: Callable[[], int]) -> None:
        self._log = log
        self._inbox = inbox
        self._journal = journal
        self._host = host
        self._skew_ms = skew_ms
        self.news = asyncio.Event()

    def end(
        self, entry: Entry, status: str, result: Result, worker: str = "", times_ms: tuple[int, int] = NO_TIMES
    ) -> None:
        """Write down the one end of a command, and what it found; times are of this host's clock, 0 when not run."""
        outcome = self._outcome(Over(entry, status, result, worker, times_ms))
        findings = [
            FindingReported(
                command_id=entry.command.id,
                host=self._host,
                service=entry.command.service,
                worker=worker,
                code=code,
                value=value,
                at_ms=outcome.finished_ms,
            )
            for code, value in result.findings.items()
        ]
        if self._journal.end(outcome, findings):
            telemetry.outcome_reported(status, ok=result.ok)
        self.news.set()

    def end_errands(self, ended: Sequence[Over]) -> None:
        """Write down the ends of errands, all at once."""
        outcomes = [self._outcome(over) for over in ended]
        self._journal.end_errands(outcomes)
        for outcome in outcomes:
            telemetry.outcome_reported(outcome.status, ok=outcome.ok)
        self.news.set()

    def _outcome(self, over: Over) -> OutcomeReported:
        skew_ms = self._skew_ms()
        started_ms, finished_ms = (at_ms and at_ms - skew_ms for at_ms in over.times_ms)
        return OutcomeReported(
            command_id=over.entry.command.id,
            command_seq=over.entry.command.seq,
            host=self._host,
            worker=over.worker,
            status=over.status,
            ok=over.result.ok,
            code=over.result.code,
            effect=over.result.effect,
            started_ms=started_ms,
            finished_ms=finished_ms,
            skew_ms=skew_ms,
        )

    async def run(self) -> None:
        """Tell whatever there is, for ever."""
        while True:
            await self.tell()
            await self.news.wait()
            self.news.clear()

    async def tell(self) -> None:
        """Append what nobody knows of yet: reports, then the outcomes that they belong to.

        After a crash some are told twice: the fold takes the first.
        """
        reports, outcomes = self._journal.untold(), self._journal.unreported()
        services = {outcome.command_id: self._journal.service_of(outcome.command_id) for outcome in outcomes}
        records = [
            *(Outgoing(self._inbox, report.body, report.key.encode()) for report in reports),
            *(Outgoing(self._inbox, encode(outcome), services[outcome.command_id].encode()) for outcome in outcomes),
        ]
        if records:
            await self._log.append(records)
        if reports:
            self._journal.told(reports[-1].number)
        if outcomes:
            self._journal.reported(services)

    async def probe(self, event: ProbeReported) -> None:
        """Append what a probe saw; one that is lost is no loss."""
        await self._log.append([Outgoing(self._inbox, encode(event), event.service.encode())])
