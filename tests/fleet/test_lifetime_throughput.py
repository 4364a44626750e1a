"""What vehicles have given, from the ledger's file into the warranty rows of the safety table."""

import json
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.depot import healthy, plugged, small_site
from tests.field.ocpp.peer import Clock
from tests.study.ledger.test_book import booked, hour
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.field.fleet_overlay import FleetOverlay
from v2g_edge.fleet.fleet import Fleet
from v2g_edge.fleet.lifetime_throughput import (
    NAME,
    OLD_S,
    LifetimeThroughput,
    has_caps,
    read_lives,
    readings_of,
)
from v2g_edge.fleet.vehicle_records import VehicleRecords
from v2g_edge.model.event import Event
from v2g_edge.model.settings import FleetSettings
from v2g_edge.model.site import Site
from v2g_edge.study.ledger.lifetime_throughput import NAME as WRITTEN
from v2g_edge.study.ledger.lifetime_throughput import write_lives

WALL_S = 1_800_000_000.0


def capped(wh: float) -> Site:
    """A depot whose maker covers so much discharge."""
    site = small_site(1)
    return replace(
        site, vehicle_types=tuple(replace(each, warranty_discharge_wh=wh) for each in site.vehicle_types)
    )


def test_the_ledger_writes_what_each_vehicle_gave(tmp_path: Path) -> None:
    """30 kWh in an hour; the open quarter hours count too, and the next hour adds to it."""
    assert NAME == WRITTEN
    store = booked(list(hour(-30_000.0)), tmp_path / "ledger.db")
    write_lives(store, tmp_path / NAME)
    lives = read_lives(tmp_path / NAME, store.span()[1])
    assert lives is not None
    assert lives.vehicles["bus-1"].discharge_wh == pytest.approx(30_000.0)
    assert lives.vehicles["bus-1"].discharge_h == pytest.approx(1.0)
    assert list(lives.vehicles) == ["bus-1"]


@pytest.mark.parametrize("text", ["", "{", '{"until_wall_s": 1800000000, "vehicles": {"bus-1": 5}}', "[]"])
def test_a_file_that_cannot_be_used_says_nothing(tmp_path: Path, text: str) -> None:
    """Nor does a missing one, nor one that the timer has not renewed for a week."""
    path = tmp_path / NAME
    assert read_lives(path, WALL_S) is None
    path.write_text(text)
    assert read_lives(path, WALL_S) is None
    path.write_text(json.dumps({"until_wall_s": WALL_S - OLD_S, "vehicles": {}}))
    assert read_lives(path, WALL_S) is None
    assert read_lives(path, WALL_S - 1.0) is not None


def test_without_caps_the_file_is_not_looked_for() -> None:
    """And a vehicle that never gave has given nothing."""
    site = capped(1e6)
    assert has_caps(site)
    assert not has_caps(small_site())
    lives = read_lives_of({})
    readings = readings_of(site, VehicleRecords(site).ids, lives, 5.0)
    assert readings["bus-1"]["life_discharge_wh"].value == 0.0


def read_lives_of(vehicles: dict[str, object]) -> LifetimeThroughput:
    """As the file has them."""
    return msgspec.convert({"until_wall_s": WALL_S, "vehicles": vehicles}, LifetimeThroughput)


@pytest.mark.parametrize(("wh", "exports"), [(90_000.0, True), (110_000.0, False), (None, False)])
async def test_a_cap_ends_export_when_it_is_used_up_or_its_count_is_lost(
    tmp_path: Path, wh: float | None, exports: bool
) -> None:
    """100 kWh are covered. The row names what is used."""
    site, clock = capped(100_000.0), Clock(WALL_S)
    if wh is not None:
        told = {"until_wall_s": WALL_S, "vehicles": {"bus-1": {"discharge_wh": wh, "discharge_h": 3.0}}}
        (tmp_path / NAME).write_text(json.dumps(told))
    events: list[Event] = []
    fleet = Fleet(
        FleetSettings(), site, clock, inform=lambda _rejected: None, tell=events.append, lives=tmp_path / NAME
    )
    assert fleet.is_used
    await fleet._read_lives_if_changed()
    overlay = FleetOverlay(fleet.records)
    overlay.begin()
    bus = plugged("bus-1", 100.0, WALL_S)
    assert bus.vehicle is not None
    seen = overlay.apply(site.evses[0].id, bus.vehicle, 100.0, WALL_S)
    snapshot = healthy(site, 100.0, WALL_S)
    snapshot = replace(snapshot, evses=(replace(bus, vehicle=seen), *snapshot.evses[1:]))
    outcome = Cycle(site).tick(snapshot, None, Memory())
    rows = [event.kind for event in outcome.events]
    assert ("battery_throughput_exceeded" not in rows) is exports
