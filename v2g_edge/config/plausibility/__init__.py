"""What a site file may say and hardly ever means. Nothing here keeps a depot from starting; each is said
once, with its mend.
"""

from collections.abc import Iterator

from v2g_edge.config.layout import SiteFile
from v2g_edge.config.plausibility.devices import odd_devices
from v2g_edge.config.plausibility.feeders import odd_feeders
from v2g_edge.config.plausibility.limits import odd_times
from v2g_edge.config.plausibility.meant import odd_meanings
from v2g_edge.config.plausibility.outlets import odd_outlets
from v2g_edge.config.plausibility.packs import odd_packs
from v2g_edge.config.plausibility.units import UNIT_MEND, odd_units
from v2g_edge.config.plausibility.untold import odd_untold
from v2g_edge.config.plausibility.vehicles import odd_vehicles
from v2g_edge.config.problems import Problem


def oddities(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Every warning of a file that the schema accepts. The names in it need not exist."""
    yield from odd_units(plan, file)
    yield from odd_feeders(plan, file)
    yield from odd_outlets(plan, file)
    yield from odd_vehicles(plan, file)
    yield from odd_packs(plan, file)
    yield from odd_untold(plan, file)
    yield from odd_devices(plan, file)
    yield from odd_times(plan, file)
    yield from odd_meanings(plan, file)


__all__ = ["UNIT_MEND", "oddities"]
