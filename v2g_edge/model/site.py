"""The depot as it was commissioned: feeders, chargers, vehicles, meters, and the numbers that safety hangs
on.

Built by ``config`` from the TOML file, frozen for the life of the process, written to the journal once.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.model.gridcode import GridCode
from v2g_edge.model.service import Service

PhaseMap = Literal["L1L2L3", "L2L3L1", "L3L1L2", "L1", "L2", "L3"]
"""Which grid phase each charger phase hangs on, in order; one letter pair for a single-phase charger."""

PhaseLoad = Literal["auto", "even", "by_vehicle"]
"""How an outlet's power spreads over its phases. ``even``: alike, whatever is plugged in (DC chargers, and
AC chargers that take their limits in A a phase). ``by_vehicle``: a vehicle on one phase may draw all of it
there, as far as one phase is rated (AC chargers that take their limits in W). ``auto``: see
``tree.spreads_evenly``.
"""

DeadMan = Literal["ocpp_profile", "modbus_watchdog", "sunspec_revert", "contactor", "none"]
"""What makes the charger safe when we fall silent. ``none`` never discharges."""

DischargeBy = Literal["none", "negative_limit", "setpoint", "register"]
"""How discharge is commanded, once proven for the model: OCPP 1.6/2.0.1 negative limit, OCPP 2.1 setpoint,
a register.
"""


class CurrentLimit(Struct, frozen=True, gc=False):
    """Per-phase limits of a feeder in A, magnitudes ≥ 0. ``imbalance_a`` is the largest difference of two
    phases that its single-phase chargers may make together (ANY_W: no limit). ``base_load_a`` bounds the
    base load and the generation on any one phase; None where it was not measured: then all of
    ``base_load_max_w`` may hang on one phase.
    """

    import_a: float
    export_a: float
    imbalance_a: float
    base_load_a: float | None = None


class Feeder(Struct, frozen=True):
    """A node of the supply tree. The root has ``parent == ""``.

    ``import_limit_w`` and ``export_limit_w`` are magnitudes ≥ 0 at this node (export 0: zero-export site).
    ``base_load_max_w`` and ``base_load_min_w`` bound everything on this node itself that is not a charger or
    a child feeder (import +, on-site generation −): the worst case while ``meter`` is silent. ``meter`` is ""
    without one. ``current`` is None where no per-phase limit was commissioned.
    """

    id: str
    parent: str
    import_limit_w: float
    export_limit_w: float
    base_load_max_w: float
    base_load_min_w: float
    meter: str
    current: CurrentLimit | None = None


class Evse(Struct, frozen=True):
    """One charging outlet. All powers are AC-side magnitudes in W ≥ 0.

    ``fallback_w`` is the charge power of its default profile: what it does when our lease has run out.
    ``min_charge_w`` is the least non-zero charge power (6 A a phase, IEC 61851-1); between 0 and it nothing
    is possible. ``contactor`` names the discharge-enable contactor behind it, "" without one. ``droop_w`` >
    0: the charger itself gives this much, either way, at the full deviation of ``FrequencyResponse``.
    ``phase_load`` says how its power spreads over its phases.
    """

    id: str
    feeder: str
    max_charge_w: float
    max_discharge_w: float
    min_charge_w: float
    fallback_w: float
    phases: PhaseMap
    dead_man: DeadMan
    discharge_by: DischargeBy
    efficiency: float = 0.94
    min_discharge_w: float = 0.0
    contactor: str = ""
    cooling_loop: str = ""
    droop_w: float = 0.0
    phase_load: PhaseLoad = "auto"


class CurvePoint(Struct, frozen=True, array_like=True, gc=False):
    """At ``soc_pct`` the battery takes at most ``power_w`` (battery side)."""

    soc_pct: float
    power_w: float


class VehicleType(Struct, frozen=True, cache_hash=True):
    """What a kind of vehicle allows. SoC in percent, energies in Wh, throughput caps of the warranty over the
    vehicle's life.

    ``charge_curve`` is non-increasing above its knee and sorted by SoC. A cap of ``ANY_W`` means that the
    maker sets none. ``depth_per_event_pct`` and ``depth_per_day_pct`` bound the SoC taken out by discharge
    for the grid. ``soh_floor_pct`` 0: the type asks for no state of health. ``needs_authorisation``: the car
    carries the inverter (SAE J3072) and needs the permission to discharge; the permission is a lease, read
    back.
    """

    id: str
    capacity_wh: float
    min_soc_pct: float
    max_soc_pct: float
    charge_curve: tuple[CurvePoint, ...]
    max_discharge_w: float
    depth_per_event_pct: float
    depth_per_day_pct: float
    pack_min_c: float
    pack_max_c: float
    derate_from_c: float
    soh_floor_pct: float
    warranty_discharge_wh: float
    warranty_discharge_h: float
    warranty_efc: float
    needs_authorisation: bool = False


class Vehicle(Struct, frozen=True, gc=False):
    """A vehicle the depot knows. ``id`` is what the charger reports (EVCCID, VIN or id token); ``other_ids``
    are further cards, MAC addresses and names under which chargers and other systems report it.

    ``may_discharge`` is the standing authorisation (default deny). ``reserve_soc_pct`` is kept on top of each
    departure's target. ``departs`` is its daily departure, "HH:MM" in the site's timezone, "" without one;
    ``target_soc_pct`` is what it needs then, or ``target_wh`` (Wh in its battery) where that is above 0; for
    a vehicle that tells no SoC: what it has been charged with since it came. These count only where the
    charger does not say them itself. ``departures`` are days that differ (``model.calendar``).
    ``stationary``: a battery that stays at its outlet.
    """

    id: str
    type: str
    may_discharge: bool
    reserve_soc_pct: float = 0.0
    departs: str = ""
    target_soc_pct: float = 100.0
    departures: tuple[str, ...] = ()
    other_ids: tuple[str, ...] = ()
    target_wh: float = 0.0
    stationary: bool = False


_OCTETS: Final = re.compile(r"[0-9a-f]{2}(?:[:-][0-9a-f]{2}){3,}")
"""A card's number or a MAC address with its octets apart: four and more of them."""


def folded(told: str) -> str:
    """What two spellings of one id have in common: OCPP's identifiers have no case, and "F0:7F:0C:01:02:03"
    is also written "f07f0c010203".
    """
    plain = told.strip().casefold()
    return re.sub("[:-]", "", plain) if _OCTETS.fullmatch(plain) else plain


class VehicleIds(Mapping[str, str]):
    """The vehicle's id in the site file for each id under which it is known, however that is spelt."""

    def __init__(self, vehicles: Iterable[Vehicle]) -> None:
        known = tuple(vehicles)
        others = {folded(name): vehicle.id for vehicle in known for name in vehicle.other_ids}
        self._ours = others | {folded(vehicle.id): vehicle.id for vehicle in known}

    def __getitem__(self, told: str) -> str:
        return self._ours[folded(told)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ours)

    def __len__(self) -> int:
        return len(self._ours)


class SafetySettings(Struct, frozen=True):
    """Numbers of the safety table. Ages and times in s. Every one is a key of ``[safety]`` in the site file.

    ``cooling_*`` and ``sustained_pct`` hold for chargers with a ``cooling_loop``: from ``cooling_derate_c``
    to ``cooling_max_c`` their power falls to the fallback, and the mean over about ``thermal_time_s`` stays
    below ``sustained_pct`` of the rating. ``balance_within_s`` is how long a meter may contradict the sum of
    its chargers and the commissioned base load. ``late_after_s``: a tick counts for no more than this in the
    waits of the table; the rest is lost by the controller.
    """

    meter_max_age_s: float = 2.0
    contact_max_age_s: float = 1.0
    charger_max_age_s: float = 30.0
    soc_max_age_s: float = 300.0
    temperature_max_age_s: float = 120.0
    frozen_reads: int = 50
    lease_s: float = 30.0
    ramp_up_w_per_s: float = 20_000.0
    export_start_window_hz: float = 0.05
    obey_tolerance_w: float = 1_500.0
    obey_within_s: float = 20.0
    feeder_margin_pct: float = 2.0
    max_link_loss_pct: float = 2.0
    trip_clear_by_operator: bool = False
    authorisation_max_age_s: float = 60.0
    balance_within_s: float = 30.0
    cooling_derate_c: float = 45.0
    cooling_max_c: float = 55.0
    sustained_pct: float = 100.0
    thermal_time_s: float = 1_800.0
    late_after_s: float = 5.0


def for_ticks_of(safety: SafetySettings, tick_s: float) -> SafetySettings:
    """The settings for a site that is played with slow ticks: ages, leases and patience are no shorter than a
    few of them.
    """
    return replace(
        safety,
        meter_max_age_s=max(safety.meter_max_age_s, 1.5 * tick_s),
        contact_max_age_s=max(safety.contact_max_age_s, 1.5 * tick_s),
        charger_max_age_s=max(safety.charger_max_age_s, 1.5 * tick_s),
        lease_s=max(safety.lease_s, 3.0 * tick_s),
        obey_within_s=max(safety.obey_within_s, 2.0 * tick_s),
        balance_within_s=max(safety.balance_within_s, 3.0 * tick_s),
        frozen_reads=max(safety.frozen_reads, int(3.0 * tick_s)),
        late_after_s=max(safety.late_after_s, 2.5 * tick_s),
    )


class GridSettings(Struct, frozen=True):
    """The grid connection: profile by name, nominal values, the contact and the meter that must both say
    healthy.

    ``nominal_v`` is phase to neutral. ``profile`` is ``code`` with its overrides, loaded by ``config``;
    without one: no export.
    """

    code: str
    nominal_v: float
    nominal_hz: float
    relay: str
    meter: str
    export_allowed: bool
    code_overrides: tuple[tuple[str, float], ...] = ()
    draft_signed_by: str = ""
    profile: GridCode | None = None


class FrequencyResponse(Struct, frozen=True):
    """The response sold, as deviations from nominal frequency: nothing within ``deadband_hz``, all of
    ``Evse.droop_w`` from ``full_hz``, straight between. Defaults: (EU) 2017/1485 Annex V for Continental
    Europe, insensitivity 10 mHz, full 200 mHz.
    """

    deadband_hz: float = 0.01
    full_hz: float = 0.2


class Window(Struct, frozen=True):
    """Hours in which less is allowed. ``when`` lines: days and hours (``model.calendar``). None leaves a
    limit as it is.

    ``import_limit_w`` and ``export_limit_w`` are a ``feeder``'s, ``min_soc_pct`` a ``vehicle_type``'s; ""
    where not meant.
    """

    id: str
    when: tuple[str, ...]
    feeder: str = ""
    import_limit_w: float | None = None
    export_limit_w: float | None = None
    vehicle_type: str = ""
    min_soc_pct: float | None = None


class Site(Struct, frozen=True):
    """One depot. Tuples are sorted by id; every name in one refers to another of them."""

    name: str
    timezone: str
    grid: GridSettings
    feeders: tuple[Feeder, ...]
    evses: tuple[Evse, ...]
    vehicle_types: tuple[VehicleType, ...]
    vehicles: tuple[Vehicle, ...]
    meters: tuple[str, ...]
    contacts: tuple[str, ...]
    temperatures: tuple[str, ...]
    safety: SafetySettings
    response: FrequencyResponse = FrequencyResponse()
    services: tuple[Service, ...] = ()
    holidays: tuple[str, ...] = ()
    windows: tuple[Window, ...] = ()
