"""Wear: BLAST-Lite's own application profiles, Xu's figures, costs by depth, models that cannot be used."""

import math
from pathlib import Path

import pytest

from tests.study.wear.blast import MODELS, Profile, blast, left_by_theirs, profiles
from v2g_edge.planner.build import WEAR_BY_DEPTH, WEAR_PACK_PRICE
from v2g_edge.study.wear.cost import END_OF_LIFE, blended, cycle_day, life, per_kwh, stress_of
from v2g_edge.study.wear.model import (
    SHIPPED,
    Health,
    Stress,
    WearError,
    aged,
    capacity,
    depth_damage,
    read_model,
)

TWO_PERCENT = 0.02

PROFILES = {"rest": [0.5] * 25, "80-40": list(cycle_day(0.4, 0.8)), "90-10": list(cycle_day(0.8, 0.9))}
BLAST = {
    # Remaining capacity after 1, 5 and 10 years at 25 °C, as BLAST-Lite 1.1.1 gives it; kept for speed.
    ("lfp-250ah", "rest"): (0.9890, 0.9743, 0.9630),
    ("lfp-250ah", "80-40"): (0.9826, 0.9516, 0.9234),
    ("lfp-250ah", "90-10"): (0.9795, 0.9356, 0.8926),
    ("nmc111-75ah", "rest"): (0.9899, 0.9820, 0.9769),
    ("nmc111-75ah", "80-40"): (0.9800, 0.9582, 0.9409),
    ("nmc111-75ah", "90-10"): (0.9717, 0.9224, 0.8690),
}


@pytest.mark.parametrize(("name", "profile"), BLAST)
def test_a_life_is_as_blast_lite_gives_it(name: str, profile: str) -> None:
    """The loss itself to two percent, whatever the profile."""
    left = life(read_model(name), PROFILES[profile], 25.0, 10)
    for year, theirs in zip((1, 5, 10), BLAST[name, profile], strict=True):
        assert left[year - 1] == pytest.approx(theirs, abs=0.0002 + TWO_PERCENT * (1.0 - theirs)), year


def _ours(name: str, profile: Profile) -> float:
    """Capacity left after the year, day by day."""
    model, health = read_model(name), Health()
    for first in range(0, len(profile.soc) - 1, 24):
        soc, pack_c = (each[first : first + 25] for each in profile)
        health = aged(model, health, stress_of(soc, pack_c, capacity(model, health)))
    return capacity(model, health)


@pytest.mark.parametrize("name", MODELS)
def test_a_year_of_blast_lites_own_profiles_is_as_its_own_code_gives_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss itself to two percent, with days and seasons of temperature."""
    package = blast(monkeypatch)
    for title, profile in profiles(package).items():
        lost = 1.0 - left_by_theirs(package, name, profile)
        assert lost > 0.01, title
        assert 1.0 - _ours(name, profile) == pytest.approx(lost, rel=TWO_PERCENT), title


def test_xu_is_as_published() -> None:
    """Damage by depth, and a year at rest at two temperatures."""
    xu = read_model("xu")
    damage = {0.1: 3.118e-6, 0.2: 5.248e-6, 0.3: 7.524e-6, 0.5: 1.331e-5, 0.8: 2.980e-5, 1.0: 5.882e-5}
    for depth, theirs in damage.items():
        assert depth_damage(xu.figures, depth) == pytest.approx(theirs, rel=1e-3)
    assert depth_damage(xu.figures, 1.4) == depth_damage(xu.figures, 1.0)
    for soc, pack_c, lost in ((0.5, 25.0, 0.0579), (0.8, 25.0, 0.0675), (0.5, 35.0, 0.0786)):
        health = aged(xu, Health(), Stress(365.0, (soc,), pack_c, 0.0, ()))
        assert 1.0 - capacity(xu, health) == pytest.approx(lost, abs=1e-4)


def test_the_day_plan_reckons_with_the_same_damage_by_depth() -> None:
    """What the next kWh of a cycle costs by ``xu``, in the planner's steps of depth; the first two as one."""
    xu, low = read_model("xu").figures, 0.0
    steps = {high: cost for high, cost in WEAR_BY_DEPTH if high > 20.0}
    for high_pct, cost in steps.items():
        high = high_pct / 100.0
        worn = depth_damage(xu, high) - (depth_damage(xu, low) if low else 0.0)
        assert cost == pytest.approx(worn / (high - low) / (1.0 - END_OF_LIFE) * WEAR_PACK_PRICE, rel=0.02)
        low = high
    assert WEAR_BY_DEPTH[0][1] == WEAR_BY_DEPTH[1][1]


def test_a_stress_in_two_halves_wears_as_much_as_in_one() -> None:
    """Whatever the form, the state goes on where it was."""
    for name in ("lfp-250ah", "nmc111-75ah", "xu"):
        model = read_model(name)
        whole = Stress(200.0, (0.4, 0.8), 25.0, 60.0, ((0.4, 0.6, 60.0),), 0.05)
        half = Stress(100.0, (0.4, 0.8), 25.0, 30.0, ((0.4, 0.6, 30.0),), 0.05)
        once, twice = aged(model, Health(), whole), aged(model, aged(model, Health(), half), half)
        assert capacity(model, once) == pytest.approx(capacity(model, twice), rel=1e-6)


def test_deep_cycles_cost_more_a_kwh_than_shallow_ones() -> None:
    """At 120 a kWh of pack, about one and a half cents for daily 40 %."""
    for name in ("lfp-250ah", "nmc111-75ah"):
        model = read_model(name)
        shallow, deep = per_kwh(model, 0.4, 120.0, top=0.9), per_kwh(model, 0.8, 120.0, top=0.9)
        assert 0.005 < shallow < 0.03
        assert math.isfinite(deep)
    xu = read_model("xu")
    assert per_kwh(xu, 0.8, 120.0, top=0.9) > per_kwh(xu, 0.3, 120.0, top=0.9)


def test_a_measured_state_of_health_counts_by_how_sure_it_is() -> None:
    """Inverse variances; without a measurement the model stands."""
    assert blended(0.10, 0.02, None, 0.01) == 0.10
    assert blended(0.10, 0.02, 0.05, 0.01) == pytest.approx(0.06)


def test_a_model_that_cannot_be_used_is_refused_in_words(tmp_path: Path) -> None:
    """Misspelt figures, no file."""
    path = tmp_path / "m.toml"
    path.write_text((SHIPPED / "xu.toml").read_text().replace("film_rate", "film_rat"))
    with pytest.raises(WearError, match=r"m\.toml: figures of form 'xu' are depth_a, "):
        read_model(str(path))
    with pytest.raises(WearError, match="shipped: lfp-250ah, nmc111-75ah, xu"):
        read_model("unobtainium")
