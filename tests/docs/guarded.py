"""A broker that takes nobody in by its second listener but by TLS and SCRAM, and allows nothing that was not granted.

It is the embedded one with another listener and Kafka's own authorizer. Whoever comes by the first one, which only the
test knows, is its administrator.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from streams.documents.topics import Acl
from streams.runtime import broker_config
from streams.runtime.broker import FORMAT_TIMEOUT_S, EmbeddedBroker
from streams.runtime.broker_config import JAVA_ENVIRONMENT
from streams.runtime.jars import run_to_end
from streams.settings import Settings

KINDS: Final = {"topic": 2, "group": 3}
OPERATIONS: Final = {"Read": 3, "Write": 4}
LITERAL: Final = 3
ALLOW: Final = 3
CLUSTER: Final = "bG9nbWVuZC1ndWFyZGVkLQ"
SCRAM: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"


class GuardedBroker(EmbeddedBroker):
    """The embedded broker with a listener at ``port`` for ``users`` (name to password)."""

    def __init__(self, settings: Settings, port: int, keystore: Path, users: dict[str, str]) -> None:
        super().__init__(settings)
        self._guarded_port = port
        self._keystore = keystore
        self._users = users

    def _write_configuration(self, ports: Any) -> Path:
        properties = super()._write_configuration(ports)
        plain, guarded = f"PLAINTEXT://127.0.0.1:{ports.broker}", f"SASL_SSL://127.0.0.1:{self._guarded_port}"
        rows = {
            "listeners": f"{plain},CONTROLLER://127.0.0.1:{ports.controller},{guarded}",
            "advertised.listeners": f"{plain},{guarded}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{SCRAM} required;",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._keystore),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "false",
        }
        with properties.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in rows.items())
        return properties

    async def _format(self, jars: Sequence[Path], properties: Path) -> None:
        users = [
            word
            for name, password in self._users.items()
            for word in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
        ]
        arguments = ("format", f"--cluster-id={CLUSTER}", "-c", str(properties), *users)
        command = broker_config.java(jars, self._home, "kafka.tools.StorageTool", *arguments)
        status, _, problem = await run_to_end(command, FORMAT_TIMEOUT_S, JAVA_ENVIRONMENT)
        assert status == 0, problem


async def grant(address: str, acls: Iterable[Acl]) -> None:
    """Put access lists in force, as ``kafka-acls.sh --add`` does."""
    client = AIOKafkaAdminClient(bootstrap_servers=address)
    await client.start()
    try:
        for acl in acls:
            principal, operation = f"User:{acl.process}", OPERATIONS[acl.operation]
            request = CreateAclsRequest(KINDS[acl.kind], acl.name, LITERAL, principal, "*", operation, ALLOW)
            response = await client._send_request(request)
            assert [code for code, *_ in response.creation_responses] == [0], response
    finally:
        await client.close()
