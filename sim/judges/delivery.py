"""What a depot gave of what it had sold, by the connection's meter: no word of the controller is heard.

The plan of these scenarios asks for nothing, so what flows is the services' own. The curves and the score are
reckoned here from the buyers' rules, not with the product's code.
"""

import math
from collections import deque
from typing import Final

from msgspec import Struct

from sim.scenarios.aggregator import Dispatcher
from sim.scenarios.scenario import Scenario
from sim.scenarios.services import PROVEN_S
from sim.world.depot import Depot
from sim.world.physics import droop_at

FCR_CURVE: Final = (
    (-0.2, 1.0),
    (-0.0100001, 0.05),
    (-0.01, 0.0),
    (0.01, 0.0),
    (0.0100001, -0.05),
    (0.2, -1.0),
)
"""(Hz off nominal, share of what is sold, + up): all at 200 mHz, nothing within 10 mHz (SO GL, annex V)."""
BACK_S: Final = 3.0
"""A response may be that of the frequency up to so long ago: a meter's second, a tick, a charger's ramp."""
TOLERANCE: Final = 0.05
"""Of what is sold: what half of a charger's least power is of 60 kW, and the steps of meters."""
WINDOW_S: Final = 900.0
SAMPLE_S: Final = 10
LAGS: Final = 31
HOUR: Final = 360


class Delivery(Struct, frozen=True):
    """What was judged of one service. ``figure`` means what ``name`` says."""

    service: str
    name: str
    figure: float
    wanted: float
    held: bool


class Deliveries:
    """Give ``look`` to ``Depot.watchers``; ``all`` at the end. Where nothing is sold it does nothing."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._sold_w = {service.kind: service.power_w for service in scenario.site.services}
        self._dispatcher = Dispatcher(scenario.aggregator) if scenario.aggregator else None
        self._root = next(feeder.id for feeder in scenario.site.feeders if not feeder.parent)
        self._begins_s = scenario.start_wall_s + PROVEN_S
        self._recent: deque[float] = deque(maxlen=int(BACK_S) + 1)
        self._seconds = self._good = 0
        self._signal: list[float] = []
        self._response: list[float] = []
        self._event_w = -math.inf
        self._windows: dict[float, tuple[float, float]] = {}
        self.reserve = Reserve(scenario) if "backup" in self._sold_w else None

    def look(self, depot: Depot, dt_s: float) -> None:
        """One second of the connection."""
        if not self._sold_w or depot.wall_s < self._begins_s:
            return
        if self.reserve is not None:
            self.reserve.look(depot)
        if len(self._sold_w) == 1:
            self._look_at_meter(depot, dt_s)

    def _look_at_meter(self, depot: Depot, dt_s: float) -> None:
        power_w = depot.feeder_w[self._root]
        if "peak_shaving" in self._sold_w:
            start_s = depot.wall_s - depot.wall_s % WINDOW_S
            seconds, wh = self._windows.get(start_s, (0.0, 0.0))
            self._windows[start_s] = seconds + dt_s, wh + max(power_w, 0.0) * dt_s / 3_600.0
        if "fcr" in self._sold_w:
            self._look_at_frequency(depot, power_w)
        if self._dispatcher is not None and depot.wall_s % SAMPLE_S < dt_s:
            for signal in self._scenario.aggregator.signals if self._scenario.aggregator else ():
                self._signal.append(self._dispatcher.value_at(signal.service, depot.wall_s))
                self._response.append(-power_w / self._sold_w["regulation"])
        for event in self._scenario.aggregator.events if self._scenario.aggregator else ():
            if event.from_wall_s + BACK_S <= depot.wall_s < event.until_wall_s:
                self._event_w = max(self._event_w, power_w)

    def all(self) -> list[Delivery]:
        """Each service that can be judged by the meter alone: where one is sold, not several; and the energy
        that was to be kept.
        """
        found = [self.reserve.delivery()] if self.reserve is not None else []
        if self._seconds:
            share = self._good / self._seconds
            found.append(Delivery("fcr", "share of seconds in tolerance", share, 0.99, share >= 0.99))
        if self._signal:
            total = three_part_score(self._signal[:HOUR], self._response[: HOUR + LAGS - 1])
            found.append(Delivery("regulation", "score", total, 0.9, total >= 0.9))
        whole = [
            wh * 3_600.0 / WINDOW_S for seconds, wh in self._windows.values() if seconds >= WINDOW_S - 1.0
        ]
        if whole:
            limit_w = self._sold_w["peak_shaving"]
            held = max(whole) <= limit_w * 1.005
            found.append(Delivery("peak_shaving", "highest quarter hour, W", max(whole), limit_w, held))
        if self._event_w > -math.inf and self._scenario.aggregator:
            limit_w = min(event.power_w for event in self._scenario.aggregator.events)
            found.append(
                Delivery(
                    "event", "most W drawn in it", self._event_w, limit_w, self._event_w <= limit_w * 1.01
                )
            )
        return found

    def _look_at_frequency(self, depot: Depot, power_w: float) -> None:
        sold_w = self._sold_w["fcr"]
        nominal_hz = self._scenario.site.grid.nominal_hz
        self._recent.append(droop_at(FCR_CURVE, depot.grid.frequency_hz(depot.wall_s) - nominal_hz))
        if len(self._recent) < (self._recent.maxlen or 0):
            return
        given = -power_w / sold_w
        self._seconds += 1
        self._good += min(self._recent) - TOLERANCE <= given <= max(self._recent) + TOLERANCE


def three_part_score(asked: list[float], given: list[float]) -> float:
    """Mean of correlation, delay and precision of samples of ten seconds; the response is read five minutes
    longer.
    """
    count = len(asked) - max(0, len(asked) + LAGS - 1 - len(given))
    asked = asked[:count]
    found = [round(_correlation(asked, given[lag : lag + count]), 6) for lag in range(LAGS)]
    best = max(found)
    late_s = found.index(best) * SAMPLE_S
    size = sum(map(abs, asked))
    missed = sum(abs(a - b) for a, b in zip(asked, given, strict=False))
    precision = max(0.0, 1.0 - missed / size) if size else 0.0
    return (max(best, 0.0) + abs(late_s - 300.0) / 300.0 + precision) / 3.0 if best > 0.0 else precision / 3.0


def _correlation(xs: list[float], ys: list[float]) -> float:
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    both = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    spread = math.sqrt(sum((x - mean_x) ** 2 for x in xs) * sum((y - mean_y) ** 2 for y in ys))
    return both / spread if spread > 0.0 else 0.0


class Reserve:
    """Whether the vehicles keep the energy that was sold as backup: from the time when they first hold it to
    the first departure, by their true charge.
    """

    def __init__(self, scenario: Scenario) -> None:
        backups = [service for service in scenario.site.services if service.kind == "backup"]
        self.kept_wh = sum(service.power_w * service.energy_h for service in backups)
        self.least_wh = math.inf
        self.out_wh = 0.0
        kinds = {kind.id: kind for kind in scenario.site.vehicle_types}
        self._floor_pct = {
            vehicle.id: kinds[vehicle.type].min_soc_pct + vehicle.reserve_soc_pct
            for vehicle in scenario.site.vehicles
        }
        self._until_s = min(visit.gone_wall_s for visit in scenario.visits)

    def delivery(self) -> Delivery:
        """The least that they held."""
        least_wh = self.least_wh if self.least_wh < math.inf else 0.0
        return Delivery("backup", "least Wh kept", least_wh, self.kept_wh, least_wh >= self.kept_wh)

    def look(self, depot: Depot) -> None:
        """One step of the physics."""
        if depot.wall_s >= self._until_s:
            return
        self.out_wh = sum(charger.export_wh for charger in depot.chargers.values())
        batteries = [charger.battery for charger in depot.chargers.values() if charger.battery]
        stored_wh = sum(
            max(battery.soc_pct - self._floor_pct[battery.id], 0.0) * battery.capacity_wh / 100.0
            for battery in batteries
        )
        if self.least_wh < math.inf or stored_wh >= self.kept_wh:
            self.least_wh = min(self.least_wh, stored_wh)
