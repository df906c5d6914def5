"""What a measurement of the lab came to: each fault's way, and how sure the share of those healed is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from lab.faults import FAULTS
from lab.timeline import Course, Story

SUCCESS_MIN: Final = 0.985
"""SPEC X4: the share of known patterns that is healed in the lab."""
Z_95: Final = 1.959964
"""Quantile of the normal distribution for an interval of 95 %."""

Mode = Literal["healing", "halted", "control"]
"""Logmend heals; its kill switch is on; it does not run at all."""


class Measured(Course, frozen=True, kw_only=True):
    """One injection; ``pattern`` is what it is a fault of."""

    fault: str
    run: int
    service: str
    pattern: str
    stand_in: str
    good: bool
    note: str


class LabReport(Struct, frozen=True, kw_only=True):
    """A measurement. ``good`` of ``injected`` faults went as they should: healed, or left broken where nothing acts.

    ``low`` and ``high`` are the 95 % interval of that share (Wilson). ``ok``: the share is the promised one at least,
    and all that was asked for was injected; where nothing acts, none may recover; with the kill switch on some must
    have been detected, or it was not that which held back.
    """

    ok: bool
    mode: Mode
    runs: int
    seconds: float
    verify_after_seconds: float
    stay_away_seconds: float
    injected: int
    good: int
    share: float
    low: float
    high: float
    faults: tuple[Measured, ...]


def wilson(good: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927), 209-212; as in
    NIST's handbook of statistical methods, 7.2.4.1.
    """
    if not count:
        return 0.0, 1.0
    share, z2 = good / count, Z_95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def scored(
    mode: Mode, stories: Sequence[Story], *, runs: int, seconds: float, verify_ms: int, away_ms: int
) -> LabReport:
    """Return the report on stories that are over."""
    faults = tuple(_measured(mode, story) for story in stories)
    good = sum(one.good for one in faults)
    injected = sum(story.injected_ms > 0 for story in stories)
    low, high = wilson(good, injected)
    share = good / injected if injected else 0.0
    needed = SUCCESS_MIN if mode == "healing" else 1.0
    return LabReport(
        ok=injected == len(stories) and share >= needed and (mode != "halted" or held_back(stories)),
        mode=mode,
        runs=runs,
        seconds=round(seconds, 1),
        verify_after_seconds=verify_ms / 1000,
        stay_away_seconds=away_ms / 1000,
        injected=injected,
        good=good,
        share=round(share, 6),
        low=round(low, 6),
        high=round(high, 6),
        faults=faults,
    )


def _measured(mode: Mode, story: Story) -> Measured:
    return Measured(
        fault=story.fault,
        run=story.run,
        service=story.service,
        pattern=FAULTS[story.fault].pattern,
        stand_in=story.stand_in,
        **story.course(),
        good=_good(mode, story),
        note=note_of(story),
    )


def healed_as_itself(story: Story) -> bool:
    """Say whether a fault was healed and its own pattern was seen: one that was taken for another does not count."""
    return story.healed and FAULTS[story.fault].pattern in story.seen


def held_back(stories: Sequence[Story]) -> bool:
    """Say whether Logmend saw any of these faults: where it saw none, it was no kill switch that left them broken.

    Of any, not of each: with the kill switch on an incident stays open for a while, and what is seen again in it later
    is no news.
    """
    return any(story.detected_ms for story in stories)


def note_of(story: Story) -> str:
    """Return why a fault did not go as it should, in words for people."""
    if story.note:
        return story.note
    return "taken for another" if story.healed and not healed_as_itself(story) else ""


def _good(mode: Mode, story: Story) -> bool:
    """Say whether a fault went as it should."""
    return healed_as_itself(story) if mode == "healing" else story.stayed_broken


def to_json(report: LabReport) -> bytes:
    """Return the report as JSON."""
    return msgspec.json.encode(report)
