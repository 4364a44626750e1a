"""The facts that checks and bounds judge by: each outlet and each meter with what is known of it, and what
time has made of it.

Here readings become numbers. One that is missing or old becomes the worst one that its user could see: that
is what makes the whole envelope monotone.
"""

from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.envelope.battery import aged_soc_pct, follow_battery
from v2g_edge.envelope.memory import EnvelopeMemory
from v2g_edge.model.evidence import EvseMemory, MeterMemory
from v2g_edge.model.frame import Frame
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading, fresh_or, is_fresh
from v2g_edge.model.site import Evse, SafetySettings, Site, Vehicle, VehicleType
from v2g_edge.model.snapshot import ContactState, EvseState, MeterState, Snapshot, VehicleState
from v2g_edge.model.tree import phase_weights

DAY_S: Final = 86_400.0
TURN_WINDOW_S: Final = 15.0
TURN_REPORTS: Final = 3.0
"""Three reports of the slowest charger, at least 15 s: what meter and chargers did in this time is seen by
both.
"""
TURN_AGE_S: Final = 10.0
"""Chargers that report less often show nothing here: what they did and what the meter saw cannot be laid
side by side.
"""
UNTOLD_S: Final = 900.0
"""A pack of which no temperature was told for so long may be at any: what it was before says nothing."""
TURNS: Final = 3
"""So many opposite moves in a row: one or two may be the building's own."""
TURN_W: Final = 10_000.0
TURN_SHARE: Final = 0.05
"""Chargers must have moved by this much, and this share of the feeder's limit, before a meter's direction
says anything.
"""


class Outlet(Struct, frozen=True, gc=False):
    """One outlet at this tick. ``kind`` and ``known`` are None for an unknown vehicle. ``fresh``: its power
    is; ``metered``: that, or it is idle: nothing is plugged in and it listens.

    ``power_w`` is 0 when not metered, ``soc_pct`` (the least that it may be now) None when unknown;
    ``pack_c`` and ``loop_c`` are then at their upper limits. ``floor_pct`` is the SoC below which nothing is
    taken, with the vehicle's own reserve (-1: unknown vehicle).

    ``careful_w`` is what it is charged with while its pack is out of its window: the fallback. Where nothing
    tells a temperature that would be for good, so the charger's minimum counts where that is more; it warms
    no pack. What was told up to the last tick counts: no reading that is lost in this one makes it more.
    """

    id: str
    evse: Evse
    state: EvseState
    memory: EvseMemory
    vehicle: VehicleState | None
    known: Vehicle | None
    kind: VehicleType | None
    listens: bool
    fresh: bool
    metered: bool
    power_w: float
    soc_pct: float | None
    floor_pct: float
    pack_c: float
    loop_c: float
    taken_pct: float
    careful_w: float


class Meter(NamedTuple):
    """One meter. ``alive``: every value asked of it is fresh. ``odd`` says how it contradicts its chargers,
    "" if it does not.

    ``beyond``: it shows more base load than was commissioned. ``missing``: a reading that this takes is not
    there. ``sure``: none is missing, and no charger is taken to be at its fallback only because it is away;
    nothing less bears witness for a charger that disobeyed. ``against``: how often in a row it moved against
    its chargers, up to the last tick (so that a reading lost in this one cannot make it fewer).
    """

    id: str
    state: MeterState
    memory: MeterMemory | None
    against: int
    alive: bool
    odd: str
    sure: bool
    missing: bool
    beyond: bool


class Grid(NamedTuple):
    """The verdict on the grid connection: why it trips, why export ceases for a moment, and how far it is
    back in service.
    """

    fault: str
    cease: str
    service: str
    share: float


class Context(NamedTuple):
    """What the checks see. ``grid_meter`` and ``relay`` are None where the site has none: then nothing is
    ever exported. ``weights``: for each grid phase the greatest share of each outlet's power that may flow
    there.
    """

    frame: Frame
    site: Site
    snapshot: Snapshot
    outlets: tuple[Outlet, ...]
    meters: tuple[Meter, ...]
    grid_meter: MeterState | None
    relay: ContactState | None
    grid: Grid
    weights: tuple[tuple[float, ...], ...]


def look(frame: Frame, snapshot: Snapshot, memory: EnvelopeMemory, grid: Grid) -> Context:
    """All facts of one tick; ``memory`` as ``observe`` left it."""
    site, now_s, safety = frame.site, snapshot.now_s, frame.site.safety
    age_s, soc_age_s = safety.charger_max_age_s, safety.soc_max_age_s
    warm_age_s = safety.temperature_max_age_s
    sensors = zip(site.temperatures, snapshot.temperatures, strict=True)
    loops = {
        sensor: fresh_or(state.value_c, now_s, warm_age_s, safety.cooling_max_c) for sensor, state in sensors
    }
    outlets = []
    for evse, state, old in zip(site.evses, snapshot.evses, memory.evses, strict=True):
        vehicle, link, power = state.vehicle, state.link, state.power_w
        listens = link.connected and 0.0 <= now_s - link.last_seen_s <= age_s
        power_w = power.value if (fresh := is_fresh(power, now_s, age_s)) else 0.0
        known, kind, soc_pct, floor_pct, pack_c, taken_pct = None, None, None, -1.0, ANY_W, 0.0
        if vehicle is not None:
            if (known := frame.known.get(vehicle.vehicle)) and (kind := frame.kinds.get(known.type)):
                floor_pct = kind.min_soc_pct + known.reserve_soc_pct
            if is_fresh(vehicle.soc_pct, now_s, soc_age_s):
                soc_pct = aged_soc_pct(evse, kind, vehicle, old, now_s)
            pack_c = fresh_or(vehicle.pack_c, now_s, warm_age_s, kind.pack_max_c if kind else ANY_W)
            taken_pct = memory.taken_pct.get(vehicle.vehicle, 0.0)
        metered = fresh or (vehicle is None and listens)
        loop_c, careful_w = loops.get(evse.cooling_loop, -ANY_W), evse.fallback_w
        if now_s - old.warm_at_s > UNTOLD_S:
            careful_w = max(careful_w, evse.min_charge_w)
        who = (evse.id, evse, state, old, vehicle, known, kind)
        seen = (listens, fresh, metered, power_w)
        outlets.append(Outlet(*who, *seen, soc_pct, floor_pct, pack_c, loop_c, taken_pct, careful_w))
    meter = snapshot.meters[site.meters.index(site.grid.meter)] if site.grid.meter else None
    relay = snapshot.contacts[site.contacts.index(site.grid.relay)] if site.grid.relay else None
    return Context(
        frame=frame,
        site=site,
        snapshot=snapshot,
        outlets=tuple(outlets),
        meters=_meters(frame, snapshot, memory, outlets),
        grid_meter=meter,
        relay=relay,
        grid=grid,
        weights=phase_weights(frame.tree, site.evses, snapshot.evses),
    )


def _meters(
    frame: Frame, snapshot: Snapshot, memory: EnvelopeMemory, outlets: list[Outlet]
) -> tuple[Meter, ...]:
    """Each meter against the sum of its chargers and the commissioned base load. A charger may be anywhere
    between what was metered and what it was last permitted; one that is away at most at its fallback; any
    other that is not metered anywhere in its rating. One charger that never comes back must not keep a
    meter, and with it the depot, under suspicion for ever.
    """
    site, now_s, safety = frame.site, snapshot.now_s, frame.site.safety
    meters = []
    olds = memory.meters or (None,) * len(site.meters)
    for name, state, span, old in zip(site.meters, snapshot.meters, frame.spans, olds, strict=True):
        wanted = [
            state.power_w,
            *((state.frequency_hz, *state.phase_voltage_v) if name == site.grid.meter else ()),
        ]
        alive = all(is_fresh(reading, now_s, safety.meter_max_age_s) for reading in wanted)
        slack_w = span.limit_w * safety.feeder_margin_pct / 100.0 + safety.obey_tolerance_w
        below = [outlets[i] for i in span.members]
        away = [o.evse for o in below if not o.metered and is_at_fallback(o, now_s)]
        dark = [o.evse for o in below if not (o.metered or is_at_fallback(o, now_s))]
        lit = [o for o in below if o.metered]
        low_w = sum([min(o.power_w, o.memory.power_w - o.memory.droop_w) for o in lit]) - sum(
            [e.max_discharge_w for e in dark]
        )
        high_w = sum([max(o.power_w, o.memory.power_w + o.memory.droop_w) for o in lit]) + sum(
            [e.max_charge_w for e in dark] + [e.fallback_w for e in away]
        )
        low_w, high_w = low_w + span.base_min_w - slack_w, high_w + span.base_max_w + slack_w
        power_w = fresh_or(state.power_w, now_s, safety.meter_max_age_s, low_w)
        words = f"{power_w:.0f} W; its chargers and base load make {low_w:.0f} to {high_w:.0f} W"
        # A base load above its bound is believed as far as the feeder could carry it: it counts then
        # (``baseload``).
        odd = "" if low_w <= power_w <= high_w + max(span.limit_w - span.base_max_w, 0.0) else words
        missing, chargers_w = not alive or bool(dark), sum([o.power_w for o in below])
        sure = not (missing or away)
        present = [o.state.power_w for o in below if o.vehicle is not None]
        age_s = max([now_s - power.at_s for power in present if isinstance(power, Reading)], default=0.0)
        least_turn_w = max(TURN_W, TURN_SHARE * span.limit_w)
        window_s = max(TURN_WINDOW_S, TURN_REPORTS * age_s)
        new = MeterMemory(now_s, power_w, chargers_w, old.against if old else 0)
        kept = _turn(old, new, least_turn_w, window_s) if sure and age_s <= TURN_AGE_S else old
        meters.append(Meter(name, state, kept, new.against, alive, odd, sure, missing, power_w > high_w))
    return tuple(meters)


def never_came(o: Outlet) -> bool:
    """Whether a charger was never heard, and nothing can be in force that it was sent before."""
    return not o.state.link.ever_seen and o.memory.lease_until_s == 0.0


def has_lapsed(o: Outlet, now_s: float) -> bool:
    """Whether a charger is away, and what it was last sent has run out by its own lease: nothing is in force
    but its default.
    """
    return not o.listens and now_s > o.memory.lease_until_s and ends_by_itself(o.evse)


def ends_by_itself(evse: Evse) -> bool:
    """Whether what a charger was sent ends by its own lease, without a word from us."""
    return evse.dead_man not in {"none", "contactor"}


def is_at_fallback(o: Outlet, now_s: float) -> bool:
    """Whether a charger is left to itself and holds its fallback: its default was shown, or it never came."""
    return never_came(o) or (has_lapsed(o, now_s) and o.state.default_held)


def _turn(old: MeterMemory | None, new: MeterMemory, least_w: float, window_s: float) -> MeterMemory:
    """Which way a meter and its chargers moved over a window: a meter that moves against them is clamped
    the wrong way round.
    """
    if old is None or not 0.0 <= new.at_s - old.at_s <= 2.0 * window_s:
        return new
    if new.at_s - old.at_s < window_s:
        return old
    turned_w, moved_w = new.chargers_w - old.chargers_w, new.power_w - old.power_w
    if abs(turned_w) < least_w or abs(moved_w) < abs(turned_w) / 2.0:
        return new
    return replace(new, against=old.against + 1 if turned_w * moved_w < 0.0 else 0)


def observe(frame: Frame, snapshot: Snapshot, memory: EnvelopeMemory, dt_s: float) -> EnvelopeMemory:
    """Follow each outlet's battery and heat, and what discharge took out of each vehicle today.

    A day begins by a clock that can be trusted, and never for the second time: a guess empties no ledger. A
    day far ahead was wrong: its ledger stands until the day after today.
    """
    today, safety = int(snapshot.wall_s // DAY_S), frame.site.safety
    begins = snapshot.clock_synced and today > memory.day
    wrong = snapshot.clock_synced and memory.day > today + 1
    taken_pct = {} if begins and memory.day else dict(memory.taken_pct)
    evses = []
    for evse, state, old in zip(
        frame.site.evses, snapshot.evses, memory.evses or (EvseMemory(),) * len(frame.ids), strict=True
    ):
        vehicle = state.vehicle
        known = frame.known.get(vehicle.vehicle) if vehicle else None
        kind = frame.kinds.get(known.type) if known else None
        new, out_pct = follow_battery(evse, kind, state, old, dt_s, snapshot.now_s, safety.charger_max_age_s)
        if vehicle is not None and out_pct:
            taken_pct[vehicle.vehicle] = taken_pct.get(vehicle.vehicle, 0.0) + out_pct
        evses.append(_heated(evse, state, new, snapshot.now_s, dt_s, safety) if evse.cooling_loop else new)
    return replace(
        memory, evses=tuple(evses), day=today if begins or wrong else memory.day, taken_pct=taken_pct
    )


def _heated(
    evse: Evse, state: EvseState, old: EvseMemory, now_s: float, dt_s: float, safety: SafetySettings
) -> EvseMemory:
    """The mean load of a charger on a cooling loop; a power that is not known counts as all of it."""
    most_w = evse.max_charge_w if state.vehicle else 0.0
    power_w = abs(fresh_or(state.power_w, now_s, safety.charger_max_age_s, most_w))
    load_pct = 100.0 * power_w / max(evse.max_charge_w, 1.0)
    return replace(
        old, heat_pct=old.heat_pct + (load_pct - old.heat_pct) * min(dt_s / safety.thermal_time_s, 1.0)
    )
