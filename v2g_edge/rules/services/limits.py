"""Limits that services make: zero export is one, and what a network operator's dimming leaves."""

from collections.abc import Iterable

from v2g_edge.model.service import CapacityLimit, Service


def dimmed_w(devices: int, *, simultaneity: float | None = None) -> float:
    """What § 14a EnWG leaves ``devices`` charge points behind one energy manager: 4.2 kW, and a share of it
    for each further.

    ``simultaneity``: the network operator's own factor; without one 0.8 for two devices, 0.05 less for each
    more, at least 0.45.
    """
    if devices <= 0:
        return 0.0
    factor = max(0.8 - 0.05 * (devices - 2), 0.45) if simultaneity is None else simultaneity
    return 4_200.0 + (devices - 1) * factor * 4_200.0


def zero_limits(services: Iterable[Service]) -> tuple[CapacityLimit, ...]:
    """Zero export as a limit of the site's own. Zero import is none: it gives way to departures
    (``dispatch``).
    """
    return tuple(
        CapacityLimit("export", 0.0, 0.0, 0.0, each.id) for each in services if each.kind == "zero_export"
    )
