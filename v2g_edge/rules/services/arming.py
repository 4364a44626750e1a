"""Whether a service may be armed: the meter resolves it, the response is fast enough, the contract allows
it.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from v2g_edge.model.service import Service
from v2g_edge.rules.services.frequency import PRODUCTS

FASTEST_S: Final[Mapping[str, float]] = {
    "regulation": 2.0,
    "demand_response": 600.0,
    "peak_shaving": 60.0,
    "backup": 10.0,
}
"""Seconds to full response that other services need: a two-second signal, a reserve event of ten minutes,
a window's end.
"""
METER_HZ: Final = 0.010
"""Frequency products need a meter with a resolution of 10 mHz ((EU) 2017/1485 Annex V), at least once a
second.
"""
METER_S: Final = 1.0
SHARE_OF_WINDOW: Final = 0.01
"""Power services need a meter with a resolution of a hundredth of what is sold."""


class Measured(NamedTuple):
    """From commissioning: frequency and power resolution of the grid meter, how often it is read, seconds to
    full response.

    0 means never measured.
    """

    meter_hz: float = 0.0
    meter_w: float = 0.0
    meter_s: float = 0.0
    response_s: float = 0.0


def refusals(service: Service, measured: Measured) -> tuple[str, ...]:
    """Every reason why it may not be armed, in words that say what is needed; () when it may."""
    reasons = []
    if not service.contract:
        reasons.append(f"{service.id}: no contract; say contract = true when the buyer's terms are signed")
    product = PRODUCTS.get(service.kind)
    needed_s = product.full_s if product else FASTEST_S.get(service.kind)
    if product is not None:
        if not 0.0 < measured.meter_hz <= METER_HZ:
            reasons.append(
                f"{service.id}: the meter's frequency resolution is {_said(measured.meter_hz, 'Hz')}, 0.01 Hz"
                " is needed"
            )
        if not 0.0 < measured.meter_s <= METER_S:
            reasons.append(
                f"{service.id}: the meter is read every {_said(measured.meter_s, 's')}, 1 s is needed"
            )
    elif (
        service.power_w > 0.0
        and needed_s is not None
        and not 0.0 < measured.meter_w <= SHARE_OF_WINDOW * service.power_w
    ):
        text = f"{_said(measured.meter_w, 'W')}, {SHARE_OF_WINDOW * service.power_w:g} W is needed"
        reasons.append(f"{service.id}: the meter's power resolution is {text}")
    if needed_s is not None and not 0.0 < measured.response_s <= needed_s:
        reasons.append(
            f"{service.id}: full response takes {_said(measured.response_s, 's')}, {needed_s:g} s is needed"
        )
    return tuple(reasons)


def _said(value: float, unit: str) -> str:
    return f"{value:g} {unit}" if value > 0.0 else "not measured"
