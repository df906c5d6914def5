"""Records of metrics, and what they came to."""

from __future__ import annotations

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint

from streams.core.events import Sample, Slice
from tests.ingest.given import APPEND_MS, Given, cut, only

AT_MS = APPEND_MS - 5_500
"""Half a second into a second, a little before the append time."""
SECOND_MS = APPEND_MS - 6_000
AT_NS = AT_MS * 1_000_000


def taken(*values: bytes, key: bytes | None = None, headers: tuple[tuple[str, bytes], ...] = ()) -> Slice:
    """Return the one slice that values of a topic of metrics come to."""
    records = [
        Given(value, offset=offset, topic="metrics", key=key, headers=headers) for offset, value in enumerate(values)
    ]
    return only(cut(*records))


def sample(value: bytes, **how: bytes) -> Sample:
    """Return the one sample of a value, of which nothing was unmapped."""
    piece = taken(value, **how)  # type: ignore[arg-type]  # only key is given by name
    assert (len(piece.samples), piece.unmapped, piece.rejects) == (1, 0, ())
    return piece.samples[0]


def reason(value: bytes) -> str:
    """Return why a value was rejected; nothing of it may have been taken."""
    result = cut(Given(value, topic="metrics"))
    piece = only(result)
    assert (piece.points, piece.samples, [record.value for record, _ in result.dead]) == (0, (), [value])
    return piece.rejects[0].reason


def numbers(piece: Slice) -> dict[str, float]:
    """Return the last value of each sample of a slice by ``metric kind``."""
    found = {f"{one.metric} {one.kind}": one.last for one in piece.samples}
    assert len(found) == len(piece.samples)
    return found


def attributes(**labels: object) -> list[KeyValue]:
    """Return OTLP attributes; ``__`` in a name stands for a dot."""
    return [KeyValue(key=name.replace("__", "."), value=_any(value)) for name, value in labels.items()]


def _any(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=str(value))


def number(value: float, **labels: object) -> NumberDataPoint:
    """Return a point of a gauge or counter."""
    return NumberDataPoint(as_double=value, time_unix_nano=AT_NS, attributes=attributes(**labels))


def request(*metrics: Metric, **resource: object) -> ExportMetricsServiceRequest:
    """Return a request with one resource."""
    found = ExportMetricsServiceRequest()
    one = found.resource_metrics.add()
    one.resource.attributes.extend(attributes(**resource))
    one.scope_metrics.add().metrics.extend(metrics)
    return found


def gauge(name: str, *points: NumberDataPoint, unit: str = "") -> Metric:
    """Return a gauge."""
    found = Metric(name=name, unit=unit)
    found.gauge.data_points.extend(points)
    return found


def counter(name: str, *points: NumberDataPoint, unit: str = "", delta: bool = False) -> Metric:
    """Return a counter."""
    found = Metric(name=name, unit=unit)
    found.sum.aggregation_temporality = 1 if delta else 2  # type: ignore[assignment]  # enumerations are numbers
    found.sum.is_monotonic = True
    found.sum.data_points.extend(points)
    return found


def histogram(name: str, *, count: int, total: float | None, unit: str, **labels: object) -> Metric:
    """Return a cumulative histogram with one point; ``total`` None leaves the sum out."""
    found = Metric(name=name, unit=unit)
    found.histogram.aggregation_temporality = 2  # type: ignore[assignment]  # enumerations are numbers
    point = found.histogram.data_points.add(count=count, time_unix_nano=AT_NS, bucket_counts=[count, 0])
    point.explicit_bounds.append(0.5)
    point.attributes.extend(attributes(**labels))
    if total is not None:
        point.sum = total
    return found
