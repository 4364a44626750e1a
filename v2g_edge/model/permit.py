"""What the rules would like one charger to do (a wish), and what it may do, for how long, with the limit that
bound it (a permit). Permits are made in ``envelope`` alone, which a test holds; nothing moves a charger by a
wish.
"""

from msgspec import Struct

from v2g_edge.model.limits import Bound


class Wish(Struct, frozen=True, gc=False):
    """``power_w`` wanted at ``evse`` (+ into the vehicle), ``reason`` a stable identifier ("departure",
    "plan", "idle").

    ``urgency`` orders the sharing of too little power: 0 can wait, 1 must have it to depart in time; larger
    is first. ``droop_w`` ≥ 0 is wanted around it, either way, for the charger to follow the grid's frequency
    by itself.
    """

    evse: str
    power_w: float
    urgency: float
    reason: str
    droop_w: float = 0.0


class Permit(Struct, frozen=True, array_like=True, gc=False):
    """Setpoint ``power_w`` (+ into the vehicle), a lease of ``valid_for_s`` from the tick that made it.

    ``min_w`` ≤ ``power_w`` ≤ ``max_w`` is the room left by all limits at that tick. ``bound_by`` is the limit
    that kept the wish from being met, or the wish itself (rule "wish") when nothing did. ``renew`` false: a
    lease that stands may run out. ``droop_w`` ≥ 0: so far the charger may leave the setpoint by itself,
    either way, to follow the grid's frequency.
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
