"""What a ledger is made of: lines of energy, cycles, stays, and remarks on what was not plainly metered."""

from typing import Final, Literal

from msgspec import Struct

INTERVAL_S: Final = 900.0
"""Settlement interval: a quarter hour, as in European imbalance settlement and most demand meters."""

Method = Literal["register", "power", "spread", "correction"]
"""How an energy is known: the meter's register; its power, integrated; its register over a pause of the
record, spread evenly; a correction by hand.
"""
FORGOTTEN: Final = "forgotten"
"""Stands for a vehicle and its stays when they are to be remembered no more."""
METHODS: Final[tuple[Method, ...]] = ("register", "power", "spread", "correction")


class Place(Struct, frozen=True, array_like=True):
    """What a ledger remembers of its site.

    Attributes:
        name: The site's name.
        timezone: Its time zone.
        grid_meter: The meter of the root feeder; "" without one.
        outlets: Ids of the outlets.
        base_min_w: Least of everything that is no charger, as commissioned.
        base_max_w: Most of it.
        ratings: (outlet, most W in, most W out, efficiency of one way).
        import_limit_w: What the connection takes.
        export_limit_w: What it gives.
    """

    name: str = ""
    timezone: str = "UTC"
    grid_meter: str = ""
    outlets: tuple[str, ...] = ()
    base_min_w: float = 0.0
    base_max_w: float = 0.0
    ratings: tuple[tuple[str, float, float, float], ...] = ()
    import_limit_w: float = 0.0
    export_limit_w: float = 0.0


class Line(Struct, frozen=True, array_like=True, gc=False):
    """Energy at one meter in one settlement interval. Energies are at the meter, ≥ 0 but in corrections.

    Attributes:
        start_wall_s: Beginning of the interval, UTC epoch seconds.
        meter: The outlet, or the meter of a feeder.
        session: The stay; "" where nothing was plugged in and for feeders' meters.
        vehicle: The vehicle; "" where it is not known.
        service: What the energy flowed for; each kWh stands under one only.
        method: How the energy is known.
        in_wh: Into the vehicle, or imported.
        out_wh: Out of the vehicle, or exported.
        discharge_s: Seconds in which it gave.
        reference: The number of a correction, "" else.
    """

    start_wall_s: float
    meter: str
    session: str
    vehicle: str
    service: str
    method: Method
    in_wh: float
    out_wh: float
    discharge_s: float
    reference: str = ""


class SocCycle(Struct, frozen=True, array_like=True, gc=False):
    """A cycle of a vehicle's SoC that has closed.

    Attributes:
        vehicle: The vehicle.
        wall_s: When it closed, UTC epoch seconds.
        depth_pct: Its depth, in percent of SoC.
        mean_pct: The SoC in its middle.
        count: 1.0 for a full cycle, 0.5 for a half one.
        pack_c: Mean temperature of the pack up to then, None where it is never told.
    """

    vehicle: str
    wall_s: float
    depth_pct: float
    mean_pct: float
    count: float
    pack_c: float | None


class Stay(Struct, array_like=True):
    """A vehicle's stay at an outlet.

    Attributes:
        session: Its id.
        meter: The outlet.
        vehicle: The vehicle; "" where it is not known.
        arrived_wall_s: Plugged in, UTC epoch seconds.
        left_wall_s: Gone; None while it is there.
        first_pct: First SoC that was known.
        last_pct: Last SoC that was known.
        target_pct: SoC wanted at departure, as said last.
        departure_wall_s: When it was to leave, as said last.
        in_wh: Energy charged, where a study has put it in from the lines.
        out_wh: Energy given, likewise.
        deepest_pct: Largest fall of SoC within the stay.
        high_pct: Highest SoC since the last that was lower, for ``deepest_pct``.
        capacity_wh: Capacity as told; None where it is not.
        warmest_c: Warmest that its pack was told to be; None where it is not.
    """

    session: str
    meter: str
    vehicle: str
    arrived_wall_s: float
    left_wall_s: float | None = None
    first_pct: float | None = None
    last_pct: float | None = None
    target_pct: float | None = None
    departure_wall_s: float | None = None
    in_wh: float = 0.0
    out_wh: float = 0.0
    deepest_pct: float = 0.0
    high_pct: float = 0.0
    capacity_wh: float | None = None
    warmest_c: float | None = None


class Remark(Struct, frozen=True, array_like=True):
    """Something that was not plainly metered, and what was assumed.

    Attributes:
        wall_s: When, UTC epoch seconds.
        until_wall_s: Until when; the same as ``wall_s`` for a moment.
        subject: The meter, the vehicle, or "site".
        kind: Stable identifier: missing, rollover, exchange, jump, clock_step, clock_unsynced, no_soc,
            over_permit, under_permit, quarter_hours, correction.
        text: What was found and what was assumed, for people.
    """

    wall_s: float
    until_wall_s: float
    subject: str
    kind: str
    text: str


class VehicleAccount(Struct, array_like=True):
    """A vehicle's whole life in this ledger.

    Attributes:
        vehicle: The vehicle.
        plugged_s: Time plugged in.
        high_s: Time plugged in above 90 % SoC.
        low_s: Time plugged in below 10 %.
        soc_s: Time plugged in with a known SoC.
        throughput_pct: Sum of all changes of SoC, rides included.
        first_wall_s: When it was first seen.
        last_wall_s: When it was last seen.
        soc_pct: SoC last told.
        soh_pct: State of health last told; None where it never is.
        first_soh_pct: The first that was told.
        warmth_ks: Integral of the pack's temperature over time, °C·s.
        warm_s: Time with a known temperature.
        least_c: Coldest; None where it is never told.
        most_c: Warmest.
        soc_integral: Integral of SoC over time, %·s.
    """

    vehicle: str
    plugged_s: float = 0.0
    high_s: float = 0.0
    low_s: float = 0.0
    soc_s: float = 0.0
    throughput_pct: float = 0.0
    first_wall_s: float = 0.0
    last_wall_s: float = 0.0
    soc_pct: float | None = None
    soh_pct: float | None = None
    warmth_ks: float = 0.0
    warm_s: float = 0.0
    least_c: float | None = None
    most_c: float | None = None
    soc_integral: float = 0.0
    first_soh_pct: float | None = None

    @property
    def efc_throughput(self) -> float:
        """Equivalent full cycles by throughput: what went in and out, over twice the capacity."""
        return self.throughput_pct / 200.0

    @property
    def mean_c(self) -> float | None:
        """Mean temperature of the pack."""
        return self.warmth_ks / self.warm_s if self.warm_s else None

    @property
    def mean_soc_pct(self) -> float | None:
        """Mean SoC while plugged in."""
        return self.soc_integral / self.soc_s if self.soc_s else None
