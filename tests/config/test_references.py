"""What must fit together inside the depot."""

from typing import Any

import pytest

from tests.config.small import changed, problems_of


@pytest.mark.parametrize(
    ("path", "value", "key", "word"),
    [
        ("grid.relay", "nothing", "grid.relay", "relay"),
        ("grid.meter", "nothing", "grid.meter", "grid"),
        ("feeders.0.meter", "nothing", "feeders.main.meter", "grid"),
        ("evses.0.feeder", "nothing", "evses.A.feeder", "hall, main"),
        ("evses.0.cooling_loop", "nothing", "evses.A.cooling_loop", "there are none"),
        ("evses.0.min_charge_w", 60_000.0, "evses.A.min_charge_w", "50000"),
        ("evses.0.min_discharge_w", 60_000.0, "evses.A.min_discharge_w", "50000"),
        ("evses.0.fallback_w", 1_000.0, "evses.A.fallback_w", "4140"),
        ("evses.0.dead_man", "none", "evses.A.max_discharge_w", "dead-man"),
        ("evses.0.dead_man", "contactor", "evses.A.contactor", "contactor"),
        ("evses.0.discharge_by", "none", "evses.A.max_discharge_w", "commanded"),
        ("vehicles.0.type", "tram", "vehicles.bus-1.type", "bus"),
        ("vehicle_types.0.min_soc_pct", 95.0, "vehicle_types.bus.min_soc_pct", "95"),
        ("vehicle_types.0.derate_from_c", 60.0, "vehicle_types.bus.derate_from_c", "50"),
        ("vehicle_types.0.derate_from_c", 50.0, "vehicle_types.bus.derate_from_c", "Lower it"),
        (
            "vehicle_types.0.charge_curve",
            [[50.0, 1.0], [50.0, 2.0]],
            "vehicle_types.bus.charge_curve",
            "rising",
        ),
        ("vehicle_types.0.charge_curve", [[0.0, 0.0]], "vehicle_types.bus.charge_curve", "never charges"),
        ("feeders.0.base_load_min_w", 20_000.0, "feeders.main.base_load_min_w", "10000"),
        ("safety.lease_s", 2.9, "safety.lease_s", "3 s"),
        ("safety.cooling_derate_c", 70.0, "safety.cooling_derate_c", "55"),
        ("site.timezone", "Europe/Nowhere", "site.timezone", "tz database"),
        ("site.timezone", "../etc/passwd", "site.timezone", "tz database"),
        ("site.meters", ["grid", "grid"], "site.meters.grid", "one entry"),
    ],
)
def test_a_contradiction_is_named(path: str, value: Any, key: str, word: str) -> None:
    """Each of these is refused, at the key a person would mend."""
    found = [problem for problem in problems_of(changed(path, value)) if problem.key == key]
    assert found
    assert any(word in str(problem) for problem in found)


def test_a_battery_that_stays_has_no_departure_and_no_target() -> None:
    """Its window is that of its type."""
    stays = changed("vehicles.0.stationary", True)
    assert not [problem for problem in problems_of(stays) if "stationary" in problem.key]
    for key, value in (("departs", "06:00"), ("target_soc_pct", 80.0), ("target_wh", 1_000.0)):
        both = changed("vehicles.0.stationary", True)
        both["vehicles"][0][key] = value
        found = [problem for problem in problems_of(both) if problem.key == "vehicles.bus-1.stationary"]
        assert found, key


def test_a_target_above_what_charging_reaches_is_refused_where_it_would_count() -> None:
    """It would be a missed departure every day; without a departure the target says nothing."""
    kind_full = changed("vehicle_types.0.max_soc_pct", 90.0)
    assert not [problem for problem in problems_of(kind_full) if "target_soc_pct" in problem.key]
    kind_full["vehicles"][0]["departs"] = "06:00"
    found = [problem for problem in problems_of(kind_full) if problem.key == "vehicles.bus-1.target_soc_pct"]
    assert found
    assert "90 %" in str(found[0])


@pytest.mark.parametrize("text", ["6:00", "24:00", "06:60", "06:00:00", "noon", "06:00 "])
def test_a_departure_that_is_no_time_of_day_is_refused(text: str) -> None:
    """One spelling only, so that nobody wonders what 6:00 in the evening means."""
    assert [
        problem
        for problem in problems_of(changed("vehicles.0.departs", text))
        if problem.key == "vehicles.bus-1.departs"
    ]


def test_a_droop_needs_a_charger_that_takes_setpoints_and_gives_both_ways() -> None:
    """The other wires have no word for it."""
    site = changed("evses.0.droop_w", 20_000.0)
    (problem,) = problems_of(site)
    assert (problem.key, problem.allowed) == ("evses.A.droop_w", '0 without discharge_by = "setpoint"')
    site["evses"][0]["discharge_by"] = "setpoint"
    assert problems_of(site) == []
    site["evses"][0]["droop_w"] = 50_001.0
    (problem,) = problems_of(site)
    assert (problem.key, problem.found) == ("evses.A.droop_w", "50001 W")


def test_a_response_begins_before_it_is_full() -> None:
    """Equal would be a step, which no charger follows."""
    site = changed("response", {"deadband_hz": 0.2, "full_hz": 0.2})
    (problem,) = problems_of(site)
    assert problem.key == "response.full_hz"


def test_a_site_without_a_relay_is_a_site_without_export() -> None:
    """Not a mistake: one-way depots have none."""
    assert problems_of(changed("grid.relay", "")) == []


@pytest.mark.parametrize(
    ("parent", "word"), [("hall", "cycle"), ("main", "cycle"), ("nothing", "hall, main")]
)
def test_feeders_that_are_no_tree_are_refused(parent: str, word: str) -> None:
    """A root that hangs on its own child, on itself, or on nothing."""
    report = "\n".join(map(str, problems_of(changed("feeders.0.parent", parent))))
    assert word in report
    assert "no root" in report


def test_two_roots_are_refused() -> None:
    """There is one grid connection."""
    (problem,) = problems_of(changed("feeders.1.parent", ""))
    assert problem.found == "2 roots (main, hall)"
