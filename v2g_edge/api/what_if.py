"""``what_if``: what the day plan would be, and cost, if one departure moved; nothing is ordered."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from v2g_edge.api.tonight import TonightApi
from v2g_edge.host.child import ChildFailedError
from v2g_edge.host.control import BadRequestError
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.report import Ready, Report

TAKES: Final = frozenset({"subject", "at", "soc_pct"})
LEAST_PCT: Final = 0.5
"""A vehicle whose figures move by less is not said to change."""
LEAST_S: Final = 60.0

Tried = Callable[[tuple[Snapshot, ...]], Awaitable[list[Report]]]
"""Makes the day plan of each picture, and follows none. Raises ``ValueError`` or ``ChildFailedError``."""


class WhatIfApi:
    """Answers one question at a time: each takes the solver some seconds."""

    def __init__(self, tonight: TonightApi, tried: Tried) -> None:
        self._tonight = tonight
        self._tried = tried
        self._one = asyncio.Lock()

    async def what_if(self, params: dict[str, Any]) -> dict[str, Any]:
        """The plan as it is and as it would be: money, power, and the vehicles whose plan changes."""
        if params.keys() - TAKES:
            raise BadRequestError(f"what_if takes {', '.join(sorted(TAKES))}; found {params!r}")
        if self._one.locked():
            raise BadRequestError("another plan is being tried; ask again in a few seconds")
        trial = self._tonight.as_if({"kind": "depart", **params})
        async with self._one:
            try:
                before, after = await self._tried((trial.before, trial.after))
            except (ValueError, ChildFailedError) as fault:
                raise BadRequestError(f"no plan can be tried: {fault}") from fault
        names = {
            evse: state.vehicle.vehicle
            for evse, state in zip(trial.outlets, trial.before.evses, strict=True)
            if state.vehicle is not None
        }
        return {
            "text": trial.text,
            "breaks": trial.breaks,
            "costs": after.money.total - before.money.total,
            "before": _shown(before),
            "after": _shown(after),
            "vehicles": _changed(before, after, names),
        }


def _shown(report: Report) -> dict[str, Any]:
    return {
        "money": {**msgspec.to_builtins(report.money), "total": report.money.total},
        "edges": report.edges,
        "site_kw": report.site_kw,
        "warnings": report.warnings,
    }


def _changed(before: Report, after: Report, names: dict[str, str]) -> list[dict[str, Any]]:
    """The vehicles whose plan changes, each as it is and as it would be."""
    olds = {each.evse: each for each in before.vehicles}
    return [
        {
            "evse": new.evse,
            "vehicle": names.get(new.evse, ""),
            "before": _of(olds[new.evse]),
            "after": _of(new),
        }
        for new in after.vehicles
        if new.evse in olds and _differs(olds[new.evse], new)
    ]


def _of(ready: Ready) -> dict[str, Any]:
    return {
        "leaves_wall_s": ready.leaves_wall_s,
        "ready_wall_s": ready.ready_wall_s,
        "leaves_with_pct": ready.leaves_with_pct,
        "charged_kwh": ready.charged_kwh,
        "exported_kwh": ready.exported_kwh,
        "lacks_kwh": ready.lacks_kwh,
    }


def _differs(old: Ready, new: Ready) -> bool:
    times = ((old.leaves_wall_s, new.leaves_wall_s), (old.ready_wall_s, new.ready_wall_s))
    moved = any((a is None) != (b is None) or abs((a or 0.0) - (b or 0.0)) > LEAST_S for a, b in times)
    other = max(
        abs(old.leaves_with_pct - new.leaves_with_pct),
        abs(old.charged_kwh - new.charged_kwh),
        abs(old.exported_kwh - new.exported_kwh),
    )
    return moved or other > LEAST_PCT
