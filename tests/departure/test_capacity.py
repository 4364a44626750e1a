"""What may be sold: never more than there is, never twice."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import healthy, small_evse, small_site
from v2g_edge.departure.capacity import MOST_OFFERS, Ledger, Offer, Request, Taken, offer_of
from v2g_edge.departure.depot import Depot, depot_of
from v2g_edge.model.frame import frame_of
from v2g_edge.model.reading import NO_SAMPLE, Reading, Unknown
from v2g_edge.model.site import Feeder
from v2g_edge.model.snapshot import Snapshot

NOW_S, WALL_S = 100.0, 1_000_000.0
HOUR_S = 3_600.0
EMPTY = Ledger()
UNTOUCHED = Taken()


def depot(evses: int = 2, export_w: float = 1e6, reserve_pct: float = 0.0, efficiency: float = 1.0) -> Depot:
    """Outlets of 50 kW without losses, under a hall that may export ``export_w``; no margins."""
    site = small_site(evses)
    return depot_of(
        frame_of(
            replace(
                site,
                evses=tuple(small_evse(f"b{i}", efficiency=efficiency) for i in range(1, evses + 1)),
                feeders=(
                    Feeder("hall", "main", 1e6, export_w, 0.0, 0.0, ""),
                    Feeder("main", "", 1e6, 1e6, 0.0, 0.0, "grid"),
                ),
                vehicles=tuple(replace(vehicle, reserve_soc_pct=reserve_pct) for vehicle in site.vehicles),
                safety=replace(site.safety, feeder_margin_pct=0.0),
            )
        )
    )


def buses(place: Depot, soc: float = 80.0, **changes: Any) -> Snapshot:
    """Buses of 200 kWh that leave in ten hours."""
    snapshot = healthy(place.frame.site, NOW_S, WALL_S)
    evses = []
    for state in snapshot.evses:
        assert state.vehicle is not None
        vehicle = replace(state.vehicle, soc_pct=Reading(soc, NOW_S), target_soc_pct=Reading(70.0, NOW_S))
        evses.append(replace(state, vehicle=replace(vehicle, **changes)))
    return replace(snapshot, evses=tuple(evses))


def sold(
    place: Depot,
    snapshot: Snapshot,
    request: Request,
    ledger: Ledger = EMPTY,
    room_w: float = 50_000.0,
    taken: Taken = UNTOUCHED,
) -> tuple[Offer, Ledger]:
    count = len(place.frame.ids)
    return offer_of(place, snapshot, (room_w,) * count, (taken,) * count, request, ledger)


def ask(
    request: str = "r1", wanted_w: float = 1e6, duration_s: float = HOUR_S, service: str = "market"
) -> Request:
    return Request(request, service, wanted_w, duration_s)


def test_soc_above_the_mission_is_what_can_be_sold() -> None:
    """10 % of 200 kWh in an hour are 20 kW a bus, in half an hour 40 kW."""
    place = depot()
    offer, _ = sold(place, buses(place), ask())
    assert dict(offer.evse_w) == pytest.approx({"b1": 20_000.0, "b2": 20_000.0})
    assert sold(place, buses(place), ask(duration_s=HOUR_S / 2.0))[0].total_w == pytest.approx(80_000.0)


def test_the_reserve_is_not_for_sale() -> None:
    place = depot(reserve_pct=4.0)
    assert sold(place, buses(place), ask())[0].total_w == pytest.approx(2 * 12_000.0)


def test_losses_are_not_for_sale() -> None:
    """At 80 % a kWh out of the battery is 0.8 kWh at the grid."""
    place = depot(efficiency=0.8)
    assert sold(place, buses(place), ask())[0].total_w == pytest.approx(2 * 16_000.0)


def capped(place: Depot, **caps: float) -> Depot:
    """The same depot with other caps of the vehicle type."""
    site = place.frame.site
    return depot_of(
        frame_of(replace(site, vehicle_types=tuple(replace(kind, **caps) for kind in site.vehicle_types)))
    )


def energy_wh(offer: Offer) -> dict[str, float]:
    return {evse: watts * (offer.until_wall_s - WALL_S) / HOUR_S for evse, watts in offer.evse_w}


@pytest.mark.parametrize(
    ("caps", "target", "taken", "left_wh"),
    [
        ({"min_soc_pct": 75.3}, 10.0, UNTOUCHED, 9_400.0),
        ({"depth_per_event_pct": 4.7}, 70.0, UNTOUCHED, 9_400.0),
        ({"depth_per_day_pct": 4.7}, 70.0, UNTOUCHED, 9_400.0),
        ({"depth_per_event_pct": 6.0}, 70.0, Taken(event_pct=1.3), 9_400.0),
        ({"depth_per_day_pct": 6.0}, 70.0, Taken(day_pct=1.3), 9_400.0),
        ({"depth_per_event_pct": 6.0}, 70.0, Taken(event_pct=7.0), 0.0),
        ({"warranty_discharge_wh": 10_000.0}, 70.0, UNTOUCHED, 9_400.0),
        ({"warranty_efc": 0.05}, 70.0, UNTOUCHED, 9_400.0),
        ({"warranty_discharge_h": 4.5}, 70.0, UNTOUCHED, 0.0),
        ({"warranty_discharge_h": 5.0}, 70.0, UNTOUCHED, 20_000.0),
    ],
)
def test_d15_an_offer_fits_every_cap_of_the_vehicle(
    caps: dict[str, float], target: float, taken: Taken, left_wh: float
) -> None:
    """16.4 kW are asked for four hours. Each bus has lived through 600 Wh, 0.003 cycles and an hour of
    discharge.
    """
    lived = {"life_discharge_wh": 600.0, "life_discharge_efc": 0.003, "life_discharge_h": 1.0}
    place = capped(depot(1), **caps)
    known: dict[str, Any] = {name: Reading(value, NOW_S) for name, value in lived.items()}
    snapshot = buses(place, target_soc_pct=Reading(target, NOW_S), **known)
    offer, ledger = sold(place, snapshot, ask(wanted_w=16_400.0, duration_s=4 * HOUR_S), taken=taken)
    assert energy_wh(offer).get("b1", 0.0) == pytest.approx(left_wh)
    assert sold(place, snapshot, ask("r2", duration_s=4 * HOUR_S), ledger, taken=taken)[
        0
    ].total_w == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("cap", ["warranty_discharge_wh", "warranty_efc", "warranty_discharge_h"])
def test_d15_a_cap_of_the_warranty_without_a_ledger_counts_as_used_up(cap: str) -> None:
    place = capped(depot(), **{cap: 1_000_000.0})
    assert sold(place, buses(place), ask())[0].evse_w == ()


def test_no_more_than_the_limits_of_the_tick_leave() -> None:
    place = depot()
    assert sold(place, buses(place), ask(), room_w=5_000.0)[0].total_w == pytest.approx(10_000.0)
    assert sold(place, buses(place), ask(), room_w=0.0)[0].evse_w == ()


def test_no_more_than_a_feeder_may_export() -> None:
    place = depot(export_w=25_000.0)
    first, ledger = sold(place, buses(place), ask("r1", wanted_w=15_000.0))
    assert first.total_w == pytest.approx(15_000.0)
    assert sold(place, buses(place), ask("r2"), ledger)[0].total_w == pytest.approx(10_000.0)


def test_asking_again_gives_the_same_offer_and_books_nothing() -> None:
    place = depot()
    first, ledger = sold(place, buses(place), ask(wanted_w=30_000.0))
    again, after = sold(place, buses(place, soc=95.0), ask(wanted_w=90_000.0), ledger)
    assert again is first
    assert after is ledger


def test_what_one_service_bought_another_does_not_get() -> None:
    place = depot()
    _, ledger = sold(place, buses(place), ask("r1", wanted_w=30_000.0, service="reserve"))
    second, ledger = sold(place, buses(place), ask("r2", service="market"), ledger)
    assert second.total_w == pytest.approx(10_000.0)
    third, ledger = sold(place, buses(place), ask("r3", service="peak"), ledger)
    assert third.total_w == pytest.approx(0.0, abs=1e-6)


def test_a_booking_ends_with_its_time() -> None:
    place = depot()
    _, ledger = sold(place, buses(place), ask("r1"))
    later = replace(buses(place), wall_s=WALL_S + HOUR_S)
    offer, after = sold(place, later, ask("r2"), ledger)
    assert offer.total_w == pytest.approx(40_000.0)
    assert [booked.request for booked in after.offers] == ["r2"]


@pytest.mark.parametrize(
    "changes",
    [
        {"departure_wall_s": NO_SAMPLE},
        {"departure_wall_s": Reading(WALL_S + HOUR_S - 1.0, NOW_S)},
        {"target_soc_pct": NO_SAMPLE},
        {"soc_pct": Unknown("lost")},
        {"soc_pct": Reading(69.0, NOW_S)},
        {"vehicle": "", "capacity_wh": NO_SAMPLE},
    ],
    ids="-".join,
)
def test_who_needs_it_or_does_not_say_sells_nothing(changes: dict[str, Any]) -> None:
    place = depot()
    offer, ledger = sold(place, buses(place, **changes), ask())
    assert offer.evse_w == ()
    assert ledger.offers == ()


def test_an_empty_outlet_and_an_empty_request_sell_nothing() -> None:
    place = depot(1)
    empty = replace(buses(place), evses=tuple(replace(state, vehicle=None) for state in buses(place).evses))
    assert sold(place, empty, ask())[0].evse_w == ()
    for request in (ask(wanted_w=0.0), ask(wanted_w=-5.0), ask(duration_s=0.0), ask(duration_s=-1.0)):
        assert sold(place, buses(place), request)[0].evse_w == ()


def test_the_ledger_is_bounded() -> None:
    place = depot(1)
    full = Ledger(
        tuple(Offer(f"x{n}", "market", WALL_S + HOUR_S, (("b1", 1.0),)) for n in range(MOST_OFFERS))
    )
    offer, after = sold(place, buses(place), ask(), full)
    assert offer.evse_w == ()
    assert after == full


def test_the_ledger_survives_the_journal() -> None:
    place = depot()
    _, ledger = sold(place, buses(place), ask())
    assert msgspec.json.decode(msgspec.json.encode(ledger), type=Ledger) == ledger


@given(
    asks=st.lists(
        st.tuples(st.integers(0, 5), st.floats(0.0, 60_000.0), st.floats(60.0, 7_200.0)), max_size=12
    ),
    export_w=st.sampled_from((20_000.0, 60_000.0, 1e6)),
    soc=st.floats(60.0, 95.0),
)
@settings(max_examples=80, deadline=None)
def test_no_sequence_of_requests_oversells(
    asks: list[tuple[int, float, float]], export_w: float, soc: float
) -> None:
    """Energy above the mission, power of the outlet and the feeder: all bookings together stay within
    each.
    """
    place, ledger = depot(3, export_w=export_w), EMPTY
    snapshot = buses(place, soc=soc)
    for number, wanted_w, duration_s in asks:
        booked = {offer.request: offer for offer in ledger.offers}
        offer, ledger = sold(place, snapshot, ask(f"r{number}", wanted_w, duration_s), ledger)
        assert offer == booked.get(offer.request, offer)
        assert offer.request in booked or offer.total_w <= wanted_w + 1e-6
    power_w = dict.fromkeys(place.frame.ids, 0.0)
    energy_wh = dict.fromkeys(place.frame.ids, 0.0)
    for offer in ledger.offers:
        for evse, watts in offer.evse_w:
            power_w[evse] += watts
            energy_wh[evse] += watts * (offer.until_wall_s - WALL_S) / HOUR_S
    assert len({offer.request for offer in ledger.offers}) == len(ledger.offers)
    assert sum(power_w.values()) <= export_w + 1e-6
    assert all(watts <= 50_000.0 + 1e-6 for watts in power_w.values())
    assert all(wh <= max(soc - 70.0, 0.0) * 2_000.0 + 1e-3 for wh in energy_wh.values())


@given(
    caps=st.fixed_dictionaries(
        {name: st.floats(0.0, 100.0) for name in ("min_soc_pct", "depth_per_event_pct", "depth_per_day_pct")}
    ),
    taken=st.builds(Taken, st.floats(0.0, 100.0), st.floats(0.0, 100.0)),
    soc=st.floats(0.0, 100.0),
    reserve_pct=st.floats(0.0, 20.0),
    efficiency=st.floats(0.8, 1.0),
    asks=st.lists(st.tuples(st.floats(1.0, 60_000.0), st.floats(60.0, 36_000.0)), min_size=1, max_size=4),
)
@settings(max_examples=150, deadline=None)
def test_d15_no_offer_exceeds_the_energy_that_the_caps_allow(
    caps: dict[str, float],
    taken: Taken,
    soc: float,
    reserve_pct: float,
    efficiency: float,
    asks: list[tuple[float, float]],
) -> None:
    place, ledger = capped(depot(1, reserve_pct=reserve_pct, efficiency=efficiency), **caps), EMPTY
    snapshot = buses(place, soc=soc, target_soc_pct=Reading(10.0, NOW_S))
    for number, (wanted_w, duration_s) in enumerate(asks):
        _, ledger = sold(place, snapshot, ask(f"r{number}", wanted_w, duration_s), ledger, taken=taken)
    out_pct = sum(sum(energy_wh(offer).values()) for offer in ledger.offers) / efficiency / 2_000.0
    allowed = (
        soc - caps["min_soc_pct"] - reserve_pct,
        caps["depth_per_event_pct"] - taken.event_pct,
        caps["depth_per_day_pct"] - taken.day_pct,
    )
    assert out_pct <= max(min(allowed), 0.0) + 1e-6
