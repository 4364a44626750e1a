"""Limits that services make: zero export is one."""

from collections.abc import Iterable

from v2g_edge.model.service import CapacityLimit, Service


def zero_limits(services: Iterable[Service]) -> tuple[CapacityLimit, ...]:
    """Zero export as a limit of the site's own. Zero import is none: it gives way to departures
    (``dispatch``).
    """
    return tuple(
        CapacityLimit("export", 0.0, 0.0, 0.0, each.id) for each in services if each.kind == "zero_export"
    )
