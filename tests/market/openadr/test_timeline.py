"""What an event of OpenADR 3.1 means at each moment."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2g_edge.market.openadr.timeline import limits_of, rows_of, signals_of
from v2g_edge.market.openadr.wire import AdrEvent, BadAnswer, Programme, duration_s, read_list, wall_s
from v2g_edge.model.orders import strictest

NOW_S = 1_795_867_200.0
"""2026-11-28T12:00:00Z."""
NOW = "2026-11-28T12:00:00Z"


def event(kind: str, values: list[Any], **changes: Any) -> AdrEvent:
    plain = {
        "id": "e1", "programID": "p1", "eventName": "evening", "modificationDateTime": "2026-11-28T10:00:00Z",
        "intervalPeriod": {"start": NOW, "duration": "PT1H"},
        "intervals": [
            {"id": place, "payloads": [{"type": kind, "values": [value]}]}
            for place, value in enumerate(values)
        ],
        **changes,
    }  # fmt: skip
    return msgspec.convert(plain, AdrEvent)


def signals(*events: AdrEvent, now_s: float = NOW_S) -> Any:
    found, wrong = signals_of(events, {"p1": Programme("p1", "flex")}, now_s, "ven")
    assert wrong == ()
    return found


def import_w(*events: AdrEvent, at_s: float) -> float:
    return strictest(limits_of(signals(*events), ()), "import", at_s)[0]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT1H", 3_600.0),
        ("P1D", 86_400.0),
        ("PT0S", 0.0),
        ("P9999Y", 9999 * 365 * 86_400.0),
        ("-PT5M", -300.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_s(text) == pytest.approx(seconds, rel=1e-3)


@pytest.mark.parametrize("text", ["1H", "PT", "P", "PT1X", "P1H", "PT1e9S", "P" + "9" * 50 + "Y"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadAnswer, match="no duration"):
        duration_s(text)


def test_an_interval_without_a_period_follows_the_one_before() -> None:
    limit = event("IMPORT_CAPACITY_LIMIT", [50.0, 20.0])
    assert import_w(limit, at_s=NOW_S) == 50e3
    assert import_w(limit, at_s=NOW_S + 3_600.0) == 20e3
    assert import_w(limit, at_s=NOW_S + 7_200.0) > 1e11


def test_an_event_that_is_longer_than_its_intervals_repeats_them() -> None:
    daily = event("PRICE", [0.1, 0.3], duration="P9999Y", intervalPeriod={"start": NOW, "duration": "PT12H"})
    rows = rows_of(signals(daily, now_s=NOW_S + 10 * 86_400.0))
    assert {row.per_kwh for row in rows} == {0.1, 0.3}
    assert rows[-1].end_wall_s >= NOW_S + 12 * 86_400.0


def test_a_start_in_the_year_1_is_the_last_change_and_no_length_cancels() -> None:
    now = {"start": "0001-01-01T00:00:00Z", "duration": "PT4H"}
    limit = event("IMPORT_CAPACITY_LIMIT", [10.0], intervalPeriod=now)
    assert import_w(limit, at_s=NOW_S) == 10e3  # changed at 10:00, until 14:00
    assert import_w(limit, at_s=NOW_S + 7_200.0) > 1e11
    cancelled = event("IMPORT_CAPACITY_LIMIT", [10.0], intervalPeriod={**now, "duration": "PT0S"})
    assert import_w(cancelled, at_s=NOW_S) > 1e11


def test_a_random_start_is_drawn_once_for_an_edition_and_stays_within_its_range() -> None:
    starts = set()
    for number in range(50):
        random = event(
            "IMPORT_CAPACITY_LIMIT", [10.0, 5.0], id=f"e{number}",
            intervalPeriod={"start": NOW, "duration": "PT1H", "randomizeStart": "PT10M"},
        )  # fmt: skip
        first, second = signals(random)
        assert signals(random) == (first, second)
        assert abs(first.start_wall_s - NOW_S) <= 600.0
        assert second.start_wall_s == first.end_wall_s
        starts.add(first.start_wall_s)
    assert len(starts) == 50
    assert min(starts) < NOW_S < max(starts)


def test_the_strictest_of_two_limits_counts_at_each_instant() -> None:
    wide = event("IMPORT_CAPACITY_LIMIT", [80.0, 10.0], id="wide")
    narrow = event("IMPORT_CAPACITY_LIMIT", [30.0, 40.0], id="narrow")
    assert import_w(wide, narrow, at_s=NOW_S) == 30e3
    assert import_w(wide, narrow, at_s=NOW_S + 3_600.0) == 10e3


def test_the_price_of_the_most_important_event_counts_then_of_the_one_changed_last() -> None:
    low = event("PRICE", [0.1], id="low", priority=5)
    high = event("PRICE", [0.2], id="high", priority=1)
    none = event("PRICE", [0.3], id="none")
    assert [row.per_kwh for row in rows_of(signals(low, high, none))] == [0.2]
    later = event("PRICE", [0.4], id="later", priority=1, modificationDateTime="2026-11-28T11:00:00Z")
    assert [row.per_kwh for row in rows_of(signals(low, high, none, later))] == [0.4]
    part = event("PRICE", [0.5], id="part", priority=0, intervalPeriod={"start": NOW, "duration": "PT15M"})
    assert [row.per_kwh for row in rows_of(signals(low, part))] == [0.5, 0.1]


def test_units_and_currency_come_from_the_event_or_its_programme() -> None:
    megawatts = {"payloadDescriptors": [{"payloadType": "IMPORT_CAPACITY_LIMIT", "units": "MW"}]}
    assert import_w(event("IMPORT_CAPACITY_LIMIT", [0.05], **megawatts), at_s=NOW_S) == 50e3
    programme = msgspec.convert(
        {"id": "p1", "programName": "day-ahead",
         "payloadDescriptors": [{"payloadType": "PRICE", "units": "MWH", "currency": "EUR"}]},
        Programme,
    )  # fmt: skip
    found, _ = signals_of([event("PRICE", [80.0])], {"p1": programme}, NOW_S, "ven")
    (row,) = rows_of(found)
    assert (row.per_kwh, row.currency, row.source) == (0.08, "EUR", "OpenADR day-ahead/evening")


@pytest.mark.parametrize(
    ("kind", "value", "changes", "word"),
    [
        ("IMPORT_CAPACITY_LIMIT", -5.0, {}, "0 or more"),
        ("IMPORT_CAPACITY_LIMIT", "many", {}, "no number"),
        ("IMPORT_CAPACITY_LIMIT", 5.0,
         {"payloadDescriptors": [{"payloadType": "IMPORT_CAPACITY_LIMIT", "units": "AMPERES"}]}, "AMPERES"),
        ("PRICE", 400.0, {}, "per kWh"),
        ("PRICE", True, {}, "no number"),
        ("PRICE", 0.1, {"intervalPeriod": {"start": "tomorrow", "duration": "PT1H"}}, "no time"),
        ("PRICE", 0.1, {"intervalPeriod": {"start": NOW, "duration": "-PT1H"}}, "negative"),
        ("PRICE", 0.1, {"intervalPeriod": {"start": NOW, "duration": "PT1S"}, "duration": "P1Y"}, "more"),
        ("PRICE", 0.1,
         {"intervalPeriod": {"start": NOW, "duration": "PT0.001S"}, "duration": "P9999Y"}, "more than"),
    ],
)  # fmt: skip
def test_an_event_that_cannot_be_meant_is_named_and_spoils_no_other(
    kind: str, value: Any, changes: dict[str, Any], word: str
) -> None:
    good = event("IMPORT_CAPACITY_LIMIT", [9.0], id="good")
    found, wrong = signals_of([event(kind, [value], **changes), good], {}, NOW_S, "ven")
    assert [each.event for each in found] == ["good"]
    assert len(wrong) == 1
    assert word in wrong[0]


def test_levels_mean_what_the_site_file_says() -> None:
    levels = event("SIMPLE", [0, 1, 2, 3])
    watts = [limit.power_w for limit in limits_of(signals(levels), (60e3, 30e3, 0.0))]
    assert watts == [60e3, 30e3, 0.0]
    assert limits_of(signals(levels), ()) == ()


def test_two_currencies_are_refused() -> None:
    def priced(name: str, currency: str) -> AdrEvent:
        return event(
            "PRICE", [0.1], id=name, payloadDescriptors=[{"payloadType": "PRICE", "currency": currency}]
        )

    with pytest.raises(BadAnswer, match="EUR and USD"):
        rows_of(signals(priced("a", "EUR"), priced("b", "USD")))


@given(
    st.binary(max_size=200) | st.sampled_from([b"<html>", b"[", b"[[]]", b"[{}]", b"[null]", b"[" * 5_000])
)
def test_whatever_a_vtn_sends_is_a_list_or_named(data: bytes) -> None:
    try:
        good, bad = read_list(data, AdrEvent, "events")
    except BadAnswer:
        return
    assert len(good) + len(bad) <= len(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
    | st.sampled_from(["PT1H", "P9999Y", NOW, "0001-01-01T00:00:00Z", "PRICE", "IMPORT_CAPACITY_LIMIT"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


@given(
    period=st.fixed_dictionaries({}, optional=dict.fromkeys(("start", "duration", "randomizeStart"), JSON)),
    payloads=st.lists(
        st.fixed_dictionaries({"type": JSON, "values": st.lists(JSON, max_size=2)}), max_size=3
    ),
    extra=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("duration", "priority", "targets", "modificationDateTime"), JSON)
    ),
)
def test_no_event_breaks_the_reader(
    period: dict[str, Any], payloads: list[dict[str, Any]], extra: dict[str, Any]
) -> None:
    plain = {"id": "x", "programID": "p", "intervals": [{"payloads": payloads}], "intervalPeriod": period}
    good, _ = read_list(msgspec.json.encode([{**plain, **extra}]), AdrEvent, "events")
    found, wrong = signals_of(good, {}, NOW_S, "ven")
    assert len(wrong) <= 1
    for limit in limits_of(found, (1e3,)):
        assert 0.0 <= limit.power_w < 1e15
    assert wall_s(NOW) == NOW_S
