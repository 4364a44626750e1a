"""Charging profiles as limits: which counts, how much, and until when."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.field.ocpp.peer import AT, AT_S
from v2g_edge.field.ocpp.upstream.profile_limits import PROFILES_MAX, Plugged, ProfileBook, Refused

OUTLETS = {1: Plugged("b1", 230.0, 3, "tx-1", AT_S - 600.0), 2: Plugged("b2", 230.0, 3)}


def said(number: int = 1, purpose: str = "TxDefaultProfile", evse: int = 1, **changes: Any) -> dict[str, Any]:
    schedule = {
        "chargingRateUnit": changes.pop("unit", "W"),
        "chargingSchedulePeriod": [
            {"startPeriod": start, "limit": limit} for start, limit in changes.pop("periods", [(0, 7_000.0)])
        ],
    }
    for name in ("duration", "startSchedule"):
        if name in changes:
            schedule[name] = changes.pop(name)
    profile = {
        "id": number, "stackLevel": changes.pop("level", 0), "chargingProfilePurpose": purpose,
        "chargingProfileKind": changes.pop("kind", "Absolute"), "chargingSchedule": [schedule], **changes,
    }  # fmt: skip
    return {"evseId": evse, "chargingProfile": profile}


def limits(*profiles: dict[str, Any], after_s: float = 0.0) -> dict[str, list[float]]:
    """W by outlet, ``after_s`` later than the profiles came."""
    book = ProfileBook("upstream x")
    for each in profiles:
        book.add(each, AT_S)
    found: dict[str, list[float]] = {}
    for limit in book.limits_at(AT_S + after_s, OUTLETS):
        found.setdefault(limit.evse, []).append(limit.power_w)
    return found


def test_the_highest_level_of_a_purpose_counts_and_a_tx_profile_goes_first() -> None:
    low, high = said(1, level=0), said(2, level=3, periods=[(0, 9_000.0)])
    assert limits(low, high) == {"b1": [9_000.0]}
    tx = said(3, "TxProfile", periods=[(0, 11_000.0)])
    assert limits(low, high, tx) == {"b1": [11_000.0]}


def test_a_profile_of_another_transaction_says_nothing() -> None:
    assert limits(said(1, "TxProfile", transactionId="tx-2")) == {}
    assert limits(said(1, "TxProfile", transactionId="tx-1")) == {"b1": [7_000.0]}


def test_a_limit_of_the_station_is_shared_by_those_who_charge() -> None:
    whole = said(1, "ChargingStationMaxProfile", evse=0)
    assert limits(whole) == {"b1": [7_000.0], "b2": [7_000.0]}
    book = ProfileBook("upstream x")
    book.add(whole, AT_S)
    both = {1: OUTLETS[1], 2: Plugged("b2", 230.0, 3, "tx-9", AT_S)}
    assert [each.power_w for each in book.limits_at(AT_S, both)] == [3_500.0, 3_500.0]


def test_amperes_count_on_each_phase() -> None:
    assert limits(said(unit="A", periods=[(0, 16.0)])) == {"b1": [16.0 * 230.0 * 3]}


@pytest.mark.parametrize(("after_s", "watts"), [(0.0, 7e3), (599.0, 7e3), (600.0, 3e3), (1_200.0, None)])
def test_periods_follow_each_other_until_the_end(after_s: float, watts: float | None) -> None:
    found = limits(said(periods=[(0, 7e3), (600, 3e3)], duration=1_200, startSchedule=AT), after_s=after_s)
    assert found == ({} if watts is None else {"b1": [watts]})


def test_a_relative_profile_begins_with_the_transaction_and_a_daily_one_comes_back() -> None:
    relative = said(1, "TxProfile", kind="Relative", periods=[(0, 9e3), (700, 4e3)])
    assert limits(relative) == {"b1": [9e3]}  # the transaction began 600 s ago
    assert limits(relative, after_s=100.0) == {"b1": [4e3]}
    daily = said(kind="Recurring", recurrencyKind="Daily", startSchedule=AT, periods=[(0, 5e3), (3_600, 9e3)])
    assert limits(daily, after_s=3 * 86_400.0 + 10.0) == {"b1": [5e3]}
    assert limits(daily, after_s=3 * 86_400.0 + 4_000.0) == {"b1": [9e3]}


def test_a_limit_ends_when_its_period_does() -> None:
    book = ProfileBook("upstream x")
    book.add(said(periods=[(0, 7e3), (600, 3e3)], startSchedule=AT), AT_S)
    assert [each.until_wall_s for each in book.limits_at(AT_S, OUTLETS)] == [AT_S + 600.0]
    assert [each.until_wall_s for each in book.limits_at(AT_S + 600.0, OUTLETS)] == [0.0]


def test_profiles_all_day_are_bounded_and_a_newer_one_of_its_place_replaces_an_older() -> None:
    book = ProfileBook("upstream x")
    for number in range(500):
        book.add(said(number, level=3), AT_S)
    assert len(book) == 1
    for number in range(PROFILES_MAX - 1):
        book.add(said(1_000 + number, level=10 + number), AT_S)
    with pytest.raises(Refused, match="clear some"):
        book.add(said(9_999, level=999), AT_S)


def test_clearing_goes_by_number_or_by_what_is_named() -> None:
    book = ProfileBook("upstream x")
    for number, level in ((1, 0), (2, 1), (3, 2)):
        book.add(said(number, level=level), AT_S)
    assert book.clear({"chargingProfileId": 2}) == 1
    assert book.clear({"chargingProfileCriteria": {"stackLevel": 2}}) == 1
    assert book.clear({"chargingProfileCriteria": {"evseId": 5}}) == 0
    assert book.clear({}) == 1


def test_what_was_kept_is_read_again() -> None:
    book = ProfileBook("upstream x")
    book.add(said(1, duration=500), AT_S)
    assert ProfileBook("upstream x", book.encoded()).limits_at(AT_S, OUTLETS) == book.limits_at(AT_S, OUTLETS)


@pytest.mark.parametrize(
    "changes",
    [
        {"setpoint": -5_000.0}, {"operationMode": "CentralSetpoint"}, {"dischargeLimit": -9e3},
        {"limit_L2": 4e3}, {"v2xBaseline": 1e3},
    ],
)  # fmt: skip
def test_a_period_of_2_1_that_is_more_than_a_limit_is_refused(changes: dict[str, Any]) -> None:
    profile = said()
    profile["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"][0] |= changes
    with pytest.raises(Refused, match="for this depot to decide"):
        ProfileBook("upstream x").add(profile, AT_S)


def test_a_period_without_a_limit_and_an_unknown_purpose_are_refused() -> None:
    profile = said()
    del profile["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"]
    for odd in (profile, said(purpose="PriorityCharging"), said(kind="Dynamic")):
        with pytest.raises(Refused):
            ProfileBook("upstream x").add(odd, AT_S)


@given(
    periods=st.lists(
        st.tuples(st.integers(-10, 90_000), st.floats(allow_nan=True) | st.integers(-5, 99_999)), max_size=6
    ),
    kind=st.sampled_from(["Absolute", "Relative", "Recurring"]),
    after_s=st.floats(-1e6, 1e7),
    duration=st.integers(0, 100_000),
)
def test_whatever_comes_is_refused_or_a_limit_of_at_least_zero(
    periods: list[tuple[int, float]], kind: str, after_s: float, duration: int
) -> None:
    book = ProfileBook("upstream x")
    try:
        book.add(said(kind=kind, periods=periods, duration=duration), AT_S)
    except Refused:
        return
    for limit in book.limits_at(AT_S + after_s, OUTLETS):
        assert math.isfinite(limit.power_w)
        assert limit.power_w >= 0.0
