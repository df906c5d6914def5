"""What the detection of anomalies costs: microseconds of processor time a value, and bytes a series.

python -m benchmarks.detecting
"""

from __future__ import annotations

import time

import msgspec

from streams.core.anomaly import Detector
from streams.core.jointly import Group
from streams.core.num import draw

VALUES = 30_000
METRICS = 38
STEP_MS = 300_000


def main() -> None:
    """Print the table: one series, and 38 metrics of one server together."""
    values = [draw(str(at)) for at in range(VALUES)]
    detector, group = Detector(), Group()
    begin = time.process_time()
    for at, value in enumerate(values):
        detector.see(at * STEP_MS, value)
    alone = time.process_time() - begin
    rows = [values[at : at + METRICS] for at in range(0, VALUES - METRICS, METRICS)]
    begin = time.process_time()
    for row in rows:
        group.see(row)
    jointly = time.process_time() - begin
    print("what                 us a value  bytes a series")
    print(f"one series           {alone / VALUES * 1e6:10.1f}  {len(msgspec.msgpack.encode(detector)):14}")
    bytes_each = len(msgspec.msgpack.encode(group)) // METRICS
    print(f"metrics of a server  {jointly / (len(rows) * METRICS) * 1e6:10.1f}  {bytes_each:14}")


if __name__ == "__main__":
    main()
