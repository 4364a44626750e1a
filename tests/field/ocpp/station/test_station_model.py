"""What is learnt of makes is kept for good, and has an end: a station may call itself by another name at each boot."""

import structlog

from tests.field.ocpp.conftest import Depot
from v2g_edge.field.ocpp.station.station_model import MAKES_MAX, NO_MORE, StationModel
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
    with structlog.testing.capture_logs() as logged:
        for firmware in range(MAKES_MAX + 50):
            shown(depot, make, firmware, "refuted" if firmware == 7 else "proven")
    assert make._store.count_facts("discharge/") == MAKES_MAX + 1, "and that there are so many"
    assert make.proof() == "refuted"
    assert depot.board.evse("b2").proven_discharge is False
    assert {each["effect"] for each in logged if each["event"] == "discharge_makes_too_many"} == {"new makes never discharge"}
    for firmware, proof in ((3, "proven"), (7, "refuted"), (MAKES_MAX + 99, "refuted")):
        make.on_identity(Identity("v", "m", str(firmware)))
        assert make.proof() == proof
    make.forget_proof("E. Engineer")
    assert make.proof() == "unknown", "probed again"


def test_within_so_many_a_make_that_nobody_knows_may_be_tried() -> None:
    depot = Depot()
    make = depot.central.links["new"].station.model
    for firmware in range(20):
        shown(depot, make, firmware, "refuted")
    make.on_identity(Identity("v", "m", "99"))
    assert make.proof() == "unknown"
    assert make._store.fact(NO_MORE) == ""
