"""Power against permit: how long, and by how much, an outlet took or gave more than it was permitted, or a
vehicle with room took far less.
"""

from typing import Final, Literal

from msgspec import Struct

from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import VehicleState
from v2g_edge.study.ledger.lines import Remark

Kind = Literal["over_permit", "under_permit"]
TOLERANCE_W: Final = 1_000.0
TOLERANCE_SHARE: Final = 0.1
"""Beyond both together it is no error of a meter and no ripple (as where compliance is judged)."""
FOLLOWED_SHARE: Final = 0.75
"""A lost phase leaves two thirds of the power; a plate that promises too much, nine tenths of it."""
LEAST_ASKED_W: Final = 3_000.0
TAPERS_FROM_PCT: Final = 80.0
"""Above it packs take less and less by themselves."""
LEAST_S: Final[dict[Kind, float]] = {"over_permit": 120.0, "under_permit": 900.0}
"""A charger follows within seconds, and a silent one keeps its lease for two minutes at most. A vehicle may
take minutes to wake and to warm.
"""


class Episode(Struct, array_like=True):
    """A time in which power and permit part.

    Attributes:
        kind: Which way: "over_permit" or "under_permit".
        since_wall_s: When it began, UTC epoch seconds.
        seconds: How long it lasts.
        apart_wh: Energy between the two.
        power_w: The power that was furthest off.
        permit_w: What was permitted then.
    """

    kind: Kind
    since_wall_s: float
    seconds: float = 0.0
    apart_wh: float = 0.0
    power_w: float = 0.0
    permit_w: float = 0.0

    def add(self, power_w: float, apart_w: float, permit_w: float, passed_s: float) -> None:
        """One more tick of it."""
        if apart_w >= abs(self.power_w - self.permit_w):
            self.power_w, self.permit_w = power_w, permit_w
        self.seconds += passed_s
        self.apart_wh += apart_w * passed_s / 3_600.0

    def remark(self, meter: str, wall_s: float) -> list[Remark]:
        """What is told of it once it is over; nothing where it was short."""
        if self.seconds < LEAST_S[self.kind]:
            return []
        off = "beyond" if self.kind == "over_permit" else "short of"
        text = (
            f"{self.power_w / 1e3:.1f} kW where {self.permit_w / 1e3:.1f} kW were permitted;"
            f" {self.apart_wh / 1e3:.2f} kWh {off} it in {self.seconds / 60.0:.0f} min"
        )
        return [Remark(self.since_wall_s, wall_s, meter, self.kind, text)]


def beyond_w(power_w: float, permit: Permit) -> float:
    """How far a power is outside what is permitted, 0 within the tolerance. Less is never too much."""
    end_w = min(max(power_w, min(permit.least_w, 0.0)), max(permit.most_w, 0.0))
    off_w = abs(power_w - end_w)
    return off_w if off_w > TOLERANCE_W + TOLERANCE_SHARE * abs(end_w) else 0.0


def lacking_w(power_w: float, permit: Permit, vehicle: VehicleState) -> float:
    """How far a charging power is below what is permitted and what the vehicle says it takes; 0 where it
    follows, where little is asked, and where the pack tapers or its SoC is not known.
    """
    asked_w = permit.least_w
    if isinstance(vehicle.max_charge_w, Reading):
        asked_w = min(asked_w, vehicle.max_charge_w.value)
    has_room = isinstance(vehicle.soc_pct, Reading) and vehicle.soc_pct.value < TAPERS_FROM_PCT
    if asked_w < LEAST_ASKED_W or not has_room or power_w >= FOLLOWED_SHARE * asked_w:
        return 0.0
    return asked_w - power_w
