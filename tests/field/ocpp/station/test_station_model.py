"""What is learnt of makes is kept for good, and has an end: a station may call itself by another name at
each boot.
"""

import json

import pytest
import structlog

from tests.field.ocpp.conftest import Depot
from v2g_edge.field.ocpp.station.station_model import (
    MAKES_MAX,
    NO_MORE,
    OWN_MAKES_MAX,
    REFUTED_BY,
    StationModel,
)
from v2g_edge.field.ocpp.vocabulary.facts import Identity


def shown(depot: Depot, make: StationModel, firmware: int, proof: str) -> None:
    """It boots under this firmware and shows what it does when it is told to discharge."""
    make.on_identity(Identity("v", "m", str(firmware)))
    outlet = depot.central.links["new"].station.outlets[1]
    before, outlet.watch.proof = outlet.watch.proof, proof  # type: ignore[assignment]
    make.judged(outlet, before)


def test_beyond_so_many_makes_none_is_tried_until_an_engineer_answers_for_it() -> None:
    depot = Depot()
    make = depot.central.links["new"].station.model
    for number in range(MAKES_MAX):
        make._store.remember(f"discharge/other/{number}", "proven")
    with structlog.testing.capture_logs() as logged:
        shown(depot, make, 1, "proven")
    assert make._store.count_facts("discharge/") == MAKES_MAX + 1, "and that there are so many"
    assert make.proof() == "refuted"
    assert depot.board.evse("b2").proven_discharge is False
    assert {each["effect"] for each in logged if each["event"] == "discharge_makes_too_many"} == {
        "new makes never discharge"
    }
    make.forget_proof("E. Engineer")
    assert make.proof() == "unknown", "probed again"


@pytest.mark.parametrize("more", [1, OWN_MAKES_MAX])
def test_one_station_with_ever_new_names_takes_no_place_of_others(more: int) -> None:
    depot = Depot()
    liar, honest = (depot.central.links[name].station.model for name in ("new", "old"))
    for firmware in range(OWN_MAKES_MAX + more):
        shown(depot, liar, firmware, "proven" if firmware % 2 else "refuted")
    assert liar._store.count_facts("discharge/") == OWN_MAKES_MAX
    assert depot.board.evse("b2").proven_discharge is False
    honest.on_identity(Identity("v", "m", "99"))
    assert honest.proof() == "unknown"
    assert honest._store.fact(NO_MORE) == ""


@pytest.mark.parametrize("times", [1, 2])
def test_e7_liar_of_a_make(times: int) -> None:
    """It convicts itself alone, however often; its make is refuted by several stations, each counted once."""
    depot = Depot()
    models = {name: link.station.model for name, link in depot.central.links.items()}
    for make in models.values():
        make.version = "2.0.1"
        make.on_identity(Identity("v", "m", "1"))
    for _ in range(times):
        shown(depot, models["new"], 1, "refuted")
    assert {name: make.proof() for name, make in models.items()} == {
        "new": "refuted",
        "old": "unknown",
        "newest": "unknown",
    }
    other = {"old": Identity("v", "m", "1"), "newest": Identity("v", "m", "1")}
    for name, station in (("old", "A"), ("newest", "B")):
        models[name].on_identity(other[name])
        witnesses = models[name]._witnesses() | {station: "refuted"}
        models[name]._store.remember(models[name]._key("witness"), json.dumps(witnesses))
    shown(depot, models["new"], 2, "proven")
    models["old"].on_identity(Identity("v", "m", "2"))
    assert models["old"].proof() == "proven", "a sister has shown that this one does"


def test_e7_a_make_is_refuted_by_several_stations() -> None:
    depot = Depot()
    models = {name: link.station.model for name, link in depot.central.links.items()}
    for make in models.values():
        make.version = "2.0.1"
        make.on_identity(Identity("v", "m", "1"))
    prove(models["old"], depot, "old", "proven")
    prove(models["new"], depot, "new", "refuted")
    assert models["newest"].proof() == "unknown", (
        "they contradict each other: it is tried itself, under supervision"
    )
    accusers = models["new"]._witnesses() | {f"X{n}": "refuted" for n in range(REFUTED_BY - 2)}
    models["new"]._store.remember(models["new"]._key("witness"), json.dumps(accusers))
    prove(models["newest"], depot, "newest", "refuted")
    assert {make.proof() for make in models.values()} == {"refuted"}
    models["old"].forget_proof("E. Engineer")
    assert {make.proof() for make in models.values()} == {"unknown"}


def prove(make: StationModel, depot: Depot, name: str, proof: str) -> None:
    outlet = next(iter(depot.central.links[name].station.outlets.values()))
    before, outlet.watch.proof = outlet.watch.proof, proof  # type: ignore[assignment]
    make.judged(outlet, before)
