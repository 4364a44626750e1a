"""What one charger may do, for how long, and the limit that bound it. Made only in ``envelope``; a test sees to that."""

from msgspec import Struct

from v2g_edge.model.limits import Bound


class Permit(Struct, frozen=True, array_like=True, gc=False):
    """Setpoint ``power_w`` (+ into the vehicle), a lease of ``valid_for_s`` from the tick that made it.

    ``min_w`` ≤ ``power_w`` ≤ ``max_w`` is the room left by all limits at that tick. ``bound_by`` is the limit that kept the
    wish from being met, or the wish itself (rule "wish") when nothing did. ``renew`` false: a lease that stands may run out.
    ``droop_w`` ≥ 0: so far the charger may leave the setpoint by itself, either way, to follow the grid's frequency.
    """

    evse: str
    power_w: float
    min_w: float
    max_w: float
    valid_for_s: float
    renew: bool
    wish_w: float
    bound_by: Bound
    droop_w: float = 0.0

    @property
    def least_w(self) -> float:
        """The lower end of what is permitted."""
        return self.power_w - self.droop_w

    @property
    def most_w(self) -> float:
        """The upper end of what is permitted."""
        return self.power_w + self.droop_w
