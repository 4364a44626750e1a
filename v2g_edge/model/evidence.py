"""What time has made of readings: records that the envelope carries from tick to tick, of outlets, meters and feeders."""

from msgspec import Struct

from v2g_edge.model.limits import ANY_W


class EvseMemory(Struct, frozen=True, gc=False):
    """One outlet. ``power_w`` ± ``droop_w`` is the last permit, its lease ends at ``lease_until_s``; 0 before the first.

    ``most_w`` ≥ 0 and ``least_w`` ≤ 0 span all permits that may still be in force there: an older one counts until the charger
    has accepted a newer. ``event_soc_pct`` is the highest SoC since the vehicle plugged in or last charged (the top of the
    present event), ``last_soc_pct`` the last seen, ``discharged_s`` when a discharge was last in force; ``heat_pct`` is the mean
    load over about ``safety.thermal_time_s``. ``shown_w`` ≥ 0 is the most that it was seen to charge with since it was
    quarantined. ``loose_w`` is the power last metered while no session was known there: a meter needs no transaction.
    """

    power_w: float = 0.0
    lease_until_s: float = 0.0
    most_w: float = 0.0
    least_w: float = 0.0
    session: str = ""
    event_soc_pct: float = 0.0
    last_soc_pct: float = 0.0
    discharged_s: float = -ANY_W
    heat_pct: float = 0.0
    droop_w: float = 0.0
    shown_w: float = 0.0
    loose_w: float = 0.0


class MeterMemory(Struct, frozen=True, gc=False):
    """A meter and the sum of its chargers at ``at_s``, to see which way both move; ``against``: so often they parted in a row."""

    at_s: float
    power_w: float
    chargers_w: float
    against: int = 0


class BaseMemory(Struct, frozen=True, gc=False):
    """Peaks of a feeder's live base load: ``peak_w`` since ``since_s``, ``before_w`` in the whole window before; None: not seen.

    ``moved_s`` is when a permit below it last changed: samples count only some time after it.
    """

    moved_s: float
    since_s: float
    peak_w: float | None = None
    before_w: float | None = None
