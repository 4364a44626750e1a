"""The report of a run: what flowed, how each vehicle left, what was broken, and a digest that is the same
for the same seed.
"""

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from sim.judges.availability import Figures
from sim.judges.book import Violation
from sim.runners.world import World
from sim.virtual.clock import stamp
from v2g_edge.host.kept.packing import Unpacker
from v2g_edge.model.event import Event


def make_report(world: World, journal: Path) -> dict[str, Any]:
    """The whole report as plain values: what the physics say, and ``trips`` and the digest from the
    daemon's journal.
    """
    return with_journal(physical_report(world), journal)


def with_journal(report: dict[str, Any], journal: Path) -> dict[str, Any]:
    """A physical report completed with what the journal says. The digest covers the tick records and all
    of the physical part.
    """
    bodies = read_bodies(journal)
    found = hashlib.sha256()
    for body in bodies:
        found.update(body)
    found.update(json.dumps(report, sort_keys=True).encode())
    return {**report, "trips": trips(bodies), "digest": found.hexdigest()}


def physical_report(world: World) -> dict[str, Any]:
    """What flowed, how each vehicle left, what was broken, and the end state of every vehicle and charger."""
    scenario, depot = world.scenario, world.depot
    root = scenario.site.feeders[0].id
    departures = world.panel.departures
    verdicts = [departure.verdict for departure in departures]
    charged_wh = sum(charger.import_wh for charger in depot.chargers.values())
    discharged_wh = sum(charger.export_wh for charger in depot.chargers.values())
    return {
        "scenario": scenario.name,
        "seed": scenario.seed,
        "played_s": round(depot.wall_s - scenario.start_wall_s, 3),
        "violations": [_violation(each) for each in world.panel.violations],
        "departures": {
            **{
                verdict: verdicts.count(verdict)
                for verdict in ("met", "missed_possible", "missed_impossible")
            },
            "missed": [
                {
                    "time": stamp(departure.wall_s),
                    "vehicle": departure.vehicle,
                    "evse": departure.evse,
                    "soc_pct": round(departure.soc_pct, 2),
                    "target_soc_pct": departure.target_soc_pct,
                    "best_soc_pct": round(departure.best_soc_pct, 2),
                }
                for departure in departures
                if departure.verdict != "met"
            ],
        },
        "availability": _availability(world.panel.availability.figures),
        "energy_wh": {
            "imported": round(depot.import_wh[root], 1),
            "exported": round(depot.export_wh[root], 1),
            "charged": round(charged_wh, 1),
            "discharged": round(discharged_wh, 1),
        },
        "cost": round(world.cost, 4),
        "services": [
            {**msgspec.to_builtins(each), "figure": round(each.figure, 4)}
            for each in world.panel.deliveries.all()
        ],
        "end": {
            "soc_pct": world.soc_pct(),
            "charger_wh": {name: [c.import_wh, c.export_wh] for name, c in sorted(depot.chargers.items())},
            "feeder_wh": {
                name: [depot.import_wh[name], depot.export_wh[name]] for name in sorted(depot.feeder_w)
            },
            "departed": [[d.vehicle, d.wall_s, d.soc_pct] for d in departures],
        },
    }


def _violation(violation: Violation) -> dict[str, Any]:
    return {
        "time": stamp(violation.wall_s),
        "place": violation.place,
        "rule": violation.rule,
        "found": round(violation.found, 3),
        "allowed": violation.allowed,
        "unit": violation.unit,
        "lasted_s": round(violation.lasted_s, 3),
    }


def _availability(figures: Figures) -> dict[str, Any]:
    """Vehicle-hours below target, and how many of them did not flow though they could; export not given;
    both by rule.
    """
    return {
        "lacking_h": round(figures.lacking_h, 3),
        "held_h": round(sum(figures.held_h.values()), 3),
        "held_pct": round(figures.held_pct, 3),
        "held_h_by_rule": {rule: round(hours, 3) for rule, hours in sorted(figures.held_h.items())},
        "export_lost_kwh_by_rule": {
            rule: round(kwh, 2) for rule, kwh in sorted(figures.export_lost_kwh.items())
        },
    }


def read_bodies(journal: Path) -> list[bytes]:
    """The tick records of a journal as they are stored, oldest first. sqlite3.Error when the file is none."""
    db = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    try:
        return [bytes(body) for (body,) in db.execute("SELECT body FROM ticks ORDER BY id")]
    finally:
        db.close()


def trips(bodies: list[bytes]) -> list[dict[str, Any]]:
    """Every event of severity "trip" in the journal."""
    return [
        {"time": stamp(event.wall_s), "kind": event.kind, "subject": event.subject, "text": event.text}
        for event in events(bodies)
        if event.severity == "trip"
    ]


def events(bodies: list[bytes]) -> list[Event]:
    """Every event in the journal: those of the ticks, and those from beside them."""
    records = map(Unpacker().unpack, bodies)
    return [event for record in records if record for event in (*record.events, *record.told)]


def kept(report: dict[str, Any]) -> bool:
    """Whether every promise held: nothing broken, no possible departure missed, all sold was given."""
    served = all(each["held"] for each in report.get("services", ()))
    return served and not report["violations"] and not report["departures"]["missed_possible"]


def _availability_lines(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    held = sorted(found["held_h_by_rule"].items(), key=lambda each: -each[1])
    what = ", ".join(f"{rule} {hours:.2f}" for rule, hours in held[:5])
    share = (
        f"{found['held_h']:.2f} of {found['lacking_h']:.1f} vehicle-hours did not flow"
        f" ({found['held_pct']:.2f} %)"
    )
    return [f"available  {share}{': ' if what else ''}{what}"]


def as_text(report: dict[str, Any]) -> str:
    """The report for people."""
    energy, departures = report["energy_wh"], report["departures"]
    lines = [
        f"scenario   {report['scenario']}, seed {report['seed']}, {report['played_s'] / 3_600:.1f} h",
        f"energy     grid: {energy['imported'] / 1e3:.1f} kWh in, {energy['exported'] / 1e3:.1f} kWh out; "
        f"vehicles: {energy['charged'] / 1e3:.1f} kWh in, {energy['discharged'] / 1e3:.1f} kWh out",
        f"cost       {report['cost']:.2f}",
        f"departures {departures['met']} met, {departures['missed_possible']} missed though possible, "
        f"{departures['missed_impossible']} impossible",
        *_availability_lines(report.get("availability")),
        *(f"service    {d['service']}: {d['name']} {d['figure']:g}, wanted {d['wanted']:g}"
          f"{'' if d['held'] else ', NOT HELD'}" for d in report.get("services", ())),
        f"violations {len(report['violations'])}",
        *(f"           {v['time']} {v['rule']} at {v['place']}: {v['found']} {v['unit']}, allowed "
        f"{v['allowed']}, "
          f"for {v['lasted_s']} s" for v in report["violations"][:20]),
        f"trips      {len(report['trips'])}",
        *(f"           {trip['time']} {trip['kind']} ({trip['subject']}): "
        f"{trip['text']}" for trip in report["trips"][:20]),
        f"digest     {report['digest']}",
    ]  # fmt: skip
    return "\n".join(lines)
