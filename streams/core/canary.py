"""The canary: a line of our own that must become a decision, so that silence of everything else can be believed.

``logmend host`` sends it as any producer sends its lines. Here it becomes one decision and nothing more: no incident,
no rate, no template, no assessment, whatever the inventory says of a service of that name.
"""

from __future__ import annotations

from itertools import chain
from typing import Final

import msgspec

from streams.core.events import Coordinate, Slice
from streams.core.state import Draft, Turn

SERVICE: Final = "logmend-canary"
EVERY_MS_MIN: Final = 10_000
"""Anybody can send lines under that name: no more than one in so long is decided on."""


def hear(turn: Turn, fact: Slice) -> Slice:
    """Decide on the canary's lines in a slice, and return the slice without them, and without figures of that name."""
    names = chain((one.service for one in fact.tallies), (one.service for one in fact.samples))
    if all(name != SERVICE for name in names):
        return fact
    heard = next((one for one in fact.detections if one.service == SERVICE), None)
    if heard is not None and turn.now_ms - turn.state.canary_ms >= EVERY_MS_MIN:
        at_ms = turn.seen_ms(heard.at_last_ms)
        turn.state.canary_ms, turn.state.canary_at_ms = turn.now_ms, at_ms
        where = (
            Coordinate(topic=fact.source, partition=fact.partition, offset=line.offset, index=line.index)
            for line in heard.lines
        )
        draft = Draft(kind="canary_heard", reason="the line that was sent for this", service=SERVICE, host=heard.host)
        draft.pattern, draft.category, draft.severity = heard.pattern, heard.category, heard.severity
        draft.at_ms, draft.count, draft.confidence = at_ms, heard.count, heard.confidence
        draft.causes = tuple(where)
        turn.write(draft)
    return msgspec.structs.replace(
        fact,
        detections=tuple(one for one in fact.detections if one.service != SERVICE),
        tallies=tuple(one for one in fact.tallies if one.service != SERVICE),
        samples=tuple(one for one in fact.samples if one.service != SERVICE),
    )
