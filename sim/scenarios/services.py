"""Depots that have sold something: frequency response, a regulation signal, events, or all of it for a night.

The vehicles have what they need, and stay. Five minutes of export at the beginning prove to the controller
that each can give; from then on the cloud's plan asks for nothing (events: for all there is), so that what
flows at the connection is the services' own.
"""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from sim.scenarios.aggregator import Aggregator, DemandEvent, RegulationSignal, Silence
from sim.scenarios.fault import Fault
from sim.scenarios.night import START, night
from sim.scenarios.scenario import Scenario
from sim.scenarios.visit import Visit
from sim.world.depot import Disturbance, Load
from sim.world.frequency import FrequencyProcess
from v2g_edge.model.service import Service, ServiceKind

PROVEN_S: Final = 420.0
"""By then every vehicle has given: export begins minutes after a start, when the grid was seen healthy."""
SOLD_W: Final = 60_000.0
SCORED_S: Final = 3_900.0
"""An hour of signal, and the five minutes more that its score looks at."""
EVENT_W: Final = 40_000.0
PEAK_W: Final = 40_000.0
BACKUP_W: Final = 25_000.0
BACKUP_H: Final = 4.0
"""A charger's share of what the building draws in an outage, and how long it must last."""


def sold(
    kind: ServiceKind, power_w: float = SOLD_W, *, energy_h: float = 0.0, priority: int = 100
) -> Service:
    """A service with contract, and with what commissioning would have measured at this depot."""
    return Service(
        kind.replace("_", "-"),
        kind,
        power_w,
        energy_h=energy_h,
        priority=priority,
        contract=True,
        response_s=2.0,
        meter_hz=0.001,
        meter_w=10.0,
        meter_s=1.0,
    )


def fcr(seed: int, *, chargers: int = 4, lasts_s: float = 1_800.0) -> Scenario:
    """Frequency containment in a restless hour: twice the ordinary deviation of the continent."""
    scenario = _standing(seed, chargers, PROVEN_S + lasts_s, sold("fcr"))
    return replace(scenario, name="fcr", frequency=FrequencyProcess(seed, sigma_hz=0.05, memory_s=180.0))


def regulation(
    seed: int, *, chargers: int = 4, lasts_s: float = SCORED_S, silences: tuple[Silence, ...] = ()
) -> Scenario:
    """A two-second signal for an hour."""
    service = sold("regulation")
    scenario = _standing(seed, chargers, PROVEN_S + lasts_s, service)
    begins_s = scenario.start_wall_s + PROVEN_S
    signal = RegulationSignal(service.id, begins_s, begins_s + lasts_s, seed=seed, silences=silences)
    return replace(scenario, name="regulation", aggregator=Aggregator(signals=(signal,)))


def event(seed: int, *, chargers: int = 4, lasts_s: float = 900.0) -> Scenario:
    """Vehicles that charge, and an aggregator that dispatches: the depot may draw ``EVENT_W`` for a while."""
    scenario = _standing(seed, chargers, PROVEN_S + 2.0 * lasts_s, sold("demand_response"))
    begins_s = scenario.start_wall_s + PROVEN_S + lasts_s / 2.0
    asked = DemandEvent(EVENT_W, begins_s, begins_s + lasts_s, notice_s=300.0)
    first, second = scenario.faults
    charging = replace(second, kind="cloud_charge")
    return replace(scenario, name="event", faults=(first, charging), aggregator=Aggregator(events=(asked,)))


def peaks(seed: int, *, chargers: int = 4, lasts_s: float = 3_200.0) -> Scenario:
    """Vehicles that charge beside a restless building, which alone is above ``PEAK_W`` half of the time."""
    scenario = _standing(seed, chargers, PROVEN_S + lasts_s, sold("peak_shaving", PEAK_W))
    first, second = scenario.faults
    feeders = tuple(
        replace(each, base_load_max_w=0.0 if each.parent else 1.5 * PEAK_W) for each in scenario.site.feeders
    )
    root = next(each for each in feeders if not each.parent)
    return replace(
        scenario,
        name="peaks",
        site=replace(scenario.site, feeders=feeders),
        loads=(Load(root.id, PEAK_W, restless_w=0.3 * PEAK_W),),
        faults=(first, replace(second, kind="cloud_charge")),
    )


def sold_out(seed: int, *, chargers: int = 12, outage_h: float = 8.0) -> Scenario:
    """A night in which the depot sells frequency response, regulation and events, trades, and keeps energy
    for an outage: about two thirds of what its vehicles come home with. The grid fails for half an hour,
    ``outage_h`` after the beginning.
    """
    scenario = night(seed, chargers=chargers, quiet=True)
    backup = sold("backup", chargers * BACKUP_W, energy_h=BACKUP_H, priority=1)
    services = (backup, sold("fcr"), sold("regulation"), sold("demand_response", priority=200))
    start_s, end_s = scenario.start_wall_s, scenario.end_wall_s
    signal = RegulationSignal("regulation", start_s + 3_600.0, end_s, seed=seed)
    events = tuple(
        DemandEvent(chargers * 10_000.0, start_s + hour * 3_600.0, start_s + (hour + 0.5) * 3_600.0)
        for hour in (1.5, 3.5, 9.5)
    )
    outage = Disturbance(start_s + outage_h * 3_600.0, 1_800.0, relay_open=True, frequency_hz=47.0)
    return replace(
        scenario,
        name="sold-out",
        site=replace(scenario.site, services=services),
        disturbances=(outage,),
        frequency=FrequencyProcess(seed, sigma_hz=0.04, memory_s=180.0),
        aggregator=Aggregator(signals=(signal,), events=events),
    )


def _standing(seed: int, chargers: int, lasts_s: float, *services: Service) -> Scenario:
    """Vehicles with 60 % that need 50 % in the morning; no building."""
    scenario, start_s = night(seed, chargers=chargers, quiet=True), START.timestamp()
    visits = tuple(
        Visit(evse.id, vehicle.id, start_s, start_s + 12 * 3_600.0, 50.0, 60.0)
        for evse, vehicle in zip(scenario.site.evses, scenario.site.vehicles, strict=True)
    )
    feeders = tuple(replace(each, base_load_max_w=0.0) for each in scenario.site.feeders)
    return replace(
        scenario,
        site=replace(scenario.site, services=services, feeders=feeders),
        visits=visits,
        loads=(),
        duration_s=lasts_s,
        tick_s=1.0,
        faults=(
            Fault("cloud_discharge", "cloud", start_s, PROVEN_S - 30.0),
            Fault("cloud_idle", "cloud", start_s + PROVEN_S - 30.0, lasts_s),
        ),
    )


SERVICES: Final[dict[str, Callable[[int], Scenario]]] = {
    "fcr": fcr,
    "regulation": regulation,
    "event": event,
    "peaks": peaks,
    "sold-out": sold_out,
}
"""By the names that ``sim run --scenario`` takes."""
