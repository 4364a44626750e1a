"""Discharge is proven by the meter: small at first, never again at a make that went the wrong way."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.test_server import STARTED, meter, permit, ready, transaction
from v2g_edge.field.ocpp.vocabulary.compliance import PROBE_S, PROBE_W, SETTLE_S, Watch
from v2g_edge.field.ocpp.wire.timestamps import format_wall

BOOT = {"reason": "PowerUp", "chargingStation": {"vendorName": "v", "model": "m", "firmwareVersion": "1"}}


def limits(station: Peer) -> list[float]:
    """The limits of all leases it was given."""
    profiles = [payload["chargingProfile"] for payload in station.got("SetChargingProfile")]
    leases = [profile for profile in profiles if profile["chargingProfilePurpose"] == "TxProfile"]
    return [lease["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"] for lease in leases]


async def measured(depot: Depot, station: Peer, seq: int, power_w: float, after_s: float = 6.0) -> None:
    depot.clock.advance(after_s)
    at = format_wall(depot.clock.wall)
    await station.call("TransactionEvent", transaction("Updated", seq, at, meterValue=meter(power_w, at)))


async def test_the_first_discharge_is_small_and_metered_export_proves_the_make_for_its_sisters(
    depot: Depot,
) -> None:
    station, port = await ready(depot), depot.central.ports["b2"]
    await station.call("TransactionEvent", STARTED)
    assert await port.write_permit(permit("b2", -30_000.0)) == "withheld"
    await measured(depot, station, 1, -1_900.0)
    assert depot.board.evse("b2").proven_discharge is True
    assert await port.write_permit(permit("b2", -30_000.0)) == "accepted"
    assert limits(station) == [-PROBE_W, -30_000]
    await station.close()
    await until(lambda: not depot.board.evse("b2").link.connected)
    again = await ready(depot)
    assert depot.board.evse("b2").proven_discharge is True
    await again.close()


async def test_a_make_that_charges_when_told_to_discharge_never_gets_a_negative_limit_again(
    depot: Depot,
) -> None:
    station, port = await ready(depot), depot.central.ports["b2"]
    await station.call("TransactionEvent", STARTED)
    await port.write_permit(permit("b2", -30_000.0))
    await measured(depot, station, 1, 33_000.0)
    assert await port.write_permit(permit("b2", -30_000.0)) == "withheld"
    assert limits(station) == [-PROBE_W, 0]
    with pytest.raises(ValueError, match="engineer is missing"):
        await depot.central.perform("new", "retry-discharge", {})
    told = await depot.central.perform("new", "retry-discharge", {"engineer": "site engineer"})
    assert told["payload"] == {"make": "v/m/1", "discharge": "unknown"}
    assert await port.write_permit(permit("b2", -30_000.0)) == "withheld"
    await station.close()


async def test_a_station_whose_own_schedule_says_charging_is_found_out_before_the_meter(depot: Depot) -> None:
    station, port = await ready(depot), depot.central.ports["b2"]
    await station.call("TransactionEvent", STARTED)
    station.scripts["GetCompositeSchedule"] = lambda _: {
        "status": "Accepted",
        "schedule": {
            "evseId": 1, "duration": 10, "scheduleStart": format_wall(depot.clock.wall),
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 33_000}],
        },
    }  # fmt: skip
    await port.write_permit(permit("b2", -30_000.0))
    await until(lambda: depot.central.links["new"].station.model.proof() == "refuted")
    assert await port.write_permit(permit("b2", -30_000.0)) == "withheld"
    assert limits(station) == [-PROBE_W, 0]
    await station.close()


async def test_a_default_profile_that_was_accepted_and_is_not_held_is_no_dead_man(depot: Depot) -> None:
    station = await Peer.dial(depot.port, "new", "2.0.1")
    station.scripts["GetChargingProfiles"] = lambda _: {"status": "NoProfiles"}
    await station.call("BootNotification", BOOT)
    await until(lambda: station.got("GetChargingProfiles"))
    await station.call("Heartbeat", {})
    assert depot.board.evse("b2").dead_man_ok is False
    await station.close()


@pytest.mark.parametrize(
    ("wants", "shape"), [("A", {"chargingRateUnit": "A"}), ("no end", {}), ("level", {"stackLevel": 1})]
)
async def test_a_refused_profile_is_tried_in_other_shapes_and_what_worked_is_kept(
    depot: Depot, wants: str, shape: dict[str, Any]
) -> None:
    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        profile = payload["chargingProfile"]
        schedule = profile["chargingSchedule"][0]
        taken = {
            "A": schedule["chargingRateUnit"] == "A",
            "no end": "validTo" not in profile,
            "level": profile["stackLevel"] == 1,
        }[wants]
        return {"status": "Accepted" if taken else "Rejected"}

    station, port = await ready(depot), depot.central.ports["b2"]
    await station.call("TransactionEvent", STARTED)
    station.scripts["SetChargingProfile"] = answer
    assert await port.write_permit(permit("b2", 6_900.0)) == "accepted"
    tries = len(station.got("SetChargingProfile"))
    assert await port.write_permit(permit("b2", 6_900.0)) == "accepted"
    assert len(station.got("SetChargingProfile")) == tries + 1
    profile = station.got("SetChargingProfile")[-1]["chargingProfile"]
    assert shape.items() <= {**profile, **profile["chargingSchedule"][0]}.items()
    if wants == "A":
        assert profile["chargingSchedule"][0]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 10.0}]
    assert len(station.got("ClearChargingProfile")) == 1
    await station.close()


def test_a_vehicle_that_gives_nothing_ends_the_probe_for_its_session_only() -> None:
    watch = Watch()
    watch.commanded(watch.allowed_w(-9_000.0, 0.0), 0.0)
    watch.measured(0.0, PROBE_S)
    assert watch.allowed_w(-9_000.0, 0.0) == 0.0
    watch.new_session()
    assert watch.allowed_w(-9_000.0, 0.0) == -PROBE_W


def test_the_score_falls_when_the_charger_does_not_follow_and_recovers_when_it_does() -> None:
    watch = Watch()
    watch.commanded(5_000.0, 0.0)
    watch.measured(50_000.0, SETTLE_S - 1.0)
    assert watch.score == 1.0
    for second in range(40):
        watch.measured(50_000.0, SETTLE_S + second)
    assert watch.score < 0.2
    for second in range(40):
        watch.measured(4_000.0, 100.0 + second)
    assert watch.score > 0.8


@given(
    st.floats(-100_000.0, 100_000.0),
    st.floats(0.0, 10_000.0),
    st.sampled_from(["unknown", "proven", "refuted"]),
)
def test_what_may_be_commanded_never_exceeds_the_permit(power_w: float, least_w: float, proof: Any) -> None:
    watch = Watch()
    watch.proof = proof
    allowed_w = watch.allowed_w(power_w, least_w)
    assert min(power_w, 0.0) <= allowed_w <= max(power_w, 0.0)
    assert not (proof == "refuted" and allowed_w < 0.0)


async def test_e7_a_station_that_goes_the_wrong_way_convicts_itself_and_its_sister_proves_itself(
    depot: Depot,
) -> None:
    """Two stations that say they are of one make probe at the same time."""
    stations = [await ready(depot, "new", "2.1"), await ready(depot, "newest", "2.1")]
    ports = {evse: depot.central.ports[evse] for evse in ("b2", "b3")}
    for number, station in enumerate(stations, 2):
        token = {"idToken": {"idToken": f"bus-{number}", "type": "MacAddress"}}
        await station.call("TransactionEvent", STARTED | token)
    assert [await port.write_permit(permit(evse, -30_000.0)) for evse, port in ports.items()] == [
        "withheld"
    ] * 2
    await measured(depot, stations[0], 1, 9_000.0)
    await measured(depot, stations[1], 1, -1_900.0)
    assert [depot.board.evse(evse).proven_discharge for evse in ports] == [False, True]
    assert [await port.write_permit(permit(evse, -30_000.0)) for evse, port in ports.items()] == [
        "withheld",
        "accepted",
    ]
    last = stations[0].got("SetChargingProfile")[-1]["chargingProfile"]["chargingSchedule"][0][
        "chargingSchedulePeriod"
    ][0]
    assert (last["limit"], last["operationMode"]) == (0, "ChargingOnly")
    for station in stations:
        await station.close()


async def test_a_proven_station_stops_when_its_make_is_refuted(depot: Depot) -> None:
    station, port = await ready(depot), depot.central.ports["b2"]
    await station.call("TransactionEvent", STARTED)
    await port.write_permit(permit("b2", -30_000.0))
    await measured(depot, station, 1, -1_900.0)
    make = depot.central.links["new"].station.model
    make._store.remember(f"discharge/2.0.1/{make.identity.kind()}", "refuted")
    assert await port.write_permit(permit("b2", -30_000.0)) == "withheld"
    assert depot.board.evse("b2").proven_discharge is False
    await station.close()
