"""Grid codes load, overrides stay within the code's own ranges, and drafts arm only with a name under
them.
"""

from importlib import resources

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from v2g_edge.config.gridcode import (
    ELEMENT,
    ENTER_SERVICE,
    ROCOF,
    adjustable,
    check_code,
    code_names,
    load_code,
    shipped_code,
)
from v2g_edge.config.problems import ConfigError

NAMES = (
    "en50549_example",
    "g99",
    "ieee1547_2018_cat1",
    "ieee1547_2018_cat2",
    "ieee1547_2018_cat3",
    "rule21",
    "vde_ar_n_4105_2018",
)
DRAFTS = {"g99", "en50549_example"}


def test_these_codes_ship() -> None:
    assert code_names() == NAMES
    with pytest.raises(KeyError):
        shipped_code("../../etc/passwd")


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_code_is_whole(name: str) -> None:
    """Every figure has its source, stands in its own range, and the elements cover both sides of both
    quantities.
    """
    code = shipped_code(name)
    assert (code.name, code.status) == (name, "draft" if name in DRAFTS else "verified")
    assert code.nominal_hz in (50.0, 60.0)
    assert {element.quantity for element in code.elements} == {
        "voltage_low",
        "voltage_high",
        "frequency_low",
        "frequency_high",
    }
    assert len({element.id for element in code.elements}) == len(code.elements)
    for element in code.elements:
        assert element.threshold_range[0] <= element.threshold <= element.threshold_range[1]
        assert element.time_range_s[0] <= element.time_s <= element.time_range_s[1]
        centre = 1.0 if element.quantity.startswith("voltage") else code.nominal_hz
        low = element.quantity.endswith("low")
        assert element.threshold < centre if low else element.threshold > centre
    for band in code.ride_through:
        assert band.lo < band.hi
        assert band.time_s > 0.0
        assert band.slope >= 0.0
    assert all(element.source for element in code.elements)
    assert all(band.source for band in code.ride_through)
    assert code.enter_service.source
    assert code.rocof is None or code.rocof.source
    enter = code.enter_service
    assert enter.v_lo_pu < 1.0 < enter.v_hi_pu
    assert enter.f_lo_hz < code.nominal_hz < enter.f_hi_hz
    assert not (enter.ramp_s and enter.random_delay_s)
    for field in ENTER_SERVICE:
        stem, _, unit = field.rpartition("_")
        low_value, high_value = getattr(enter, f"{stem}_range_{unit}")
        assert low_value <= getattr(enter, field) <= high_value


@pytest.mark.parametrize("name", NAMES)
def test_each_file_says_where_its_figures_come_from(name: str) -> None:
    text = (
        resources.files("v2g_edge").joinpath("envelope/gridcodes", f"{name}.toml").read_text(encoding="utf-8")
    )
    assert text.startswith("#")
    assert tomli.loads(text)["source"]
    assert "unverified" in text or name.startswith(("ieee", "rule21"))


def problems(
    name: str, *overrides: tuple[str, float], signer: str = "", nominal_hz: float | None = None
) -> list[str]:
    return [str(problem) for problem in check_code(name, overrides, signer, nominal_hz, "site.toml")[1]]


@pytest.mark.parametrize("name", NAMES)
def test_a_draft_arms_only_when_somebody_signed(name: str) -> None:
    if name in DRAFTS:
        for signer in ("", "   "):
            with pytest.raises(ConfigError, match=r"grid\.draft_signed_by.*draft"):
                load_code(name, draft_signed_by=signer)
    assert load_code(name, draft_signed_by="R. Example, engineer").name == name


def test_an_unknown_code_is_refused_with_the_known_ones() -> None:
    (problem,) = problems("ieee1547")
    assert '"ieee1547"' in problem
    for name in NAMES:
        assert name in problem


def test_the_frequency_of_the_site_must_be_that_of_the_code() -> None:
    assert not problems("ieee1547_2018_cat3", nominal_hz=60.0)
    (problem,) = problems("ieee1547_2018_cat3", nominal_hz=50.0)
    assert "grid.nominal_hz: found 50; allowed: 60" in problem


def keys() -> list[tuple[str, str, float, float]]:
    """Every value that any code lets a site set: (code, key, least, greatest)."""
    found = []
    for name in NAMES:
        for line in adjustable(shipped_code(name)):
            key, span = line.split(" (")
            low, high = span.rstrip(")").split(" to ")
            found.append((name, key, float(low), float(high)))
    return found


def value_of(name: str, key: str, *overrides: tuple[str, float]) -> float:
    code = load_code(name, overrides, "R. Example, engineer")
    part, field = key.split(".")
    if part == "enter_service":
        return float(getattr(code.enter_service, field))
    return float(getattr(next(element for element in code.elements if element.id == part), field))


def with_room(name: str, key: str) -> tuple[tuple[str, float], ...]:
    """What else must move so that ``key`` can take any value of its range by itself."""
    enter = shipped_code(name).enter_service
    return (("enter_service.ramp_s", 0.0),) if key == "enter_service.random_delay_s" and enter.ramp_s else ()


@pytest.mark.parametrize(("name", "key", "low", "high"), keys())
def test_a_value_moves_within_its_range_and_not_beyond(name: str, key: str, low: float, high: float) -> None:
    others = with_room(name, key)
    if others and shipped_code(name).enter_service.ramp_range_s[0] > 0.0:
        pytest.fail(f"{name} lets a site set a random delay, but not take the ramp out")
    for value in (low, high, (low + high) / 2.0):
        assert value_of(name, key, (key, value), *others) == value
    for value in (low - 0.001, high + 0.001, float("nan"), float("inf"), float("-inf")):
        found = problems(name, (key, value), *others, signer="R. Example")
        assert any(f"grid.code_overrides.{key}" in text and "allowed" in text for text in found)


def test_a_fixed_value_says_that_it_is_fixed() -> None:
    (problem,) = problems("ieee1547_2018_cat3", ("OV2.time_s", 1.0))
    assert "0.16, fixed by the code" in problem
    assert "Table 13" in problem


@pytest.mark.parametrize(
    "key",
    [
        "UV9.threshold",
        "UV1",
        "UV1.quantity",
        "UV1.source",
        "enter_service.source",
        "rocof.time_s",
        "",
        ".",
        "UV1.threshold.x",
    ],
)
def test_a_key_that_is_none_is_refused_with_those_that_are(key: str) -> None:
    (problem,) = problems("ieee1547_2018_cat3", (key, 1.0))
    assert "no such value" in problem
    assert "UV1.threshold (0 to 0.88)" in problem


def test_all_problems_come_at_once() -> None:
    found = problems(
        "g99",
        ("UV1.time_s", 9.0),
        ("nothing.here", 1.0),
        ("enter_service.random_delay_s", 100.0),
        ("enter_service.delay_s", 60.0),
        ("enter_service.delay_s", 90.0),
        nominal_hz=60.0,
    )
    text = "\n".join(found)
    for part in (
        "draft_signed_by",
        "nominal_hz",
        "UV1.time_s",
        "nothing.here",
        "a second value",
        "random delay of 100 s",
    ):
        assert part in text
    with pytest.raises(ConfigError) as caught:
        load_code("g99", (("UV1.time_s", 9.0), ("nothing.here", 1.0)))
    assert len(caught.value.problems) == 3


def test_ramp_or_random_delay_but_not_both() -> None:
    (problem,) = problems("ieee1547_2018_cat1", ("enter_service.random_delay_s", 300.0))
    assert "one of the two" in problem
    code = load_code(
        "ieee1547_2018_cat1", (("enter_service.random_delay_s", 300.0), ("enter_service.ramp_s", 0.0))
    )
    assert (code.enter_service.ramp_s, code.enter_service.random_delay_s) == (0.0, 300.0)


def test_a_window_without_width_is_refused() -> None:
    found = problems(
        "en50549_example", ("enter_service.v_lo_pu", 1.0), ("enter_service.v_hi_pu", 1.0), signer="R. Example"
    )
    assert len(found) == 1
    assert "v_lo_pu below v_hi_pu" in found[0]


def test_rate_of_change_can_be_named_where_a_code_has_it() -> None:
    assert ROCOF == ("hz_per_s", "time_s")
    assert ELEMENT == ("threshold", "time_s")
    assert (
        load_code("g99", (("rocof.hz_per_s", 1.0), ("rocof.time_s", 0.5)), "R. Example").rocof
        == shipped_code("g99").rocof
    )
    assert "1, fixed by the code" in problems("g99", ("rocof.hz_per_s", 2.0), signer="R. Example")[0]


@given(
    st.sampled_from(NAMES), st.lists(st.tuples(st.text(max_size=24), st.floats(allow_nan=True)), max_size=4)
)
def test_no_override_raises_anything_but_problems(name: str, overrides: list[tuple[str, float]]) -> None:
    code, found = check_code(name, tuple(overrides), "R. Example", None, "site.toml")
    assert code is not None
    assert len(found) >= len({key for key, _ in overrides})
