"""Depots ready to export, and random ones: sites, snapshots and memories for the envelope's tests.

``ready`` is a depot in which every row is quiet, so that a test can break one thing at a time. The strategies
draw whole scenes: a site, what the envelope remembers, what is measured and what is wished, good and bad
mixed.
"""

from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import BUS, small_evse
from tests.envelope.grids import toy as toy_code
from v2g_edge.departure.depot import depot_of
from v2g_edge.envelope.enter_service import ServiceMemory
from v2g_edge.envelope.exposure import UNMETERED_S
from v2g_edge.envelope.memory import EnvelopeMemory
from v2g_edge.envelope.permits import Decision, permit_all
from v2g_edge.model.evidence import EvseMemory, Told
from v2g_edge.model.frame import Frame, frame_of
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.permit import Wish
from v2g_edge.model.reading import Measured, Reading, Unknown
from v2g_edge.model.site import (
    CurrentLimit,
    Evse,
    Feeder,
    GridSettings,
    SafetySettings,
    Site,
    Vehicle,
    VehicleType,
)
from v2g_edge.model.snapshot import (
    CommandState,
    ContactState,
    EvseState,
    GridSample,
    Link,
    MeterState,
    Operator,
    Snapshot,
    TemperatureState,
    VehicleState,
)

NOW_S = 1_000.0
WALL_S = 1_000_000.0
GONE = Unknown("taken away")


class Scene(NamedTuple):
    """Everything one tick of the envelope needs."""

    site: Site
    snapshot: Snapshot
    memory: EnvelopeMemory
    wishes: dict[str, Wish]


def permit(scene: Scene) -> Decision:
    """One tick."""
    return permit_all(depot_of(frame(scene.site)), scene.snapshot, scene.wishes, scene.memory)


def frame(site: Site) -> Frame:
    """The site laid out."""
    return frame_of(site)


def ready(evses: int = 2, wish_w: float = -20_000.0, **changes: Any) -> Scene:
    """A depot in service with a bus at every outlet, exporting ``wish_w`` each; ``changes`` go to the
    site.
    """
    ids = [f"b{i}" for i in range(1, evses + 1)]
    site = Site(
        name="ready",
        timezone="Europe/Berlin",
        grid=GridSettings("toy", 230.0, 50.0, "relay", "grid", True, profile=toy_code()),
        feeders=(
            Feeder("hall", "main", 100_000.0, 100_000.0, 0.0, 0.0, "hall-meter"),
            Feeder("main", "", 200_000.0, 100_000.0, 30_000.0, 5_000.0, "grid"),
        ),
        evses=tuple(small_evse(evse) for evse in ids),
        vehicle_types=(BUS,),
        vehicles=tuple(Vehicle(f"bus-{i}", "bus", True) for i in range(1, evses + 1)),
        meters=("grid", "hall-meter"),
        contacts=("relay",),
        temperatures=("loop",),
        safety=SafetySettings(),
    )
    site = replace(site, **changes)
    wishes = {evse.id: Wish(evse.id, wish_w, 0.5, "test") for evse in site.evses}
    memory = EnvelopeMemory(
        now_s=NOW_S - 1.0,
        started=True,
        evses=tuple(remembered(f"s-bus-{i}", wish_w) for i in range(1, evses + 1)),
        service=ServiceMemory("in_service", "", 0.0, NOW_S - 500.0, NOW_S - 1.0, NOW_S - 1.0, NOW_S - 400.0),
        day=int(WALL_S // 86_400.0),
    )
    return Scene(site, healthy(site, wish_w), memory, wishes)


def remembered(session: str, power_w: float) -> EvseMemory:
    """An outlet that was permitted ``power_w`` and told so."""
    return EvseMemory(
        power_w=power_w,
        lease_until_s=NOW_S + 29.0,
        most_w=max(power_w, 0.0),
        least_w=min(power_w, 0.0),
        session=session,
        soc_pct=80.0,
        soc_at_s=NOW_S - 10.0,
        top_pct=80.0,
        warm_at_s=NOW_S - 1.0,
    )


def healthy(site: Site, power_w: float = 0.0) -> Snapshot:
    """Everything connected, fresh and nominal; each bus at ``power_w``, and the meters agree."""
    link = Link(connected=True, ever_seen=True, last_seen_s=NOW_S)
    nominal = (Reading(site.grid.nominal_v, NOW_S),) * 3
    hz = Reading(site.grid.nominal_hz, NOW_S)
    laid = frame_of(site)

    def meter(index: int) -> MeterState:
        span = laid.spans[index]
        total_w = power_w * len(span.members) + span.base_max_w
        return MeterState(link, Reading(total_w, NOW_S), (Reading(total_w / 3.0, NOW_S),) * 3, nominal, hz)

    return Snapshot(
        seq=1,
        now_s=NOW_S,
        wall_s=WALL_S,
        clock_synced=True,
        evses=tuple(outlet(vehicle.id, power_w) for vehicle in site.vehicles),
        meters=tuple(meter(index) for index in range(len(site.meters))),
        contacts=tuple(ContactState(link, Reading(1.0, NOW_S)) for _ in site.contacts),
        temperatures=tuple(TemperatureState(link, Reading(25.0, NOW_S)) for _ in site.temperatures),
        operator=Operator(),
        grid_samples=tuple(GridSample(NOW_S - 0.5 + 0.1 * i, nominal, hz) for i in range(6)),
    )


def outlet(vehicle: str, power_w: float = 0.0, **changes: Any) -> EvseState:
    """An outlet with a healthy bus at 80 %; ``changes`` go to the vehicle."""
    state = VehicleState(
        session=f"s-{vehicle}",
        vehicle=vehicle,
        plugged_wall_s=WALL_S - 60.0,
        soc_pct=Reading(80.0, NOW_S),
        capacity_wh=Reading(200_000.0, NOW_S),
        departure_wall_s=Reading(WALL_S + 36_000.0, NOW_S),
        target_soc_pct=Reading(90.0, NOW_S),
        max_charge_w=Reading(50_000.0, NOW_S),
        max_discharge_w=Reading(50_000.0, NOW_S),
        pack_c=Reading(20.0, NOW_S),
        discharge_authorised=Reading(1.0, NOW_S),
        soh_pct=Reading(100.0, NOW_S),
        life_discharge_wh=Reading(0.0, NOW_S),
        life_discharge_h=Reading(0.0, NOW_S),
        life_discharge_efc=Reading(0.0, NOW_S),
    )
    return EvseState(
        link=Link(connected=True, ever_seen=True, last_seen_s=NOW_S),
        status="occupied",
        power_w=Reading(power_w, NOW_S),
        dead_man_ok=True,
        proven_discharge=True,
        vehicle=replace(state, **changes),
        command=CommandState(power_w, "accepted", NOW_S - 5.0, NOW_S + 25.0),
    )


def with_evse(scene: Scene, index: int = 0, **changes: Any) -> Scene:
    """The scene with fields of one outlet's state changed."""
    evses = list(scene.snapshot.evses)
    evses[index] = replace(evses[index], **changes)
    return scene._replace(snapshot=replace(scene.snapshot, evses=tuple(evses)))


def with_vehicle(scene: Scene, index: int = 0, **changes: Any) -> Scene:
    """The scene with fields of one vehicle's state changed."""
    vehicle = scene.snapshot.evses[index].vehicle
    assert vehicle is not None
    return with_evse(scene, index, vehicle=replace(vehicle, **changes))


def with_meter(scene: Scene, meter: str, **changes: Any) -> Scene:
    """The scene with fields of one meter's state changed."""
    meters = list(scene.snapshot.meters)
    index = scene.site.meters.index(meter)
    meters[index] = replace(meters[index], **changes)
    return scene._replace(snapshot=replace(scene.snapshot, meters=tuple(meters)))


def with_memory(scene: Scene, index: int = 0, **changes: Any) -> Scene:
    """The scene with fields of one outlet's memory changed."""
    evses = list(scene.memory.evses)
    evses[index] = replace(evses[index], **changes)
    return scene._replace(memory=replace(scene.memory, evses=tuple(evses)))


def with_site(scene: Scene, **changes: Any) -> Scene:
    """The scene on a changed site."""
    return scene._replace(site=replace(scene.site, **changes))


def with_kind(scene: Scene, **changes: Any) -> Scene:
    """The scene with its only vehicle type changed."""
    return with_site(scene, vehicle_types=(replace(scene.site.vehicle_types[0], **changes),))


def with_snapshot(scene: Scene, **changes: Any) -> Scene:
    """The scene with fields of the snapshot changed."""
    return scene._replace(snapshot=replace(scene.snapshot, **changes))


def next_tick(scene: Scene, decision: Decision, dt_s: float = 1.0, *, follow: bool = True) -> Scene:
    """The same picture ``dt_s`` later, with fresh readings and the permits followed (``follow``)."""
    site, old = scene.site, scene.snapshot
    now_s = old.now_s + dt_s

    def moved(value: Any) -> Any:
        if isinstance(value, Reading):
            return Reading(value.value, now_s) if value.at_s == old.now_s else value
        if isinstance(value, Link):
            return replace(value, last_seen_s=now_s) if value.last_seen_s == old.now_s else value
        if isinstance(value, tuple):
            return tuple(moved(item) for item in value)
        if hasattr(value, "__struct_fields__"):
            return replace(
                value, **{field: moved(getattr(value, field)) for field in value.__struct_fields__}
            )
        return value

    evses = []
    for state, given in zip(old.evses, decision.permits, strict=True):
        command = CommandState(given.power_w, "accepted", now_s, now_s + given.valid_for_s, given.droop_w)
        obeyed = replace(state, power_w=Reading(given.power_w, now_s), command=command) if follow else state
        evses.append(moved(obeyed))
    nominal = (Reading(site.grid.nominal_v, now_s),) * 3
    samples = tuple(
        GridSample(now_s - i * 0.1 * dt_s, nominal, Reading(50.0, now_s - i * 0.1 * dt_s))
        for i in (3, 2, 1, 0)
    )
    snapshot = replace(
        old,
        seq=old.seq + 1,
        now_s=now_s,
        wall_s=old.wall_s + dt_s,
        evses=tuple(evses),
        meters=tuple(moved(meter) for meter in old.meters),
        contacts=tuple(moved(contact) for contact in old.contacts),
        temperatures=tuple(moved(sensor) for sensor in old.temperatures),
        grid_samples=samples,
    )
    return Scene(site, snapshot, decision.memory, scene.wishes)


class Dice(Random):
    """Chance from a seed. ``trouble`` is the share of things that are not as they should be: one in three
    scenes has none, so that export is seen too.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.trouble = self.choice([0.0, 0.02, 0.1])


def reading(dice: Dice, low: float, high: float) -> Measured:
    """Mostly fresh; with trouble old or missing."""
    value = dice.uniform(low, high)
    if dice.random() >= 2.0 * dice.trouble:
        return Reading(value, NOW_S - dice.choice([0.0, 0.2, 0.9]))
    age_s = dice.choice([1.5, 5.0, 40.0, 400.0])
    return GONE if dice.random() < 0.5 else Reading(value, NOW_S - age_s)


def rarely(dice: Dice, common: Any, *rare: Any) -> Any:
    """The common case, unless there is trouble: many small faults at once would hide each other."""
    return common if dice.random() >= dice.trouble else dice.choice(rare)


def trees(dice: Dice) -> tuple[Feeder, ...]:
    """One to four feeders, each below an earlier one, with and without meters and limits per phase."""
    feeders = []
    for index in range(dice.randint(1, 4)):
        parent = f"f{dice.randint(0, index - 1)}" if index else ""
        base_max_w = dice.choice([0.0, 5_000.0, 30_000.0])
        current = CurrentLimit(
            import_a=dice.choice([40.0, 100.0, 300.0]),
            export_a=dice.choice([0.0, 40.0, 300.0]),
            imbalance_a=dice.choice([ANY_W, 20.0, 60.0]),
            base_load_a=dice.choice([None, 0.0, 20.0]),
        )
        feeders.append(
            Feeder(
                id=f"f{index}",
                parent=parent,
                import_limit_w=dice.choice([20_000.0, 60_000.0, 150_000.0, 400_000.0]),
                export_limit_w=dice.choice([0.0, 20_000.0, 60_000.0, 300_000.0]),
                base_load_max_w=base_max_w,
                base_load_min_w=dice.choice([0.0, min(base_max_w, 2_000.0), -10_000.0]),
                meter="grid" if index == 0 else dice.choice(["", f"m{index}"]),
                current=dice.choice([None, current]),
            )
        )
    return tuple(sorted(feeders, key=lambda feeder: feeder.id))


def evses_on(dice: Dice, feeders: tuple[Feeder, ...]) -> tuple[Evse, ...]:
    """One to five chargers, three- and single-phase, on any feeder."""
    evses = []
    for index in range(1, dice.randint(1, 5) + 1):
        phases = dice.choice(["L1L2L3", "L1L2L3", "L2L3L1", "L1", "L2", "L3"])
        single = len(phases) == 2
        power_w = dice.choice([7_400.0] if single else [22_000.0, 50_000.0])
        evses.append(
            small_evse(
                f"b{index}",
                feeder=dice.choice([feeder.id for feeder in feeders]),
                phases=phases,
                max_charge_w=power_w,
                max_discharge_w=power_w,
                min_charge_w=1_380.0 if single else 4_140.0,
                fallback_w=dice.choice([0.0, 0.0, 2_000.0]),
                dead_man=(rarely(dice, "ocpp_profile", "none", "contactor")),
                discharge_by=(rarely(dice, "negative_limit", "none")),
                min_discharge_w=dice.choice([0.0, 1_000.0]),
                cooling_loop=dice.choice(["", "loop"]),
                phase_load=dice.choice(["auto", "by_vehicle", "even"]),
            )
        )
    return tuple(evses)


def kinds(dice: Dice) -> VehicleType:
    """A bus type with some of its limits set tighter."""
    return replace(
        BUS,
        max_soc_pct=dice.choice([100.0, 90.0]),
        max_discharge_w=dice.choice([50_000.0, 15_000.0]),
        pack_max_c=dice.choice([50.0, ANY_W]),
        soh_floor_pct=dice.choice([0.0, 70.0]),
        warranty_discharge_wh=dice.choice([ANY_W, 1e6]),
        needs_authorisation=dice.random() < 0.5,
    )


def sites(dice: Dice) -> Site:
    """A random depot that is ready to export."""
    feeders = trees(dice)
    evses = evses_on(dice, feeders)
    return replace(
        ready(1).site,
        feeders=feeders,
        evses=evses,
        vehicle_types=(kinds(dice),),
        vehicles=tuple(
            Vehicle(f"bus-{i}", "bus", (rarely(dice, True, False))) for i in range(1, len(evses) + 1)
        ),
        meters=tuple(sorted({feeder.meter for feeder in feeders if feeder.meter})),
        safety=replace(
            SafetySettings(),
            sustained_pct=dice.choice([100.0, 60.0]),
            ramp_up_w_per_s=dice.choice([5_000.0, 1e6]),
        ),
    )


def states(dice: Dice, vehicle: str, evse: Evse) -> EvseState:
    """One outlet: mostly a healthy bus somewhere in its windows."""
    silent = rarely(dice, False, True)
    age_s = dice.choice([1.0, 29.0, 31.0, 300.0]) if silent else 0.0
    state = outlet(
        vehicle,
        soc_pct=(reading(dice, 15.0, 100.0)),
        departure_wall_s=(rarely(dice, Reading(WALL_S + 36_000.0, NOW_S), GONE)),
        max_charge_w=(reading(dice, 0.0, 60_000.0)),
        max_discharge_w=(reading(dice, 0.0, 60_000.0)),
        pack_c=reading(dice, 0.0 - 100.0 * dice.trouble, 45.0 + 100.0 * dice.trouble),
        discharge_authorised=reading(dice, 1.0, 1.0),
        soh_pct=(reading(dice, 60.0, 100.0)),
        life_discharge_wh=(reading(dice, 0.0, 1.2e6)),
    )
    return replace(
        state,
        link=Link(
            (rarely(dice, True, False)), (rarely(dice, True, False)), NOW_S - age_s, (rarely(dice, 0.0, 5.0))
        ),
        status=(rarely(dice, "occupied", "faulted", "available", "unknown")),
        fault=(rarely(dice, "", "Inverter_Fault_0x04", "HighTemperature", "WeakSignal", "never heard of")),
        power_w=(reading(dice, -evse.max_discharge_w, evse.max_charge_w)),
        dead_man_ok=(rarely(dice, True, False)),
        grid_code_ok=(rarely(dice, True, False)),
        proven_discharge=dice.random() < 0.7,
        follows=(rarely(dice, True, False)),
        vehicle=(rarely(dice, state.vehicle, None)),
    )


def showing(dice: Dice, state: EvseState) -> EvseState:
    """Its vehicle may have shown its phases."""
    seen = dice.choice(["", "", "L1", "L1L2", "L1L2L3"])
    return state if state.vehicle is None else replace(state, vehicle=replace(state.vehicle, phases=seen))


def rested(memory: EvseMemory, evse: Evse) -> EvseMemory:
    """An outlet that was permitted no more than its fallback for longer than any lease."""
    told = (Told(NOW_S - 900.0, 0.0, evse.fallback_w),)
    return replace(memory, power_w=0.0, droop_w=0.0, most_w=evse.fallback_w, least_w=0.0, told=told)


def scene_of(dice: Dice) -> Scene:
    """A random depot in a random state with random wishes, and a memory that could have led there."""
    site = sites(dice)
    laid = frame_of(site)
    evses, memories, wishes = [], [], {}
    for index, evse in enumerate(site.evses, 1):
        evses.append(showing(dice, states(dice, f"bus-{index}", evse)))
        last_w = rarely(dice, dice.uniform(-evse.max_discharge_w, evse.max_charge_w), 0.0)
        old = remembered((rarely(dice, f"s-bus-{index}", "s-other", "")), last_w)
        heat_pct = dice.uniform(0.0, 100.0)
        droop_w = min(dice.choice([0.0, 0.0, 3_000.0, 30_000.0]), evse.max_charge_w - abs(last_w))
        droop_w = droop_w if evses[-1].proven_discharge else 0.0
        most_w, least_w = max(last_w + droop_w, 5_000.0), min(last_w - droop_w, 0.0)
        seen = replace(
            old,
            heat_pct=heat_pct,
            event_pct=dice.uniform(0.0, 50.0),
            top_pct=dice.choice([None, dice.uniform(50.0, 100.0)]),
        )
        dark_since_s = dice.choice([ANY_W, ANY_W, NOW_S - UNMETERED_S - 1.0])
        seen = replace(seen, dark_since_s=dark_since_s)
        seen = replace(seen, most_w=most_w, least_w=least_w, droop_w=droop_w)
        memories.append(rested(seen, evse) if dark_since_s < NOW_S and dice.random() < 0.5 else seen)
        power_w = dice.choice([0.0, dice.uniform(-6_000.0, 6_000.0), dice.uniform(-60_000.0, 60_000.0)])
        wishes[evse.id] = Wish(
            evse.id, power_w, 0.5, "test", dice.choice([0.0, 0.0, 2_000.0, 20_000.0, 60_000.0])
        )
    snapshot = healthy(site)
    meters = []
    for meter, span in zip(snapshot.meters, laid.spans, strict=True):
        power = reading(
            dice, -(0.2 + 5.0 * dice.trouble) * span.limit_w, (0.8 + 3.0 * dice.trouble) * span.limit_w
        )
        phases = tuple((reading(dice, -0.2 * span.limit_w, 0.25 * span.limit_w)) for _ in range(3))
        volts = tuple((reading(dice, 170.0, 260.0)) for _ in range(3))
        hz = reading(dice, 50.0 - 0.04 - dice.trouble, 50.04)
        meters.append(
            replace(meter, power_w=power, phase_power_w=phases, phase_voltage_v=volts, frequency_hz=hz)
        )
    snapshot = replace(
        snapshot,
        evses=tuple(evses),
        meters=tuple(replace(meter, repeats=(rarely(dice, 0, 60))) for meter in meters),
        contacts=(
            replace(
                snapshot.contacts[0], closed=(rarely(dice, Reading(1.0, NOW_S), Reading(0.0, NOW_S), GONE))
            ),
        ),
        temperatures=tuple(
            replace(sensor, value_c=(reading(dice, 20.0, 60.0))) for sensor in snapshot.temperatures
        ),
        clock_synced=(rarely(dice, True, False)),
        operator=(
            rarely(dice, Operator(), Operator(stop=True), Operator(closing=True), Operator(export_hold=True))
        ),
    )
    service = rarely(dice, ready().memory.service, ServiceMemory())
    memory = replace(
        ready(1).memory, evses=tuple(memories), service=service, taken_pct={"bus-1": dice.uniform(0.0, 70.0)}
    )
    scene = Scene(site, snapshot, memory, wishes)
    if dice.random() < 0.5:
        return scene
    # Latches and peaks that a tick of experience leaves behind.
    return next_tick(scene, permit(scene), follow=dice.random() < 0.8)


def scenes() -> st.SearchStrategy[Scene]:
    """Random scenes from a seed: drawing each of some hundred values by hypothesis would take a hundred
    times as long.
    """
    return st.integers(0, 2**32 - 1).map(lambda seed: scene_of(Dice(seed)))
