"""A site file's entry for a station that dialled in and is not known: to be written into a drop-in, and
completed where it says so.
"""

import re
from typing import Final

from v2g_edge.model.site import Site

NAME_MAX: Final = 48
FLOOR_A: Final = 6.0
"""Least current of a pilot signal (IEC 61851-1, A.2.2)."""
HIGHEST: Final = 1.1
"""Highest lasting voltage of a public grid: nominal + 10 % (EN 50160, 4.2.2.1)."""
RATED_W: Final = 11_000.0
"""Rating of the commonest AC outlet, 16 A at 3 × 230 V: to be corrected by its plate."""


def entry_of(identity: str, site: Site) -> str:
    """``[[stations]]`` and ``[[evses]]`` of one outlet that charges, at the feeder with the most outlets."""
    outlet = _outlet_name(identity, site)
    feeder = _feeder(site)
    floor_w = 3.0 * FLOOR_A * site.grid.nominal_v * HIGHEST
    others = ", ".join(each.id for each in site.feeders if each.id != feeder)
    return "\n".join(
        (
            "[[stations]]",
            f'identity = "{identity}"',
            f'outlets = [{{ evse = "{outlet}" }}]  # << a second one: {{ evse = "…", ocpp_evse = 2 }}',
            f'password_file = "/run/credentials/v2g-edge.service/secrets_{identity}"',
            "",
            "[[evses]]",
            f'id = "{outlet}"',
            f'feeder = "{feeder}"{f"  # << or {others}" if others else ""}',
            f"max_charge_w = {RATED_W:g}  # << its plate",
            "max_discharge_w = 0  # << W, where it can give; then dead_man and discharge_by, too",
            f"min_charge_w = {floor_w:g}",
            f"fallback_w = {floor_w:g}",
            'phases = "L1L2L3"  # << as it is wired',
            'dead_man = "none"',
            'discharge_by = "none"',
            "",
        )
    )


def _outlet_name(identity: str, site: Site) -> str:
    """An id that the site file may use and does not."""
    name = re.sub(r"[^A-Za-z0-9_.:-]", "-", identity).strip("-.:_")[: NAME_MAX - 3] or "outlet"
    taken = {evse.id for evse in site.evses}
    return next(each for each in (name, *(f"{name}-{n}" for n in range(2, 99))) if each not in taken)


def _feeder(site: Site) -> str:
    """Where most outlets hang."""
    counts = {feeder.id: 0 for feeder in site.feeders}
    for evse in site.evses:
        counts[evse.feeder] += 1
    return max(counts, key=lambda feeder: counts[feeder])
