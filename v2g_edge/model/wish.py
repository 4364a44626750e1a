"""What the rules would like one charger to do. Nothing that moves a charger takes a wish."""

from msgspec import Struct


class Wish(Struct, frozen=True, gc=False):
    """``power_w`` wanted at ``evse`` (+ into the vehicle), ``reason`` a stable identifier ("departure", "plan", "idle").

    ``urgency`` orders the sharing of too little power: 0 can wait, 1 must have it to depart in time; larger is first.
    ``droop_w`` ≥ 0 is wanted around it, either way, for the charger to follow the grid's frequency by itself.
    """

    evse: str
    power_w: float
    urgency: float
    reason: str
    droop_w: float = 0.0
