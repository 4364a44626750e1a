"""A site in words, as its file describes it: what ``v2g-edge check`` ends with, for a person to nod at or
not.
"""

import textwrap
from collections import defaultdict
from typing import Final
from zoneinfo import ZoneInfo

from v2g_edge.market.price_file import PriceFile
from v2g_edge.market.rows import describe
from v2g_edge.model.settings import Settings
from v2g_edge.model.site import Evse, Feeder, Site, Vehicle, Window

WIDTH: Final = 80
NAMES_SHOWN: Final = 8
DEAD_MEN: Final = {
    "ocpp_profile": "its own default profile",
    "modbus_watchdog": "its watchdog",
    "sunspec_revert": "its SunSpec timeout",
    "contactor": "a contactor that opens",
    "none": "nothing: it never discharges",
}


def in_words(settings: Settings) -> list[str]:
    """Connection, feeders, outlets, vehicles, what happens when the link is lost, when export is allowed."""
    site = settings.site
    lines = [f"{site.name}, in {site.timezone}"]
    lines += _wrap("feeders", "; ".join(_feeder(feeder, site) for feeder in _from_root(site)))
    lines += _wrap("outlets", "; ".join(_outlets(site)) or "none")
    for line in _departures(site):
        lines += _wrap("leave", line)
    for window in site.windows:
        lines += _wrap("window", f"{window.id}: {_narrows(window)}, {', '.join(window.when)}")
    lines += _wrap("link lost", _silence(settings))
    lines += _wrap("export", _export(site))
    lines += _wrap("prices", _prices(settings))
    lines += _wrap("cloud", f"{settings.cloud.host}:{settings.cloud.port}" if settings.cloud.host else "none")
    return lines


def _prices(settings: Settings) -> str:
    if settings.prices.feed:
        return f"from {settings.prices.feed}, zone {settings.prices.zone or 'not said'}"
    if not settings.prices.file:
        if settings.time_of_use:
            return f"by time of use: {', '.join(band.id for band in settings.time_of_use)}"
        gives = any(vehicle.may_discharge for vehicle in settings.site.vehicles)
        asked = settings.site.services or settings.cloud.host
        unasked = ", and nothing asks a vehicle to give" if gives and not asked else ""
        return f"none: charges as soon as it can{unasked}"
    file = PriceFile(settings.prices)
    fault = file.read()
    if fault:
        return f"{settings.prices.file} cannot be used"
    return f"{describe(file.rows, ZoneInfo(settings.site.timezone))}, from {settings.prices.file}"


def _from_root(site: Site) -> list[Feeder]:
    done, queue = [], [feeder for feeder in site.feeders if not feeder.parent]
    while queue:
        done.append(queue.pop(0))
        queue += [feeder for feeder in site.feeders if feeder.parent == done[-1].id]
    return done


def _feeder(feeder: Feeder, site: Site) -> str:
    amps = feeder.import_limit_w / 3.0 / site.grid.nominal_v
    limit = f"{kilowatts(feeder.import_limit_w)} in ({amps:.0f} A a phase)"
    if feeder.current is not None:
        limit += f" and {feeder.current.import_a:g} A measured"
    out = f"{kilowatts(feeder.export_limit_w)} out" if feeder.export_limit_w else "nothing out"
    below = f", under {feeder.parent}" if feeder.parent else ""
    meter = (
        f"meter {feeder.meter}"
        if feeder.meter
        else f"no meter: {kilowatts(feeder.base_load_max_w)} counted for the rest"
    )
    return f"{feeder.id}{below}: {limit}, {out}, {meter}"


def _outlets(site: Site) -> list[str]:
    """Outlets that are alike together."""
    alike: dict[tuple[float, float, str], list[str]] = defaultdict(list)
    for evse in site.evses:
        alike[evse.max_charge_w, evse.max_discharge_w, evse.feeder].append(evse.id)
    words = []
    for (charge_w, discharge_w, feeder), ids in alike.items():
        gives = f", gives {kilowatts(discharge_w)}" if discharge_w else ""
        words.append(f"{_names(ids)} at {feeder}: {kilowatts(charge_w)}{gives}")
    return words


def _departures(site: Site) -> list[str]:
    """Who leaves when with what; vehicles of one time and target together."""
    leaves: dict[tuple[str, str, tuple[str, ...]], list[Vehicle]] = defaultdict(list)
    for vehicle in site.vehicles:
        target = f"{vehicle.target_wh / 1e3:g} kWh" if vehicle.target_wh else f"{vehicle.target_soc_pct:g} %"
        leaves[vehicle.departs, target, vehicle.departures].append(vehicle)
    words = []
    for (departs, target, days), vehicles in sorted(leaves.items()):
        ids = _names([vehicle.id for vehicle in vehicles])
        gives = [vehicle for vehicle in vehicles if vehicle.may_discharge]
        may = (
            ""
            if not gives
            else " and may give"
            if len(gives) == len(vehicles)
            else f"; {len(gives)} may give"
        )
        when = f"every day at {departs} with {target}" if departs else "when its charger says so (no departs)"
        other = f", but {', '.join(days)}" if days else ""
        words.append(f"{ids} {when}{other}{may}")
    return words or ["no vehicle is known: all charge, none discharges"]


def _narrows(window: Window) -> str:
    """What is less in a window."""
    parts = [
        f"{window.feeder} {kilowatts(limit_w)} {way}"
        for way, limit_w in (("in", window.import_limit_w), ("out", window.export_limit_w))
        if limit_w is not None
    ]
    if window.min_soc_pct is not None:
        parts.append(f"{window.vehicle_type} kept above {window.min_soc_pct:g} %")
    return ", ".join(parts)


def _silence(settings: Settings) -> str:
    site = settings.site
    total_w = sum(evse.fallback_w for evse in site.evses)
    parts = [
        f"after {site.safety.lease_s:g} s each outlet draws its fallback, {kilowatts(total_w)} together, and"
        " every feeder holds"
    ]
    by: dict[str, list[Evse]] = defaultdict(list)
    for evse in site.evses:
        if evse.max_discharge_w > 0.0:
            by[evse.dead_man].append(evse)
    parts += [
        f"discharge of {_names([evse.id for evse in evses])} ends by {DEAD_MEN[how]}"
        for how, evses in by.items()
    ]
    return "; ".join(parts)


def _export(site: Site) -> str:
    grid = site.grid
    why = [
        text
        for text, stands in (
            ("grid.export_allowed is false", not grid.export_allowed),
            ("no relay is named", not grid.relay),
            ("no meter is named", not grid.meter),
            ("no outlet gives", all(evse.max_discharge_w == 0.0 for evse in site.evses)),
            ("no vehicle may", not any(vehicle.may_discharge for vehicle in site.vehicles)),
        )
        if stands
    ]
    if why:
        return f"never: {', '.join(why)}"
    return (
        f"while {grid.relay} is closed and {grid.meter} is healthy by {grid.code}, and every departure is"
        " proven; never more than the feeders' limits out"
    )


def _names(ids: list[str]) -> str:
    more = f" and {len(ids) - NAMES_SHOWN} more" if len(ids) > NAMES_SHOWN else ""
    return ", ".join(ids[:NAMES_SHOWN]) + more


def kilowatts(watts: float) -> str:
    """A power for a sentence."""
    return f"{round(watts / 1_000.0, 1):g} kW"


def _wrap(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"  {name:10} ",
        subsequent_indent=" " * 13,
        break_long_words=False,
        break_on_hyphens=False,
    )
