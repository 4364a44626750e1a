"""Single keys: type, range, spelling."""

from typing import Any

import pytest

from tests.config.small import changed, problems_of


@pytest.mark.parametrize(
    ("path", "value", "key", "word"),
    [
        ("feeders.0.import_limit_w", -1.0, "feeders.main.import_limit_w", "from 0"),
        ("feeders.0.import_limit_w", float("nan"), "feeders.main.import_limit_w", "finite"),
        ("feeders.0.import_limit_w", float("inf"), "feeders.main.import_limit_w", "to 1e+08 W"),
        ("feeders.0.import_limit_w", "100 kW", "feeders.main.import_limit_w", "without quotes"),
        ("feeders.0.import_limit_w", True, "feeders.main.import_limit_w", "number"),
        ("feeders.0.import_limit_w", None, "feeders.main.import_limit_w", "Add the key"),
        ("feeders.0.import_limit", 1.0, "feeders.main.import_limit", "Did you mean import_limit_w?"),
        ("feeders.0.current.import_a", -1.0, "feeders.main.current.import_a", "from 0"),
        ("evses.1.phases", "L4", "evses.B.phases", '"L2"'),
        ("evses.0.id", "", "evses.#1.id", "letters"),
        ("evses.0.id", "a/b", "evses.a/b.id", "letters"),
        ("grid.profile", {}, "grid.profile", "unknown key"),
        ("grid.export_allowed", 1, "grid.export_allowed", "true or false"),
        ("grid.code_overrides", {"a": float("inf")}, "grid.code_overrides.a", "table of numbers"),
        ("vehicle_types.0.capacity_wh", 0.0, "vehicle_types.bus.capacity_wh", "from 1000"),
        ("vehicle_types.0.charge_curve", [], "vehicle_types.bus.charge_curve", "points"),
        ("vehicle_types.0.charge_curve", [[0.0]], "vehicle_types.bus.charge_curve.#1", "points"),
        ("stations.0.outlets", {}, "stations.CP-A.outlets", "array of tables"),
        ("listeners.0.port", 70_000, "listeners.#1.port", "65535"),
        ("listeners.0.security_profile", 4, "listeners.#1.security_profile", "0 or 1 or 2 or 3"),
        ("site.meters", "grid", "site.meters", "list"),
        ("sight", {}, "sight", "Did you mean site?"),
    ],
)
def test_a_wrong_key_is_named_with_what_is_allowed(path: str, value: Any, key: str, word: str) -> None:
    """One wrong key gives a problem with its path, and words that help."""
    found = [problem for problem in problems_of(changed(path, value)) if problem.key.startswith(key)]
    assert found
    assert word in str(found[0])


def test_a_whole_number_is_a_number() -> None:
    """Nobody should have to write 100000.0."""
    assert problems_of(changed("feeders.0.import_limit_w", 100_000)) == []


def test_a_long_value_is_cut_in_the_report() -> None:
    """A report stays readable."""
    (problem,) = problems_of(changed("site.timezone", "x" * 5_000))
    assert len(problem.found) < 100
