"""Orders for tonight: tried, given, in force at the next tick, on the disk, ended at their time, taken
back by one command.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.depot import healthy, plugged, small_site
from v2g_edge.api.state import DepotState, Tick
from v2g_edge.api.status import StatusApi
from v2g_edge.api.tonight import TonightApi
from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.host.control import BadRequestError
from v2g_edge.host.operator import OperatorFile
from v2g_edge.model.event import Event
from v2g_edge.model.orders import with_missions
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import Operator, Order, Snapshot

SITE = small_site()
WALL_S = 1_000_000.0
NOW_S = 100.0
HOUR_S = 3_600.0
NO_ORDERS = Operator()


def picture(operator: Operator = NO_ORDERS, **vehicle: Any) -> Snapshot:
    """Two buses; the first at 50 %, leaving in ten hours."""
    facts = {
        "departure_wall_s": Reading(WALL_S + 10 * HOUR_S, NOW_S),
        "soc_pct": Reading(50.0, NOW_S),
    } | vehicle
    bus = plugged("bus-1", NOW_S, WALL_S, **facts)
    snapshot = healthy(SITE)
    return replace(snapshot, evses=(bus, snapshot.evses[1]), operator=operator)


def decided(snapshot: Snapshot) -> Outcome:
    return Cycle(SITE).tick(snapshot, None, Memory())


class Desk:
    """The handler with the state of one tick."""

    def __init__(self, path: Path, snapshot: Snapshot) -> None:
        self.events: list[Event] = []
        self.woken = 0
        self.state = DepotState(SITE)
        self.file = OperatorFile(path)
        outcome = decided(snapshot)
        self.state.tick, self.state.memory = Tick(snapshot, None, outcome), outcome.memory
        self.api = TonightApi(self.state, self.file, self.events.append, self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def order(self, **params: Any) -> dict[str, Any]:
        return asyncio.run(self.api.order({"who": "anna", **params}))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "operator.json", picture())


def an_order(kind: str, subject: str, **more: Any) -> Operator:
    return Operator(orders=(Order(1, kind, subject, WALL_S + HOUR_S, WALL_S, "anna", **more),))


def test_a_departure_order_counts_before_the_charger_and_the_site_file() -> None:
    """For rules, certificate and plan alike: they all see the same picture."""
    seen = (
        with_missions(picture(an_order("depart", "bus-1", at_wall_s=WALL_S + HOUR_S, soc_pct=90.0)))
        .evses[0]
        .vehicle
    )
    assert seen is not None
    assert (seen.departure_wall_s, seen.target_soc_pct) == (Reading(WALL_S + HOUR_S, 0.0), Reading(90.0, 0.0))
    outcome = decided(
        with_missions(picture(an_order("depart", "bus-1", at_wall_s=WALL_S + HOUR_S, soc_pct=90.0)))
    )
    assert next(wish for wish in outcome.wishes if wish.evse == "b1").reason in {
        "departure",
        "departure_short",
    }


def test_without_an_order_the_picture_stays_the_same_object() -> None:
    """The journal writes what moved, and nothing did."""
    snapshot = picture()
    assert with_missions(snapshot) is snapshot


def test_a_vehicle_that_stays_has_a_departure_far_away() -> None:
    """Known, so that it may give; far, so that it need not charge."""
    outcome = decided(
        with_missions(picture(an_order("skip", "bus-1"), departure_wall_s=Reading(WALL_S + 600.0, NOW_S)))
    )
    assert next(wish for wish in outcome.wishes if wish.evse == "b1").urgency < 1.0


def test_a_boost_charges_at_once_and_a_priority_goes_first() -> None:
    """Up to the target; after those who must leave."""
    boosted = next(w for w in decided(picture(an_order("boost", "bus-1"))).wishes if w.evse == "b1")
    assert (boosted.reason, boosted.urgency) == ("order_boost", 1.0)
    assert boosted.power_w > 0.0
    first = next(w for w in decided(picture(an_order("priority", "bus-1"))).wishes if w.evse == "b1")
    assert first.urgency > boosted.urgency
    both = Operator(
        orders=(*an_order("boost", "bus-1").orders, *an_order("priority", "bus-1").orders),
    )
    wish = next(w for w in decided(picture(both)).wishes if w.evse == "b1")
    assert (wish.reason, wish.urgency) == ("order_boost", first.urgency)
    late = picture(both, departure_wall_s=Reading(WALL_S + 600.0, NOW_S))
    assert next(w for w in decided(late).wishes if w.evse == "b1").urgency > first.urgency
    full = picture(an_order("boost", "bus-1"), soc_pct=Reading(100.0, NOW_S))
    assert next(w for w in decided(full).wishes if w.evse == "b1").power_w == 0.0


def test_a_limit_order_narrows_the_feeder_and_never_widens_it() -> None:
    """Every permit fits it at the same tick."""
    low = decided(picture(an_order("limit", "hall", limit_w=20_000.0)))
    assert sum(max(permit.power_w, 0.0) for permit in low.permits) <= 20_000.0
    wide = decided(picture(an_order("limit", "hall", limit_w=1e9)))
    assert [permit.power_w for permit in wide.permits] == [
        permit.power_w for permit in decided(picture()).permits
    ]


def test_a_vehicle_told_to_give_nothing_is_permitted_nothing() -> None:
    """By the row that says who may."""
    outcome = decided(picture(an_order("no-v2g", "bus-1")))
    assert outcome.permits[0].min_w == 0.0
    assert "not_authorised" in {bound.rule for bound in outcome.bounds[0]}


def test_an_order_is_tried_given_kept_shown_and_taken_back(desk: Desk) -> None:
    """A trial changes nothing; giving is in force before the answer, and on the disk."""
    tried = desk.order(kind="boost", subject="BUS-1", trial=True)
    assert (tried["given"], desk.state.operator.orders, desk.woken) == (False, (), 0)
    given = desk.order(kind="boost", subject="BUS-1", why="school trip")
    assert given["given"]
    assert "(anna: school trip)" in given["text"]
    assert [order.subject for order in OperatorFile(desk.file._file._path).load().orders] == ["bus-1"]
    status = asyncio.run(StatusApi(desk.state).status({}))
    assert [order["number"] for order in status["orders"]] == [given["number"]]
    taken = asyncio.run(desk.api.undo({"number": given["number"], "who": "ben"}))
    assert desk.state.operator.orders == ()
    assert "boost bus-1" in taken["text"]
    assert [event.kind for event in desk.events] == ["order_given", "order_ended"]


def test_the_same_order_again_replaces_the_first(desk: Desk) -> None:
    """Two boosts of one vehicle are one."""
    desk.order(kind="boost", subject="bus-1")
    desk.order(kind="boost", subject="b1")
    assert [order.number for order in desk.state.operator.orders] == [2]


def test_an_order_ends_at_its_time(desk: Desk) -> None:
    """And says so."""
    desk.order(kind="skip", subject="bus-1")
    desk.api.expire(WALL_S + 13 * HOUR_S)
    assert desk.state.operator.orders == ()
    assert desk.events[-1].text.endswith("over")


def test_an_order_that_breaks_a_promise_says_which(desk: Desk) -> None:
    """By the proof that every export needs: 50 % more in ten minutes is beyond any charger here."""
    broken = desk.order(
        kind="depart", subject="bus-1", at="1970-01-12T13:56:40+00:00", soc_pct=100.0, trial=True
    )
    assert broken["breaks"]
    assert broken["breaks"][0].startswith("bus-1 would")
    fine = desk.order(
        kind="depart", subject="bus-1", at="1970-01-13T12:00:00+00:00", soc_pct=60.0, trial=True
    )
    assert fine["breaks"] == []


def test_a_full_disk_keeps_no_order_from_acting(tmp_path: Path) -> None:
    """Rule 13; the answer says what is lost."""
    (tmp_path / "file").write_text("x")
    desk = Desk(tmp_path / "file" / "operator.json", picture())
    given = desk.order(kind="boost", subject="bus-1")
    assert desk.state.operator.orders
    assert "would be lost with a restart" in given["kept"]


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"kind": "fly", "subject": "bus-1"}, "with a kind of boost, depart"),
        ({"kind": "boost"}, "an order takes"),
        ({"kind": "boost", "subject": "bus-1", "colour": 1}, "an order takes"),
        ({"kind": "boost", "subject": "bus1"}, "did you mean bus-1"),
        ({"kind": "boost", "subject": "hall"}, "takes a vehicle"),
        ({"kind": "limit", "subject": "hall"}, "a limit is in W"),
        ({"kind": "limit", "subject": "hall", "limit_w": float("nan")}, "a limit is in W"),
        ({"kind": "limit", "subject": "bus-1", "limit_w": 1.0}, "takes a feeder"),
        ({"kind": "depart", "subject": "bus-1", "at": "25:00"}, "is no time"),
        ({"kind": "depart", "subject": "bus-1", "at": "noon"}, "is no time"),
        ({"kind": "depart", "subject": "bus-1"}, "is no time"),
        ({"kind": "depart", "subject": "bus-1", "at": "06:00", "soc_pct": 120}, "soc_pct is 0 to 100"),
        (
            {"kind": "depart", "subject": "bus-1", "at": "06:00", "until": "05:59"},
            "ends before its departure",
        ),
        ({"kind": "boost", "subject": "bus-1", "until": "2030-01-01T00:00"}, "within the next 14 days"),
        ({"kind": "mute", "subject": "disobedient:b1"}, "does not act"),
    ],
)
def test_a_wrong_order_is_refused_in_words(desk: Desk, params: dict[str, Any], word: str) -> None:
    """What is allowed, or what was meant."""
    with pytest.raises(BadRequestError) as caught:
        desk.order(**params)
    assert word in str(caught.value)
    assert desk.state.operator.orders == ()


def test_an_unknown_number_cannot_be_taken_back(desk: Desk) -> None:
    """It says which there are."""
    desk.order(kind="boost", subject="bus-1")
    with pytest.raises(BadRequestError, match="there stand: 1"):
        asyncio.run(desk.api.undo({"number": 7}))


def test_without_a_clock_an_order_is_taken_and_its_end_is_a_guess(tmp_path: Path) -> None:
    """Somebody on a site without a network must still be able to order."""
    desk = Desk(tmp_path / "operator.json", replace(picture(), clock_synced=False))
    assert "guess" in desk.order(kind="boost", subject="bus-1")["breaks"][0]


def test_a_departure_may_be_ordered_in_kwh(desk: Desk) -> None:
    """As a share of the capacity of its type."""
    desk.order(kind="depart", subject="bus-1", at="04:45", need_wh=150_000.0)
    assert desk.state.operator.orders[0].soc_pct == pytest.approx(75.0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"need_wh": 900_000.0}, "bus-1 holds 0 to 200 kWh"),
        ({"need_wh": "much"}, "bus-1 holds 0 to 200 kWh"),
        ({"need_wh": 9_000.0, "soc_pct": 50.0}, "percent or kWh"),
    ],
)
def test_kwh_that_cannot_be_are_refused(desk: Desk, more: dict[str, Any], said: str) -> None:
    """With what it holds."""
    with pytest.raises(BadRequestError, match=said):
        desk.order(kind="depart", subject="bus-1", at="04:45", **more)
