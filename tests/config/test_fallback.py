"""The proof that silence is safe."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.config.small import TEXT, changed, problems_of
from v2g_edge.config.fallback import check_fallback
from v2g_edge.config.load import loads
from v2g_edge.model.site import CurrentLimit, Evse, Feeder, PhaseLoad, PhaseMap, Site

SITE = loads(TEXT).site


def test_the_error_names_feeder_sum_and_limit() -> None:
    """10 kW base load of the root, 5 kW of the hall and 50 kW of charger A do not fit 60 kW."""
    plain = changed("evses.0.fallback_w", 50_000.0)
    plain["feeders"][0]["import_limit_w"] = 60_000.0
    (problem,) = problems_of(plain)
    assert problem.key == "feeders.main.import_limit_w"
    assert "65000 W" in problem.found
    assert "60000 W" in problem.allowed


def test_a_feeder_filled_to_the_last_watt_fits() -> None:
    """The bound itself is allowed."""
    plain = changed("evses.0.fallback_w", 50_000.0)
    plain["feeders"][0]["import_limit_w"] = 65_000.0
    assert problems_of(plain) == []


def test_a_phase_that_is_too_small_is_refused() -> None:
    """7.36 kW on L2 alone is 32 A more there, though the sum over all phases fits."""
    plain = changed("evses.1.fallback_w", 7_360.0)
    plain["feeders"][0]["current"]["import_a"] = 75.0
    (problem,) = problems_of(plain)
    assert problem.key == "feeders.main.current.import_a"
    assert "on L2" in problem.found


def test_base_load_nobody_measured_per_phase_may_hang_on_one() -> None:
    """10 kW of the root on one phase are 43.5 A instead of the 20 A that were commissioned."""
    plain = changed(
        "feeders.0.current", {"import_a": 60.0, "export_a": 60.0, "imbalance_a": 20.0, "base_load_a": 20.0}
    )
    assert problems_of(plain) == []
    del plain["feeders"][0]["current"]["base_load_a"]
    assert {problem.key for problem in problems_of(plain)} == {"feeders.main.current.import_a"}


def test_d23_what_a_vehicle_draws_may_hang_on_one_phase_of_an_ac_charger() -> None:
    """Two fallbacks of 6 kW: 17.4 A on each phase if they spread, 52.2 A on one if they do not."""
    both = [
        replace(evse, fallback_w=6_000.0, max_charge_w=22_000.0, max_discharge_w=0.0, phases="L1L2L3")
        for evse in SITE.evses[:2]
    ]
    main = replace(SITE.feeders[0], meter="", current=CurrentLimit(50.0, 50.0, 1e12, 0.0))
    site = replace(
        SITE,
        feeders=(replace(main, parent="", id=both[0].feeder),),
        evses=tuple(replace(evse, feeder=both[0].feeder) for evse in both),
    )
    problem = next(check_fallback(site, "f"))
    assert "52.2 A on L1" in problem.found
    assert "phase_load" in problem.mend
    even = replace(site, evses=tuple(replace(evse, phase_load="even") for evse in site.evses))
    assert list(check_fallback(even, "f")) == []


def _evse(place: int, feeder: str, fallback_w: float, phases: PhaseMap, load: PhaseLoad) -> Evse:
    """Rated at 150 W: a phase of three carries 50 W."""
    return replace(
        SITE.evses[0],
        id=f"e{place}",
        feeder=feeder,
        max_charge_w=150.0,
        max_discharge_w=0.0,
        fallback_w=fallback_w,
        phases=phases,
        phase_load=load,
    )


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """Trees of up to five nodes with up to six chargers."""
    power = st.integers(0, 100).map(float)
    feeders: list[Feeder] = []
    for place in range(draw(st.integers(1, 5))):
        parent = feeders[draw(st.integers(0, place - 1))].id if place else ""
        limit = CurrentLimit(draw(power), 0.0, 0.0, draw(power))
        feeders.append(
            Feeder(
                f"f{place}",
                parent,
                draw(power) * 5,
                0.0,
                draw(power),
                0.0,
                "",
                draw(st.sampled_from([None, limit])),
            )
        )
    places = st.sampled_from([feeder.id for feeder in feeders])
    phases = st.sampled_from(["L1L2L3", "L2L3L1", "L1", "L2", "L3"])
    loads: st.SearchStrategy[PhaseLoad] = st.sampled_from(["auto", "even", "by_vehicle"])
    evses = tuple(
        _evse(n, draw(places), draw(power), draw(phases), draw(loads))  # type: ignore[arg-type]
        for n in range(draw(st.integers(0, 6)))
    )
    return replace(SITE, feeders=tuple(feeders), evses=evses, grid=replace(SITE.grid, nominal_v=1.0))


def _flow(site: Site, feeder: Feeder, phase: int | None) -> float:
    """The same sum from the leaves up: what flows into a node is its own load, its chargers, and its
    children.
    """
    own = sum(
        (evse.fallback_w if phase is None else _on(evse, phase))
        for evse in site.evses
        if evse.feeder == feeder.id
    )
    base = feeder.base_load_max_w
    if phase is not None and feeder.current is not None and feeder.current.base_load_a is not None:
        base = feeder.current.base_load_a
    return own + base + sum(_flow(site, child, phase) for child in site.feeders if child.parent == feeder.id)


def _on(evse: Evse, phase: int) -> float:
    name = f"L{phase + 1}"
    if evse.phase_load != "even" and len(evse.phases) > 2:
        return min(evse.fallback_w, 50.0)  # all of it on one phase
    return evse.fallback_w / (len(evse.phases) // 2) if name in evse.phases else 0.0


@given(sites())
def test_exactly_the_feeders_that_are_too_small_are_named(site: Site) -> None:
    """Against a sum made the other way round."""
    expected = {
        f"feeders.{each.id}.import_limit_w"
        for each in site.feeders
        if _flow(site, each, None) > each.import_limit_w + 1e-6
    }
    for feeder in site.feeders:
        if feeder.current is not None and any(
            _flow(site, feeder, phase) > feeder.current.import_a + 1e-6 for phase in range(3)
        ):
            expected.add(f"feeders.{feeder.id}.current.import_a")
    assert {problem.key for problem in check_fallback(site, "f")} == expected
