"""BLAST-Lite as an oracle: what its own code makes of its own application profiles.

It is installed without what it depends on: its pins clash with ours, and what they are for (weather by a
service, plots) is not asked of it. Empty modules stand in for those that it only imports.
"""

import sys
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

HOURS_A_YEAR = 365 * 24
WEEK_S = 7 * 86_400.0
COMMERCIAL_EV = (
    0.95, 0.94154, 0.82985, 0.72335, 0.6219, 0.51343, 0.41343, 0.30315, 0.1932, 0.09496, 0.05, 0.50006,
)  # fmt: skip
"""Its "commercial EV" (examples/application profiles), by the hour as it resamples it, twice a day."""
MODELS = {"lfp-250ah": "Lfp_Gr_250AhPrismatic", "nmc111-75ah": "Nmc111_Gr_Kokam75Ah_Battery"}


class Profile(NamedTuple):
    """A year by the hour, the end of the last hour included: SoC 0 to 1, temperature in °C."""

    soc: tuple[float, ...]
    pack_c: tuple[float, ...]


def blast(patch: pytest.MonkeyPatch) -> Any:
    """The package, importable for one test."""
    for name, holds in (
        ("h5pyd", ()), ("geopy", ()), ("geopy.geocoders", ("Nominatim",)),
        ("matplotlib", ()), ("matplotlib.pyplot", ()),
    ):  # fmt: skip
        module = ModuleType(name)
        for each in holds:
            setattr(module, each, None)
        patch.setitem(sys.modules, name, module)
    patch.setattr(np, "trapz", np.trapezoid, raising=False)  # its name before numpy 2
    import blast.models  # noqa: PLC0415 - only with what stands in above
    import blast.utils  # noqa: PLC0415

    return blast


def profiles(package: Any) -> dict[str, Profile]:
    """Its sample profile, and its commercial EV in the same weather."""
    sample = package.utils.generate_sample_data("synthetic")
    soc, pack_c = (tuple(sample[key][: HOURS_A_YEAR + 1].tolist()) for key in ("SOC", "Temperature_C"))
    day = (*COMMERCIAL_EV, *COMMERCIAL_EV)
    return {"synthetic": Profile(soc, pack_c), "commercial EV": Profile((*day * 365, day[0]), pack_c)}


def left_by_theirs(package: Any, model: str, profile: Profile) -> float:
    """Capacity that is left after the year."""
    cell = getattr(package.models, MODELS[model])()
    hours = np.arange(HOURS_A_YEAR + 1.0)
    rows = {
        "Time_s": hours * 3_600.0,
        "SOC": np.array(profile.soc),
        "Temperature_C": np.array(profile.pack_c),
    }
    # It leaves out the step between two chunks: an hour of a day is too much, of a week little.
    cell.simulate_battery_life(rows, breakpoints_max_time_diff_s=WEEK_S, breakpoints_max_EFC_diff=14.0)
    return float(cell.outputs["q"][-1])
