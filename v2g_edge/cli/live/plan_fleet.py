"""A fleet file, for a plan without a daemon: CSV with a line for each vehicle that is plugged in."""

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from v2g_edge.cli.outcome import BAD_INPUT, CommandError
from v2g_edge.model.reading import NO_SAMPLE, Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import EvseState, Link, Snapshot, VehicleState

COLUMNS: Final = ("evse", "vehicle", "soc_pct", "departs", "target_soc_pct")
HELP: Final = (
    f"CSV with the columns {', '.join(COLUMNS)}; departs in ISO 8601 (the site's time zone without an offset)"
)
MOST_REPORTED: Final = 10


class _Line(NamedTuple):
    number: int
    cells: dict[str, str]


def read_fleet(path: Path, site: Site, wall_s: float) -> Snapshot:
    """The depot with the file's vehicles in, everything healthy. CommandError (2) with every line that
    cannot be used.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [_Line(n, row) for n, row in enumerate(csv.DictReader(file), start=2)]
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise CommandError(f"{path}: cannot be read: {fault}", BAD_INPUT) from fault
    missing = [name for name in COLUMNS if lines and name not in lines[0].cells]
    if missing or not lines:
        raise CommandError(
            f"{path}: {f'no column {missing[0]!r}' if missing else 'no vehicles'}; expected {HELP}", BAD_INPUT
        )
    faults = [f"{path}:{line.number}: {text}" for line in lines for text in _faults(line, site)]
    taken: dict[str, int] = {}
    for line in lines:
        if line.cells["evse"] in taken:
            faults.append(
                f"{path}:{line.number}: outlet {line.cells['evse']} stands in line"
                f" {taken[line.cells['evse']]} already"
            )
        taken.setdefault(line.cells["evse"], line.number)
    if faults:
        more = f"\n{path}: and {len(faults) - MOST_REPORTED} more" if len(faults) > MOST_REPORTED else ""
        raise CommandError("\n".join(faults[:MOST_REPORTED]) + more, BAD_INPUT)
    here = {line.cells["evse"]: line for line in lines}
    evses = tuple(_state(here.get(evse.id), site, wall_s) for evse in site.evses)
    return Snapshot(1, 0.0, wall_s, True, evses, (), (), ())


def _faults(line: _Line, site: Site) -> Iterator[str]:
    evses, vehicles = [evse.id for evse in site.evses], [vehicle.id for vehicle in site.vehicles]
    if line.cells["evse"] not in evses:
        yield (
            f"no outlet {line.cells['evse']!r}; the site has"
            f" {', '.join(evses[:8])}{' …' if len(evses) > 8 else ''}"
        )
    if line.cells["vehicle"] and line.cells["vehicle"] not in vehicles:
        known = f"{', '.join(vehicles[:8])}{' …' if len(vehicles) > 8 else ''}"
        yield (
            f"no vehicle {line.cells['vehicle']!r} in the site file; leave it empty for a stranger, or name"
            f" one of {known}"
        )
    for name in ("soc_pct", "target_soc_pct"):
        text = line.cells[name] or ""
        if text and not _percent(text):
            yield f"{name} is {text!r}, expected 0 to 100, or nothing where it is not known"
    if line.cells["departs"] and _moment(line.cells["departs"], site) is None:
        yield (
            f"departs is {line.cells['departs']!r}, expected a time like 2026-11-27T06:30, or nothing where"
            " it is not known"
        )


def _percent(text: str) -> bool:
    try:
        return 0.0 <= float(text) <= 100.0
    except ValueError:
        return False


def _moment(text: str, site: Site) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(site.timezone))).timestamp()


def _state(line: _Line | None, site: Site, wall_s: float) -> EvseState:
    link = Link(connected=True, ever_seen=True)
    if line is None:
        return EvseState(link=link, status="available")
    known = next((vehicle for vehicle in site.vehicles if vehicle.id == line.cells["vehicle"]), None)
    kind = next((kind for kind in site.vehicle_types if known is not None and kind.id == known.type), None)

    def reading(value: float | None) -> Reading | None:
        return None if value is None else Reading(value, 0.0)

    soc, target = (
        float(line.cells[name]) if line.cells[name] else None for name in ("soc_pct", "target_soc_pct")
    )
    departs = _moment(line.cells["departs"], site) if line.cells["departs"] else None
    vehicle = VehicleState(
        session=f"{line.cells['vehicle']}@{line.cells['evse']}",
        vehicle=line.cells["vehicle"],
        plugged_wall_s=wall_s,
        soc_pct=reading(soc) or NO_SAMPLE,
        capacity_wh=reading(kind.capacity_wh if kind else None) or NO_SAMPLE,
        departure_wall_s=reading(departs) or NO_SAMPLE,
        target_soc_pct=reading(target) or NO_SAMPLE,
        max_discharge_w=reading(kind.max_discharge_w if kind else None) or NO_SAMPLE,
        soh_pct=Reading(100.0, 0.0),
    )
    return EvseState(link=link, status="occupied", dead_man_ok=True, proven_discharge=True, vehicle=vehicle)
