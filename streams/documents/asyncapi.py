"""The AsyncAPI document: what each process sends and receives on which topic, in which form.

https://www.asyncapi.com/docs/reference/specification/v3.0.0, with the Kafka bindings
https://github.com/asyncapi/bindings/tree/master/kafka. It describes a fleet with the default settings.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import schemas
from streams.catalogue.wire import Channel, wire
from streams.topics import Topic, Topics

BINDING: Final = "0.5.0"
AVRO: Final = "application/vnd.apache.avro+json;version=1.9.0"
FRAMING: Final = (
    "Avro single-object encoding: C3 01, the CRC-64-AVRO fingerprint of the writer's schema (8 bytes, little-endian), "
    "the body. Readers take every released version (schemas/released.json); this is the newest."
)
PLAIN: Final[Mapping[str, tuple[str, str, str]]] = {
    "line": ("application/octet-stream", "Log lines", "one line or many, in any format of streams/ingest/README.md"),
    "points": ("application/octet-stream", "Metrics", "OTLP, Prometheus text, or JSON {ts, service, metric, value}"),
    "snapshot": ("application/msgpack", "Part of a snapshot", "a chunk of 512 KiB at most, or the seal that ends one"),
    "letter": ("application/octet-stream", "Dead letter", "the record as it was, its own headers behind ours"),
    "mark": (
        "application/octet-stream",
        "Mark of a replay",
        "no value; headers logmend.replaying or logmend.replayed-offsets (offsets, by comma) and logmend.by",
    ),
}
"""Messages that are not Avro: content type, title, what they hold."""


def text(root: Path) -> str:
    """Return the document of a source tree as JSON."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    return json.dumps(document(version), indent=1, ensure_ascii=False) + "\n"


def document(version: str) -> dict[str, Any]:
    """Return the document of a release. Every message of a channel is spelled out once, among the components."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Logmend",
            "version": version,
            "description": "The topics of one fleet, prefix logmend. LOGMEND_FLEET, LOGMEND_LOGS and LOGMEND_METRICS "
            "name others.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "avro/binary",
        "servers": {
            "kafka": {"host": "localhost:9092", "protocol": "kafka", "description": "LOGMEND_BROKERS, or the embedded"}
        },
        "channels": {name: _channel(name, channel) for name, channel in wire().channels.items()},
        "operations": dict(_operations()),
        "components": {
            "messages": {
                f"{name}.{message}": _message(message, channel)
                for name, channel in wire().channels.items()
                for message in channel.carries
            }
        },
    }


@cache
def topic_of(channel: str) -> Topic:
    """Return the topic that a channel of the table is, with its partitions and configuration."""
    topics = Topics()
    name = getattr(topics, channel)
    wanted = name[0] if isinstance(name, tuple) else name
    return next(topic for topic in topics.all() if topic.name == wanted)


def _channel(name: str, channel: Channel) -> dict[str, Any]:
    topic = topic_of(name)
    return {
        "address": topic.name,
        "description": topic.purpose,
        "messages": {message: {"$ref": f"#/components/messages/{name}.{message}"} for message in channel.carries},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": _configuration(topic.config),
                "bindingVersion": BINDING,
            }
        },
    }


def _configuration(config: Mapping[str, str]) -> dict[str, Any]:
    """Return those of a topic's properties that the binding knows, as it writes them."""
    known: dict[str, Any] = {}
    for name, value in config.items():
        if name == "cleanup.policy":
            known[name] = [value]
        elif name in {"retention.ms", "retention.bytes", "delete.retention.ms", "max.message.bytes"}:
            known[name] = int(value)
    return known


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for process, row in wire().processes.items():
        for channel in row.sends:
            yield f"{process}.sends.{channel}", _operation("send", process, channel, wire().sent(process, channel))
        for channel in row.receives:
            carried = wire().channels[channel].carries
            yield f"{process}.receives.{channel}", _operation("receive", process, channel, carried)


def _operation(action: str, process: str, channel: str, messages: tuple[str, ...]) -> dict[str, Any]:
    row = wire().processes[process]
    known: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": f"{process}: {row.does}",
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"} for message in messages],
    }
    if action == "receive" and channel in row.group:
        group = {"type": "string", "const": f"{Topics().fleet}-{process}"}
        known["bindings"] = {"kafka": {"groupId": group, "bindingVersion": BINDING}}
    return known


def _message(name: str, channel: Channel) -> dict[str, Any]:
    bindings = {"kafka": {"key": {"type": "string", "description": channel.key}, "bindingVersion": BINDING}}
    known: dict[str, Any] = {"name": name, "bindings": bindings}
    if channel.headers and name != "mark":
        known["headers"] = {
            "type": "object",
            "properties": {header: {"type": "string", "description": told} for header, told in channel.headers.items()},
        }
    if name in PLAIN:
        kind, title, holds = PLAIN[name]
        return known | {"title": title, "summary": holds, "contentType": kind}
    schema = schemas.load(name, schemas.latest(name))
    return known | {
        "title": schema["name"],
        "summary": schema["doc"],
        "description": FRAMING,
        "contentType": "avro/binary",
        "payload": {"schemaFormat": AVRO, "schema": schema},
    }
