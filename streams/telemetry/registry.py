"""Where all metrics live, what their labels may hold, and how Prometheus gets them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, start_http_server

from streams.core.errors import InputError

LABEL_VALUES_MAX: Final = 64
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

REGISTRY: Final = CollectorRegistry()
ProcessCollector(namespace="logmend", registry=REGISTRY)

_disk_free = Gauge("logmend_disk_free_bytes", "Room that is left where the data directory is.", registry=REGISTRY)
_disk_size = Gauge("logmend_disk_size_bytes", "Size of the file system of the data directory.", registry=REGISTRY)


class _Bounded:
    """Lets the first ``LABEL_VALUES_MAX`` values of a label through and calls the others ``other``."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {}

    def __call__(self, label: str, value: str) -> str:
        seen = self._seen.setdefault(label, set())
        if value in seen:
            return value
        if len(seen) >= LABEL_VALUES_MAX:
            return "other"
        seen.add(value)
        return value


bounded: Final = _Bounded()


def serve(port: int, address: str = "127.0.0.1", data_dir: Path = Path("/")) -> None:
    """Serve the metrics over HTTP on ``port`` (0: not at all), with how full the disk under ``data_dir`` is.

    Raises ``InputError`` when the port is taken.
    """
    if not port:
        return
    disk = next(path for path in (data_dir, *data_dir.absolute().parents) if path.exists())
    _disk_free.set_function(lambda: shutil.disk_usage(disk).free)
    _disk_size.set_function(lambda: shutil.disk_usage(disk).total)
    try:
        start_http_server(port, addr=address, registry=REGISTRY)
    except OSError as error:
        raise InputError(f"metrics port {port}: {error.strerror}; set LOGMEND_METRICS_PORT to a free one") from error
