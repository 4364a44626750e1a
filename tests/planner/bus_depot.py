"""The bus depot of the shared data as the three files that ``v2g-edge plan`` takes: `python -m
tests.planner.bus_depot FOLDER` writes them.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sim.scenarios.scenario import write_prices
from sim.scenarios.spice_ev import import_spice_ev
from tests.planner.depots import DATA
from v2g_edge.config.dump import dump

AT: Final = "2018-01-02T15:00+00:00"
CONNECTOR: Final = "Betriebshof A"
HEAD: Final = "evse,vehicle,soc_pct,departs,target_soc_pct"


def write_files(folder: Path) -> list[str]:
    """Write the files; the words of the command that plans with them."""
    scenario = import_spice_ev(DATA / "bus_depot/bus_scenario_D.json", CONNECTOR, DATA / "prices/NL_2023.csv")
    site, prices, fleet = (folder / name for name in ("site.toml", "prices.csv", "fleet.csv"))
    site.write_text(dump(scenario.settings(folder)), encoding="utf-8")
    write_prices(scenario.prices, prices)
    wall_s = datetime.fromisoformat(AT).timestamp()
    lines = [HEAD]
    for visit in scenario.visits:
        if visit.arrives_wall_s <= wall_s < visit.departs_wall_s:
            leaves = datetime.fromtimestamp(visit.departs_wall_s, UTC).isoformat()
            # On its route's end, if it had left with what it wants.
            soc_pct = visit.arrival_soc_pct(visit.target_soc_pct)
            lines.append(f"{visit.evse},{visit.vehicle},{soc_pct:.1f},{leaves},{visit.target_soc_pct:g}")
    fleet.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ["plan", f"--site={site}", f"--prices={prices}", f"--fleet={fleet}", f"--at={AT}"]


if __name__ == "__main__":
    sys.stdout.write(" ".join(write_files(Path(sys.argv[1]))) + "\n")
