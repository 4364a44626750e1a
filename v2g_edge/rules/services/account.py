"""One account for all services: no kW and no kWh is sold twice. Departures are taken off before anything
is offered.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from v2g_edge.model.service import Service
from v2g_edge.rules.services.frequency import PRODUCTS


class Headroom(NamedTuple):
    """What the vehicles can give beyond their departures: power each way (W), energy above floors and
    below ceilings (Wh).
    """

    up_w: float
    down_w: float
    up_wh: float
    down_wh: float


class Held(NamedTuple):
    """What one service has of the account. ``share``: of what it sold; below 1 it is short."""

    service: str
    up_w: float
    down_w: float
    up_wh: float
    down_wh: float
    share: float


UP: Mapping[str, tuple[float, float]] = {
    "regulation": (0.25, 0.25),
    "demand_response": (1.0, 0.0),
    "backup": (1.0, 0.0),
}
"""Hours of energy (up, down) of what is no frequency product: a quarter hour of a neutral signal, an hour
of an event.
"""


def hours_of(service: Service) -> tuple[float, float]:
    """Hours of full activation that a service's energy lasts for, up and down; ``energy_h`` of the
    contract goes first.
    """
    product = PRODUCTS.get(service.kind)
    up_h, down_h = (product.up_h, product.down_h) if product else UP.get(service.kind, (0.0, 0.0))
    if service.energy_h > 0.0:
        up_h, down_h = (service.energy_h if up_h else 0.0), (service.energy_h if down_h else 0.0)
    return up_h, down_h


def hold(headroom: Headroom, services: Iterable[Service], efficiency: float = 0.94) -> tuple[Held, ...]:
    """Serve by priority, then by name: each gets the largest share of what it sold that power and energy
    still back.
    """
    left = headroom
    held = []
    for service in sorted(services, key=lambda each: (each.priority, each.id)):
        up_h, down_h = hours_of(service)
        wants = (
            service.power_w if up_h else 0.0,
            service.power_w if down_h else 0.0,
            service.power_w * up_h / efficiency,
            service.power_w * down_h * efficiency,
        )
        share = min(
            [1.0, *(max(have, 0.0) / want for have, want in zip(left, wants, strict=True) if want > 0.0)]
        )
        up_w, down_w, up_wh, down_wh = (share * want for want in wants)
        left = Headroom(left.up_w - up_w, left.down_w - down_w, left.up_wh - up_wh, left.down_wh - down_wh)
        held.append(Held(service.id, up_w, down_w, up_wh, down_wh, share))
    return tuple(held)
