"""Renews a server's certificate: ``python -m lab.tools.renew_certificate AUTHORITY CERTIFICATE``."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lab.tools.certificates import VALID_DAYS, issue

if __name__ == "__main__":
    issue(Path(sys.argv[1]), Path(sys.argv[2]), datetime.now(UTC) + timedelta(days=VALID_DAYS))
