"""OpenTelemetry's messages with every text read as bytes.

Producers written in Go pass texts on that are no UTF-8, at which protobuf would refuse the whole message.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

_PACKAGE: Final = "opentelemetry.proto."


def message_classes(signal: ModuleType, *names: str) -> tuple[Any, ...]:
    """Return the classes of messages in a copy of OpenTelemetry's schema.

    ``signal`` is the generated module of a signal; ``names`` are those of messages, without the package's beginning,
    as in ``metrics.v1.Metric``.
    """
    pool = descriptor_pool.DescriptorPool()
    for module in (common_pb2, resource_pb2, signal):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            for field in message.field:
                if field.type == field.TYPE_STRING:
                    field.type = field.TYPE_BYTES
        pool.Add(file)
    found = (pool.FindMessageTypeByName(_PACKAGE + name) for name in names)
    return tuple(message_factory.GetMessageClass(descriptor) for descriptor in found)
