"""Why a record is a dead letter: the words that stand in slices, metrics, ``logmend.reason`` and ``logmend dlq list``.

What stands before the first colon of a reason is its family, a label of metrics, and a key of ``FAMILIES``. What
stands after it says more for a person.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class Family(Struct, frozen=True):
    """What a family of reasons means, and what somebody who runs Logmend can do about it."""

    means: str
    remedy: str


EMPTY: Final = "empty"
BINARY: Final = "binary"
TOO_MANY_LINES: Final = "too many lines"
PARTLY_READ: Final = "partly read"
TOO_LARGE: Final = "compressed: more than 16 MB when decompressed"
DAMAGED_GZIP: Final = "compressed: damaged gzip"
ZSTD: Final = "compressed: damaged zstd, or more than 16 MB when decompressed"
WRAPPED_TOO_OFTEN: Final = "compressed: wrapped more than four times"
OTHER_SIGNAL: Final = "otlp: metrics or traces, not logs"
OTLP_TOO_MANY_VALUES: Final = "otlp: too many values"
TOO_DEEP: Final = "msgpack: nested too deeply"
TOO_MANY_VALUES: Final = "msgpack: too many values"

FAMILIES: Final[dict[str, Family]] = {
    EMPTY: Family(
        means="The record has no value (a tombstone), or nothing but blanks and NULs.",
        remedy="Nothing is lost. If there are many, look for a producer that sends deletions or empty lines.",
    ),
    BINARY: Family(
        means="The bytes are neither text nor a format that is known here.",
        remedy="Set the shipper's encoding to JSON, text, OTLP or msgpack; what lies here stays unreadable.",
    ),
    TOO_MANY_LINES: Family(
        means="The record holds more lines, or more different ones, than a slice; those before the index were taken.",
        remedy="Lower the shipper's batch size: the lines that it puts into one record. A replay leaves it out.",
    ),
    PARTLY_READ: Family(
        means="Of several lines in the record one can't be taken, for the reason behind the colon; the others were.",
        remedy="Correct the producer. A replay leaves the record out: the lines that were taken would count twice.",
    ),
    "compressed": Family(
        means="The value is compressed by the producer itself and is damaged, too large, or wrapped again and again.",
        remedy="Let the Kafka client compress (compression.type) instead of the application, or send smaller records.",
    ),
    "confluent avro": Family(
        means="The value is in Confluent's framing, and its schema is not to be had or does not fit it.",
        remedy="The producer sent bytes that are not of the schema it names: look at its serializer.",
    ),
    "confluent json": Family(
        means="The schema says that the value is JSON, but there is neither an object nor a text in it.",
        remedy="Correct the producer: the payload is damaged or no log line.",
    ),
    "confluent protobuf is not read": Family(
        means="The value is Protobuf with a schema of its own, which only the producer's classes can tell.",
        remedy="Use Avro, JSON or OTLP for logs.",
    ),
    "otlp": Family(
        means="The value is OpenTelemetry of another signal than logs, or a log record of over 20 000 values.",
        remedy="Send metrics to the topic `metrics`; traces are not read.",
    ),
    "msgpack": Family(
        means="The value is msgpack beyond the limits: 64 levels, 500 000 values.",
        remedy="Send fewer lines in one record.",
    ),
    "unreadable batch": Family(
        means="A compressed batch of Kafka is damaged or unfolds beyond all bounds; its records can't be told apart.",
        remedy="Look for the producer that wrote these offsets; the source topic still has them until it deletes them.",
    ),
    "record too large": Family(
        means="The record is larger than any that is read; it is still in the source topic until that deletes it.",
        remedy="Lower the shipper's batch size, or max.message.bytes of the topic.",
    ),
    "no metrics": Family(
        means="A record of a topic for metrics holds none that can be read.",
        remedy="Send OTLP metrics, Prometheus text or JSON with ts, service, metric and value.",
    ),
    "too large": Family(
        means="One message in a request of metrics is larger than any series needs.",
        remedy="Lower the batch size of the exporter.",
    ),
    "too many points": Family(
        means="A record of metrics holds more points than are read of one record.",
        remedy="Lower the batch size of the exporter.",
    ),
    "too many series": Family(
        means="The samples of one record are more than fit a slice.",
        remedy="Lower the batch size of the exporter, or send fewer labels.",
    ),
    "inbox": Family(
        means="A record of one of Logmend's own inboxes is no event that may be said there.",
        remedy="Only `logmend` and its workers should write to these topics: check the ACLs.",
    ),
}


REMEDIES: Final[dict[str, str]] = {
    "confluent avro: no registry": "Set LOGMEND_SCHEMA_REGISTRY to the registry's URL, then `logmend dlq replay`.",
    "confluent avro: registry unreachable": "See what `logmend doctor` says of it, then `logmend dlq replay`.",
    "confluent avro: registry refuses": "Give LOGMEND_SCHEMA_REGISTRY user:password@ of somebody who may read schemas.",
    "confluent avro: registry answers": "LOGMEND_SCHEMA_REGISTRY leads to something else: correct address and path.",
    "confluent avro: unknown schema": "The producer uses another registry, or bytes begin with NUL by chance.",
    "confluent avro: schema refused": "The schema can't be read safely: send logs by one that is simpler.",
}
"""By the beginning of a reason, where more can be said than for its family."""


IN_PART: Final = (TOO_MANY_LINES, PARTLY_READ)
"""How reasons begin for records of which some lines are counted."""


def family(reason: str) -> str:
    """Return the family of a reason: what stands before its first colon."""
    return reason.partition(":")[0]


def remedy(reason: str) -> str:
    """Return what to do about a reason; a failure of ours (a reason of no family) is to be reported."""
    for beginning, said in REMEDIES.items():
        if reason.startswith(beginning):
            return said
    found = FAMILIES.get(family(reason))
    return found.remedy if found else "This is a fault of Logmend: report it with the record."
