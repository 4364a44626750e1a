"""Which vehicle stands where, from when to when, and with which charge."""

from msgspec import Struct


class Visit(Struct, frozen=True):
    """A vehicle's stay at an outlet. Times are UTC. The first visit has ``soc_pct``, its charge on arrival.

    A later one has ``route_pct`` instead: the changes of SoC since it last left, applied one after the other
    and each kept within 0-100 %, so that the charge on arrival follows from the charge with which the daemon
    let it go.

    ``leaves_wall_s`` is when it really goes, where that is not when it should. ``shown_as`` is the identity
    that it shows, where that is another vehicle's.
    """

    evse: str
    vehicle: str
    arrives_wall_s: float
    departs_wall_s: float
    target_soc_pct: float
    soc_pct: float | None = None
    route_pct: tuple[float, ...] = ()
    leaves_wall_s: float | None = None
    shown_as: str = ""

    @property
    def gone_wall_s(self) -> float:
        """When it leaves the outlet."""
        return self.departs_wall_s if self.leaves_wall_s is None else self.leaves_wall_s

    @property
    def identity(self) -> str:
        """What the charger learns of the vehicle that stands there."""
        return self.shown_as or self.vehicle

    def arrival_soc_pct(self, left_soc_pct: float) -> float:
        """Charge on arrival of a vehicle that last left with ``left_soc_pct`` (not looked at where
        ``soc_pct`` is given).
        """
        soc_pct = left_soc_pct if self.soc_pct is None else self.soc_pct
        for change_pct in self.route_pct:
            soc_pct = min(100.0, max(0.0, soc_pct + change_pct))
        return soc_pct
