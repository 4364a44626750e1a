"""A vehicle with several cards, a MAC address and a name of the back-office's is one vehicle to every
part."""

import pytest
from msgspec.structs import replace

from tests.depot import healthy, small_site
from v2g_edge.field.ocpp.station.energy_transfer import vehicle_gives
from v2g_edge.field.ocpp.station.site_vehicles import SiteVehicles
from v2g_edge.fleet.telematics import read_report
from v2g_edge.fleet.vehicle_records import VehicleRecords
from v2g_edge.model.site import Site, VehicleIds, folded
from v2g_edge.study.answer_context import NOTHING
from v2g_edge.study.names import find

OTHER = ("04:A2:7F:12", "F0-7F-0C-01-02-03", "eMAID|DE*8AA*CA2B3", "Sprinter.7")
SPELT = ["04a27f12", "04:a2:7f:12", "f07f0c010203", "F0:7F:0C:01:02:03", "emaid|de*8aa*ca2b3", " sprinter.7 "]


@pytest.fixture
def site() -> Site:
    """The usual depot; its first vehicle has four more ids."""
    usual = small_site()
    first, *others = usual.vehicles
    return replace(usual, vehicles=(replace(first, other_ids=OTHER), *others))


@pytest.mark.parametrize("told", SPELT)
def test_every_spelling_of_every_id_is_the_one_vehicle(site: Site, told: str) -> None:
    """At a charger, in a telematics report, and where a person asks."""
    ours = site.vehicles[0].id
    assert SiteVehicles(site).name("", told) == ours
    assert vehicle_gives(site, told) == vehicle_gives(site, ours)
    assert find(site, healthy(site), NOTHING, told).name == ours


def test_other_systems_name_it_as_they_like(site: Site) -> None:
    """What they say of it is found under its own id."""
    records = VehicleRecords(site)
    said = b'{"vehicle": "SPRINTER.7", "at": "2026-11-28T21:04:00Z", "soc_pct": 41.5}'
    assert read_report(said, records.ids, 1_795_899_900.0, {}).vehicle == site.vehicles[0].id
    assert "anybody" not in records.ids


def test_only_octets_lose_their_colons() -> None:
    """Names may hold both signs: BUS-07 is not BUS07."""
    assert folded("BUS-07") == "bus-07"
    assert folded("10:25") == "10:25"
    assert folded("04:A2:7F:12") == "04a27f12"


def test_the_own_id_goes_before_what_another_vehicle_calls_itself(site: Site) -> None:
    """``check`` refuses such a file; a reload that is on its way must not swap two vehicles."""
    first, second, *_ = site.vehicles
    ids = VehicleIds((first, replace(second, other_ids=(first.id,))))
    assert (ids[first.id], ids[second.id]) == (first.id, second.id)
