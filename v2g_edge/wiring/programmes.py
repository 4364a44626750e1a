"""Programmes outside that the daemon asks: OpenADR. Their limits and prices go where all others go."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from v2g_edge.api.state import DepotState
from v2g_edge.market.openadr.reports import Measured
from v2g_edge.model.event import Event
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.reading import Reading, is_fresh
from v2g_edge.model.service import CapacityLimit
from v2g_edge.model.settings import Settings
from v2g_edge.tasks import end, keep
from v2g_edge.wiring.plans import Plans

if TYPE_CHECKING:
    from v2g_edge.market.openadr.ven import Ven


def _ven() -> "type[Ven]":
    """Its HTTP client is a tenth of the daemon's start, for sites that name a VTN alone."""
    from v2g_edge.market.openadr.ven import Ven  # noqa: PLC0415

    return Ven


class Programmes:
    """Starts and stops what ``settings`` name; empty without."""

    def __init__(
        self,
        settings: Settings,
        state: DepotState,
        clock: ClockPort,
        tell: Callable[[Event], None],
        plans: Plans,
    ) -> None:
        self._state = state
        self._tasks: list[asyncio.Task[None]] = []
        self.ven: Ven | None = None
        if settings.openadr.url:
            folder = Path(settings.host.state_dir)
            self.ven = _ven()(
                settings.openadr,
                clock,
                folder,
                tell=tell,
                on_change=plans.day.look_again,
                measured=self._measured,
            )
            plans.add_prices(lambda: self.ven.prices if self.ven is not None else (), self.ven.refine)

    async def start(self) -> None:
        """Take what was known before, and begin to ask."""
        if self.ven is not None:
            self.ven.load()
            self._tasks.append(keep("openadr", self.ven.run))

    async def stop(self) -> None:
        """End what is under way."""
        await end(*self._tasks)
        self._tasks.clear()

    def limits_at(self, wall_s: float) -> tuple[CapacityLimit, ...]:
        """All limits of all programmes."""
        return self.ven.limits_at(wall_s) if self.ven is not None else ()

    def _measured(self) -> Measured | None:
        tick = self._state.tick
        if tick is None:
            return None
        site, seen = self._state.site, tick.snapshot
        place = site.meters.index(site.grid.meter) if site.grid.meter in site.meters else None
        power = seen.meters[place].power_w if place is not None else None
        fresh = power is not None and is_fresh(power, seen.now_s, site.safety.meter_max_age_s)
        socs = [
            each.vehicle.soc_pct.value
            for each in seen.evses
            if each.vehicle is not None and isinstance(each.vehicle.soc_pct, Reading)
        ]
        return Measured(
            seen.wall_s,
            power.value if fresh and isinstance(power, Reading) else None,
            round(sum(socs) / len(socs), 1) if socs else None,
        )
