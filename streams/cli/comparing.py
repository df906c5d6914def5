"""Local files against what is in force: ``logmend up`` says where they differ; the log's is what counts."""

from __future__ import annotations

from collections.abc import Iterator

from streams.cli import files
from streams.core.directory import Directory
from streams.core.errors import InputError
from streams.runtime.kafka import KafkaLog
from streams.runtime.view import FactsView
from streams.settings import Settings


async def compare(settings: Settings) -> list[str]:
    """Return one line for each file of the settings that is not what is in force; reads the log if there is any.

    Raises ``InputError`` when no broker answers, ``InvariantError`` when facts are missing.
    """
    if not (settings.policy or settings.rules or settings.services):
        return []
    async with KafkaLog(settings) as log:
        view = await FactsView.open(log, settings.topics)
    return list(differing(settings, view.directory))


def differing(settings: Settings, directory: Directory) -> Iterator[str]:
    """Yield one line for each file of the settings that can't be read, or that ``logmend apply`` would put in force."""
    for file in (settings.policy, settings.rules, settings.services):
        if file is None:
            continue
        try:
            value = files.read(file)
        except InputError as error:
            yield f"not compared with what is in force: {error}"
            continue
        kind = files.kind_of(value)
        if files.differences(getattr(directory, kind), value):
            yield f"{file} is not the {kind} in force: see `logmend diff {file}`, then `logmend apply {file}`"
