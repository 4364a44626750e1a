"""A whole site file: what it becomes, and that a bad one names every problem at once."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.small import TEXT, changed, document, problems_of, set_key
from v2g_edge import config
from v2g_edge.config.load import loads
from v2g_edge.config.problems import ConfigError


def test_a_file_becomes_settings_sorted_by_id(tmp_path: Path) -> None:
    """The order of a file decides nothing; the grid code comes loaded."""
    path = tmp_path / "site.toml"
    path.write_text(TEXT, encoding="utf-8")
    settings = config.load(path)
    assert [feeder.id for feeder in settings.site.feeders] == ["hall", "main"]
    assert settings.site.grid.profile is not None
    assert settings.site.grid.profile.name == "vde_ar_n_4105_2018"
    assert settings.site.vehicle_types[0].charge_curve[2].power_w == 20_000.0
    assert settings.stations[0].outlets[0].ocpp_connector == 1


def test_a_file_that_is_not_there_is_a_problem_of_the_file(tmp_path: Path) -> None:
    """No traceback: the path and what to do."""
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "none.toml")
    assert "none.toml" in str(caught.value)
    assert len(caught.value.problems) >= 1


def test_one_report_holds_syntax_unknown_key_and_range() -> None:
    """A broken line does not hide the problems of other tables, and its own table is not called missing."""
    text = TEXT.replace('name = "small"', "name = small").replace(
        "max_charge_w = 50000.0", "max_charge_w = -1.0"
    )
    text = text.replace("may_discharge = true", "may_discharg = true")
    with pytest.raises(ConfigError) as caught:
        loads(text)
    keys = [problem.key for problem in caught.value.problems]
    assert keys[0] == "line 3"
    assert {"evses.A.max_charge_w", "vehicles.bus-1.may_discharg", "vehicles.bus-1.may_discharge"} <= set(
        keys
    )
    assert "site" not in keys


def test_one_report_holds_every_contradiction() -> None:
    """Two chargers with one id, a fallback that does not fit, a lease too short: all of them."""
    plain = changed("evses.1.id", "A")
    plain["safety"] = {"lease_s": 2.0}
    plain["vehicles"][0]["type"] = "tram"
    keys = {problem.key for problem in problems_of(plain)}
    assert {"evses.A", "safety.lease_s", "vehicles.bus-1.type", "devices.charger-b.target"} <= keys


def test_one_report_holds_ranges_and_contradictions() -> None:
    """A value out of range, a vehicle without capacity and a phase that is not there hide neither a cycle
    nor a wrong name.
    """
    plain = changed("feeders.0.parent", "hall")
    plain["evses"][0]["phases"] = "L4"
    plain["evses"][0]["max_charge_w"] = -1.0
    del plain["vehicle_types"][0]["capacity_wh"]
    plain["devices"][0]["line"] = "nowhere"
    plain["site"]["timezone"] = "Europe/Nowhere"
    keys = [problem.key for problem in problems_of(plain)]
    kind = plain["vehicle_types"][0]["id"]
    assert {
        "feeders",
        "feeders.main.parent",
        "evses.A.phases",
        "evses.A.max_charge_w",
        f"vehicle_types.{kind}.capacity_wh",
    } <= set(keys)
    assert {f"devices.{plain['devices'][0]['id']}.line", "site.timezone"} <= set(keys)


@pytest.mark.parametrize(
    ("path", "value"),
    [("evses.0.id", 5), ("evses.0.max_charge_w", "x"), ("evses.0.feeder", 5), ("vehicle_types.0.id", "")],
)
def test_what_hangs_on_a_broken_place_is_not_told_again(path: str, value: object) -> None:
    """Whoever refers to it is not to blame."""
    assert len(problems_of(changed(path, value))) == 1


def test_a_table_may_hold_an_unknown_key_of_its_own_name() -> None:
    """``[feeders.current]`` with ``current`` and ``id`` in it, beside keys that are missing."""
    found = {problem.key for problem in problems_of(changed("feeders.0.current", {"current": 1, "id": "x"}))}
    assert found == {
        f"feeders.main.current.{key}" for key in ("current", "id", "import_a", "export_a", "imbalance_a")
    }


@pytest.mark.parametrize("key", ["site", "grid", "feeders"])
def test_the_tables_without_defaults_are_asked_for(key: str) -> None:
    """A site without them is none."""
    plain = document()
    del plain[key]
    assert key in {problem.key for problem in problems_of(plain)}


def test_a_draft_grid_code_needs_a_signature() -> None:
    """And a value outside the code's range is named with the range."""
    found = problems_of(changed("grid.code", "g99"))
    assert [problem.key for problem in found] == ["grid.draft_signed_by"]
    found = problems_of(changed("grid.code_overrides", {"enter_service.delay_s": 1e5}))
    assert [problem.key for problem in found] == ["grid.code_overrides.enter_service.delay_s"]
    assert "to" in found[0].allowed


@pytest.mark.parametrize("name", ["current", "id", "import_a", "feeders"])
def test_outside_case_keys_within_a_table_that_has_the_name_of_a_table(name: str) -> None:
    """`current` within `[feeders.current]`: the report is of the inner key, and there is no traceback."""
    plain = changed(f"feeders.0.current.{name}", "y")
    set_key(plain, "feeders.0.current.x", 1)
    keys = {problem.key for problem in problems_of(plain)}
    assert {f"feeders.main.current.{name}", "feeders.main.current.x"} <= keys


def test_false_is_no_security_profile() -> None:
    """Python counts it as 0."""
    (problem,) = problems_of(changed("listeners.0.security_profile", False))
    assert (problem.found, problem.allowed) == ("false", "0 or 1 or 2 or 3")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.sampled_from(
        ["", "A", "hall", "main", "x" * 300, "\x00", "relay", datetime(2026, 1, 1, tzinfo=UTC)]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "evse", "current", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def _paths(value: Any, path: str = "") -> list[str]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = [(f"{path}.{step}" if path else str(step), item) for step, item in steps]
    return [each for name, item in below for each in (name, *_paths(item, name))]


@given(st.lists(st.tuples(st.sampled_from(_paths(document())), VALUES), min_size=1, max_size=4))
def test_whatever_stands_in_a_file_is_settings_or_problems(changes: list[tuple[str, Any]]) -> None:
    """Any key set to anything, several at once: usable, or a report with words in every field; never
    another exception.
    """
    plain = document()
    for path, value in changes:
        with contextlib.suppress(
            KeyError, IndexError, TypeError, ValueError, AttributeError
        ):  # the place itself is gone by now
            set_key(plain, path, value)
    for problem in problems_of(plain):
        assert all((problem.file, problem.key, problem.found, problem.allowed, problem.mend))
