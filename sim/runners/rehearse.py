"""A site file rehearsed: its depot is built as a world, and a calm night and a tour of faults are played on
the pure tick.

The report is for people who run a depot: Markdown and one HTML page with pictures in it.
"""

import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from sim.runners.pure import PureRun, slowed
from sim.runners.svg_curves import lines
from sim.scenarios.check import check
from sim.scenarios.fault import Fault, FaultKind
from sim.scenarios.night import PRICE_SHAPE
from sim.scenarios.scenario import Scenario
from sim.scenarios.visit import Visit
from sim.world.depot import Disturbance, Load
from v2g_edge import config
from v2g_edge.field.timetable import Timetable
from v2g_edge.model.plan import Price
from v2g_edge.model.settings import Settings
from v2g_edge.model.site import Evse, Vehicle
from v2g_edge.model.snapshot import VehicleState

HOURS: Final = 14.0
DAY: Final = "2026-01-14"
"""A working day in winter: the longest evening peak of the year."""
TICK_S: Final = 60.0

Told = tuple[FaultKind, str, float, float, float]
"""(kind, target, hours after 16:30, s long, value); target "first", "third" and "four" are stations of the
site.
"""

TOUR: Final[tuple[tuple[str, tuple[Told, ...]], ...]] = (
    ("the grid meter is silent for ten minutes at 20:00", (("meter_silent", "grid_meter", 3.5, 600.0, 0.0),)),
    ("the controller stands still for two minutes at 21:00", (("stall", "controller", 4.5, 120.0, 0.0),)),
    (
        "the controller restarts each hour",
        tuple(("restart", "controller", 0.5 + n, 60.0, 0.0) for n in range(13)),
    ),
    ("four chargers are offline from midnight on", (("offline", "four", 7.5, 23_400.0, 0.0),)),
    (
        "a charger takes its limits and ignores them for an hour at 23:00",
        (("ignore", "first", 6.5, 3_600.0, 0.0),),
    ),
    ("a third of the fleet reports ten points too many", (("wrong_soc", "third", 0.0, 50_400.0, 10.0),)),
    ("the cloud wants everything out, all night", (("cloud_discharge", "cloud", 0.2, 46_800.0, 0.0),)),
)


class Played(Struct):
    """One night: how each vehicle left, what did not flow, what moved, and the course of it."""

    name: str
    met: int
    lost: list[str]
    impossible: list[str]
    broken: list[str]
    held_pct: float
    held_by_rule: dict[str, float]
    charged_kwh: float
    discharged_kwh: float
    hours: list[float] = []
    grid_kw: list[float] = []
    soc_pct: dict[str, list[float]] = {}


def world_of(settings: Settings, seed: int) -> Scenario:
    """A night at this site: each vehicle at an outlet of its own from the evening on, with the charge of a
    working day.
    """
    site, dice = settings.site, random.Random(f"rehearse {seed}")
    zone = ZoneInfo(site.timezone)
    start = datetime.fromisoformat(DAY).replace(hour=16, minute=30, tzinfo=zone)
    kinds = {kind.id: kind for kind in site.vehicle_types}
    visits, timetable = [], Timetable(site)
    for evse, vehicle in places(settings):
        departs, target_pct = _leaves(timetable, vehicle, start)
        floor_pct = kinds[vehicle.type].min_soc_pct
        soc_pct = round(dice.uniform(max(floor_pct, 30.0), 60.0), 1)
        arrives = start + timedelta(minutes=dice.uniform(2, 180))
        if departs <= arrives or departs > start + timedelta(hours=HOURS):
            departs = start + timedelta(hours=HOURS - 0.5)
        target_pct = min(target_pct, kinds[vehicle.type].max_soc_pct)
        visits.append(
            Visit(evse.id, vehicle.id, round(arrives.timestamp()), departs.timestamp(), target_pct, soc_pct)
        )
    if not visits:
        raise ValueError("the site file has no vehicles: nothing can be rehearsed")
    first = start.replace(minute=0)
    hours = [first + timedelta(hours=n) for n in range(32)]
    return check(
        Scenario(
            name=site.name,
            seed=seed,
            start_wall_s=start.timestamp(),
            duration_s=HOURS * 3_600.0,
            site=site,
            stations=settings.stations,
            visits=tuple(visits),
            prices=tuple(Price(hour.timestamp(), PRICE_SHAPE[hour.hour]) for hour in hours),
            loads=tuple(
                Load(f.id, 0.5 * max(f.base_load_max_w, 0.0), evening_w=0.2 * max(f.base_load_max_w, 0.0))
                for f in site.feeders
            ),
        )
    )


def places(settings: Settings) -> list[tuple[Evse, Vehicle]]:
    """Who stands where: at a charger by register the vehicle that its device names, elsewhere the others in
    turn.
    """
    fixed = {device.target: device.vehicle for device in settings.devices if device.vehicle}
    vehicles = {vehicle.id: vehicle for vehicle in settings.site.vehicles}
    free = iter([vehicle for name, vehicle in vehicles.items() if name not in fixed.values()])
    found = []
    for evse in settings.site.evses:
        vehicle = vehicles.get(fixed[evse.id]) if evse.id in fixed else next(free, None)
        found += [(evse, vehicle)] if vehicle is not None else []
    return found


def _leaves(timetable: Timetable, vehicle: Vehicle, start: datetime) -> tuple[datetime, float]:
    """When and with what it leaves by the site file; at 06:00 where that does not say it."""
    came = VehicleState(session="", vehicle=vehicle.id, plugged_wall_s=start.timestamp())
    said = timetable.says(came, 0.0, start.timestamp())
    if not said:
        return (start + timedelta(days=1)).replace(hour=6, minute=0), vehicle.target_soc_pct
    departs = datetime.fromtimestamp(said["departure_wall_s"].value, start.tzinfo)
    return departs, said["target_soc_pct"].value


def rehearse(site_file: Path, out: Path, seed: int) -> int:
    """Play everything and write ``report.md``, ``report.html`` and the pictures. 0: nothing was lost or
    broken; 1: something was.
    """
    scenario = world_of(config.load(site_file), seed)
    nights = [_night(scenario, "a calm night")]
    start_wall_s = scenario.start_wall_s
    relay = replace(scenario, disturbances=(Disturbance(start_wall_s + 3 * 3_600.0, 150.0, relay_open=True),))
    nights.append(_night(relay, "the grid relay opens for some minutes at 19:30"))
    for name, told in TOUR:
        faults = tuple(fault for each in told for fault in _faults(scenario, each))
        nights.append(_night(replace(scenario, faults=faults), name))
    out.mkdir(parents=True, exist_ok=True)
    text = _markdown(scenario, nights)
    (out / "report.md").write_text(text, encoding="utf-8")
    (out / "report.html").write_text(_html(scenario, nights), encoding="utf-8")
    for file, picture in pictures(scenario, nights).items():
        (out / file).write_text(picture, encoding="utf-8")
    print(text)
    return 1 if any(night.lost or night.broken for night in nights) else 0


def _faults(scenario: Scenario, told: Told) -> list[Fault]:
    kind, target, hours, for_s, value = told
    names = [station.identity for station in scenario.stations]
    several = {"first": names[:1], "four": names[-4:], "third": names[::3]}.get(target)
    at_s = scenario.start_wall_s + hours * 3_600.0
    return [Fault(kind, name, at_s, for_s, value) for name in (several if several is not None else [target])]


def _night(scenario: Scenario, name: str) -> Played:
    run = PureRun(slowed(scenario, TICK_S))
    root = next(feeder.id for feeder in scenario.site.feeders if not feeder.parent)
    played = Played(name, 0, [], [], [], 0.0, {}, 0.0, 0.0)
    played.soc_pct = {visit.vehicle: [] for visit in scenario.visits}
    while run.depot.wall_s < run.scenario.end_wall_s:
        run.tick()
        played.hours.append((run.depot.wall_s - scenario.start_wall_s) / 3_600.0)
        played.grid_kw.append(run.depot.feeder_w[root] / 1e3)
        plugged = {
            c.battery.id: c.battery.soc_pct for c in run.depot.chargers.values() if c.battery is not None
        }
        for vehicle, course in played.soc_pct.items():
            course.append(plugged.get(vehicle, course[-1] if course else float("nan")))
    panel = run.panel
    panel.finish(run.depot)
    for departure in panel.departures:
        found = {"missed_possible": played.lost, "missed_impossible": played.impossible}.get(
            departure.verdict
        )
        if found is not None:
            found.append(f"{departure.vehicle} ({departure.soc_pct:.0f} of {departure.target_soc_pct:.0f} %)")
    played.met = sum(departure.is_met for departure in panel.departures)
    played.broken = sorted({f"{violation.rule} at {violation.place}" for violation in panel.violations})
    figures = panel.availability.figures
    played.held_pct, played.held_by_rule = figures.held_pct, figures.held_h
    played.charged_kwh = sum(charger.import_wh for charger in run.depot.chargers.values()) / 1e3
    played.discharged_kwh = sum(charger.export_wh for charger in run.depot.chargers.values()) / 1e3
    return played


COLUMNS: Final = (
    "night",
    "left charged",
    "lost",
    "out of reach",
    "held back",
    "most by",
    "kWh in",
    "kWh out",
    "broken",
)


def _row(night: Played) -> list[str]:
    held = max(night.held_by_rule.items(), key=lambda each: each[1], default=("", 0.0))[0]
    return [
        night.name, str(night.met), ", ".join(night.lost) or "–", ", ".join(night.impossible) or "–",
        f"{night.held_pct:.1f} %",
        held or "–", f"{night.charged_kwh:.0f}", f"{night.discharged_kwh:.0f}",
        ", ".join(night.broken) or "–",
    ]  # fmt: skip


HEAD: Final = (
    "Each line is one winter night from 16:30 to 06:30: all vehicles of the site file come home with 30 to"
    " 60 % and have to leave on time. *Lost* are those that could have left charged in spite of the fault"
    " and did not; *out of reach* those that could not. *Held back* is the share of the hours in which a"
    " vehicle needed charge, could have had it, and did not get it; beside it the rule that held most."
)


def pictures(scenario: Scenario, nights: list[Played]) -> dict[str, str]:
    """The courses of the calm night and of the worst one, as SVG by file name."""
    root = next(feeder for feeder in scenario.site.feeders if not feeder.parent)
    limits = {"import limit": root.import_limit_w / 1e3, "export limit": -root.export_limit_w / 1e3}
    found = {}
    worst = max(nights[1:], key=lambda night: (len(night.lost), night.held_pct), default=nights[0])
    for file, night in (("calm", nights[0]), ("worst", worst)):
        power = {"power": night.grid_kw}
        title = f"kW at the grid connection, {night.name}"
        found[f"{file}-power.svg"] = lines(title, night.hours, power, limits)
        title = f"state of charge, %, {night.name}"
        found[f"{file}-soc.svg"] = lines(title, night.hours, night.soc_pct, {})
    return found


def _markdown(scenario: Scenario, nights: list[Played]) -> str:
    rows = ["| " + " | ".join(_row(night)) + " |" for night in nights]
    table = "\n".join(["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS), *rows])
    plots = "\n".join(f"![{file.removesuffix('.svg')}]({file})" for file in pictures(scenario, nights))
    return f"# {scenario.site.name}: a rehearsal\n\n{HEAD}\n\n{table}\n\n{plots}\n"


def _html(scenario: Scenario, nights: list[Played]) -> str:
    plots = "".join(pictures(scenario, nights).values())
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _row(night)) + "</tr>" for night in nights
    )
    style = (
        "body{font:15px sans-serif;max-width:70em;margin:2em auto}td,th{border:1px solid"
        " #ccc;padding:.3em;text-align:left}"
    )
    title = escape(f"{scenario.site.name}: a rehearsal")
    text = escape(HEAD.replace("*", ""))
    return (
        '<!doctype html><html lang="en"><meta'
        f' charset="utf-8"><title>{title}</title><style>{style}</style><h1>{title}</h1>'
        f"<p>{text}</p><table><tr>{head}</tr>{body}</table>{plots}</html>\n"
    )
