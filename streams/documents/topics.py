"""The list of topics, and the access lists that each kind of process needs on a broker with an authorizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from streams.catalogue.wire import wire
from streams.documents.asyncapi import topic_of
from streams.topics import DAY_MS, Topic, Topics

HEAD: Final = """# Topics, and who may do what with them

<!-- Written by `python -m streams.documents` from streams/topics.py and streams/catalogue/wire.toml. -->

`logmend topics create` makes what is missing, with up to three replicas; with three, two must have a record before it
counts. What travels in detail: [asyncapi.json](asyncapi.json) and the [schemas](../schemas/README.md).

"""

ACCESS: Final = """
## Access lists

One user for each kind of process. `R` may read, `W` may write; nothing else is needed, and no topic is made by itself.
Two of them matter most. Who may write to the inbox for people may approve and apply anything: Logmend knows people by
that list alone. Who may read `logs` or the dead letters reads what producers sent, secrets too.

`topics create`, `topics accept-reset`, `upgrade`, `restore` and `erase` make, fill or cut topics: they are for an
administrator of the fleet.

"""

COMMANDS: Final = """
As commands, with the default names; users are called as the processes. Replace the address, and give
`kafka-acls.sh` the credentials of an administrator (`--command-config`):

```sh
"""


class Acl(NamedTuple):
    """One thing that the user of a process may do: ``kind`` is topic or group, ``operation`` Kafka's word."""

    process: str
    kind: str
    name: str
    operation: str


def acls(topics: Topics | None = None) -> Iterator[Acl]:
    """Yield what the users of all processes may do, with the names of a fleet."""
    topics = topics or Topics()
    for process, row in wire().processes.items():
        for operation, channels in (("Read", row.receives), ("Write", tuple(row.sends))):
            for channel in channels:
                yield from (Acl(process, "topic", name, operation) for name in names_of(topics, channel))
        if row.group:
            yield Acl(process, "group", f"{topics.fleet}-{process}", "Read")


def names_of(topics: Topics, channel: str) -> tuple[str, ...]:
    """Return the names of a channel's topics in a fleet: logs and metrics may be several."""
    found: str | tuple[str, ...] = getattr(topics, channel)
    return (found,) if isinstance(found, str) else found


def text() -> str:
    """Return topics, a table of who may do what, and the commands that say so to a broker, as Markdown."""
    return HEAD + _listed() + ACCESS + _table() + COMMANDS + "\n".join(_commands()) + "\n```\n"


def _listed() -> str:
    rows = ["| topic | partitions | kept | holds |", "|---|---|---|---|"]
    for channel in wire().channels:
        topic = topic_of(channel)
        partitions = "8, or as you like" if topic.partitions > 1 else "1"
        rows.append(f"| `{topic.name}` | {partitions} | {_kept(topic)} | {topic.purpose} |")
    return "\n".join(rows) + "\n"


def _kept(topic: Topic) -> str:
    if topic.config.get("cleanup.policy") == "compact":
        return "the last of each key"
    kept_ms = int(topic.config["retention.ms"])
    return "for ever" if kept_ms < 0 else f"{kept_ms // DAY_MS} days"


def _table() -> str:
    processes = wire().processes
    rows = ["| | " + " | ".join(processes) + " |", "|---" * (len(processes) + 1) + "|"]
    for channel in wire().channels:
        may = ["R" * (channel in row.receives) + "W" * (channel in row.sends) for row in processes.values()]
        rows.append(f"| `{topic_of(channel).name}` | " + " | ".join(may) + " |")
    groups = [f"`logmend-{name}`" if row.group else "" for name, row in processes.items()]
    rows.append("| group | " + " | ".join(groups) + " |")
    return "\n".join(rows) + "\n"


def _commands() -> Iterator[str]:
    """Yield one command for each user, operation and kind of thing."""
    known: dict[tuple[str, str, str], list[str]] = {}
    for acl in acls():
        known.setdefault((acl.process, acl.kind, acl.operation), []).append(acl.name)
    for (process, kind, operation), names in known.items():
        things = " ".join(f"--{kind} {name}" for name in names)
        yield f"kafka-acls.sh --bootstrap-server kafka-1:9092 --add --allow-principal User:{process} \\"
        yield f"  --operation {operation} {things}"
