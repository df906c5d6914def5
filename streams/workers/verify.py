"""A look at a service by all of its declared probes, once and now; nothing is touched (``<type>.verify``)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from streams.core.inventory import ProbeSpec, ServiceSpec
from streams.workers.looks import Look, look, missing_tool
from streams.workers.orders import Order
from streams.workers.results import Result, Surroundings


def verify(order: Order, around: Surroundings) -> Result:
    """Say ``green`` when all probes are, else the code of the first that is not.

    Probes that this host can't make are left out; ``no_probe`` when there is none left.
    """
    spec = order.spec
    probes = [probe for probe in spec.probes if not missing_tool(spec, probe, around.tool_path)]
    seen = asyncio.run(_look(spec, probes, around.tool_path))
    if not seen:
        return Result(ok=False, code="no_probe", effect="none")
    detail = ", ".join(f"{probe.kind} {one.code}" for probe, one in zip(probes, seen, strict=True))
    code = next((one.code for one in seen if not one.ok), "green")
    return Result(ok=all(one.ok for one in seen), code=code, effect="none", detail=detail)


async def _look(spec: ServiceSpec, probes: Sequence[ProbeSpec], tool_path: str) -> list[Look]:
    return await asyncio.gather(*(look(spec, probe, tool_path) for probe in probes))
