"""Power against permit: how long, and by how much, an outlet took or gave more than it was permitted."""

from typing import Final

from msgspec import Struct

from v2g_edge.model.permit import Permit
from v2g_edge.study.ledger.lines import Remark

TOLERANCE_W: Final = 1_000.0
TOLERANCE_SHARE: Final = 0.1
"""Beyond both together it is no error of a meter and no ripple (as where compliance is judged)."""
LEAST_S: Final = 120.0
"""A charger follows within seconds and a silent one keeps its lease for at most two minutes."""


class Overrun(Struct, array_like=True):
    """An episode that goes on.

    Attributes:
        since_wall_s: When it began, UTC epoch seconds.
        seconds: How long it lasts.
        beyond_wh: Energy beyond the permit.
        power_w: The power that was furthest off.
        permit_w: What was permitted then.
    """

    since_wall_s: float
    seconds: float = 0.0
    beyond_wh: float = 0.0
    power_w: float = 0.0
    permit_w: float = 0.0

    def add(self, power_w: float, beyond_w: float, permit_w: float, passed_s: float) -> None:
        """One more tick of it."""
        if beyond_w >= abs(self.power_w - self.permit_w):
            self.power_w, self.permit_w = power_w, permit_w
        self.seconds += passed_s
        self.beyond_wh += beyond_w * passed_s / 3_600.0

    def remark(self, meter: str, wall_s: float) -> list[Remark]:
        """What is told of it once it is over; nothing where it was short."""
        if self.seconds < LEAST_S:
            return []
        text = (
            f"{self.power_w / 1e3:.1f} kW where {self.permit_w / 1e3:.1f} kW were permitted;"
            f" {self.beyond_wh / 1e3:.2f} kWh beyond it in {self.seconds / 60.0:.0f} min"
        )
        return [Remark(self.since_wall_s, wall_s, meter, "over_permit", text)]


def beyond_w(power_w: float, permit: Permit) -> float:
    """How far a power is outside what is permitted, 0 within the tolerance. Less is never too much."""
    end_w = min(max(power_w, min(permit.least_w, 0.0)), max(permit.most_w, 0.0))
    off_w = abs(power_w - end_w)
    return off_w if off_w > TOLERANCE_W + TOLERANCE_SHARE * abs(end_w) else 0.0
