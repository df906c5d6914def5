from __future__ import annotations

import pytest

from streams.ingest.replacing import replaced

GONE = {
    "dial tcp 10.1.2.3:8080: no route": "10.1.2.3",
    "dial tcp 10.1.2.3:8080: no route, again": "8080",
    "cannot open /srv/data/a.log": "/srv/data/a",
    "Feb 10 09:33:30 compute4 kernel: link": "compute4",
    "lookup db.prod.internal: no such host": "db.prod",
    'password failed for user "postgres"': "postgres",
    "MySQL server has gone away": "MySQL",
    "pod web-7d9f evicted": "web-7d9f",
    "task blocked for more than 120 seconds": "120",
}
KEPT = {
    "open failed (13: Permission denied)": "(13: Permission denied)",
    "OSError: [Errno 113] No route": "[Errno 113]",
    '"GET /a HTTP/1.1" 503 17 "-"': '"GET /a HTTP/1.1" 503',
    "exited with code 137": "code 137",
    "terminated by signal 11": "signal 11",
    "SQLSTATE[08006] lost": "SQLSTATE[08006]",
    "java.lang.OutOfMemoryError: heap": "OutOfMemoryError",
    "cannot parse /etc/app.yaml": ".yaml",
    "0 errors": "0 errors",
    "pool at 100 %": "100 %",
    "2024-05-11T10:00:00Z up": "2024-05-11T10:00:00Z",
}


@pytest.mark.parametrize("line", GONE)
def test_names_go(line: str) -> None:
    """A host, address, number, path or name of a line is not in what replaces it."""
    assert GONE[line] in line
    assert GONE[line] not in replaced(line)


@pytest.mark.parametrize("line", KEPT)
def test_meaning_stays(line: str) -> None:
    """Codes, statuses, signals, class names, extensions, zeros and stamps are as they were."""
    assert KEPT[line] in line
    assert KEPT[line] in replaced(line)


def test_equal_names_stay_equal() -> None:
    """The same name gets the same substitute in every line and place."""
    first, second = replaced("host 10.1.2.3 lost 10.1.2.3").split(" lost ")
    assert first == f"host {second}"
    assert replaced("10.1.2.3 is back").split()[0] == second
