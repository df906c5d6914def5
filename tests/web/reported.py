"""Reports of histories, for tests in which a browser runs."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from analytics.report.reading import report
from analytics.report.told import Report
from analytics.views import EventLog
from tests.analytics.archive import archive
from tests.analytics.history import History
from tests.analytics.trouble import BEGUN


def reported(history: History, directory: Path, until: datetime) -> Report:
    """Return the report of a history; it is archived in a thread, because the browser has this one's event loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(archive(history, directory))).result()
    with EventLog(directory) as log:
        return report(log, BEGUN, until)
