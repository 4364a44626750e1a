"""T4: the six enter-service cases of IEEE 1547.1, and each edge of the window of the other codes."""

from itertools import pairwise
from typing import Any

import pytest

from tests.conformance.cases_file import load
from tests.conformance.grid import CODES, Rig, code_of
from v2g_edge.model.gridcode import GridCode

CASES = load("enter_service")
TOLERANCE = 0.985
"""The test's own: nothing before 98.5 % of the delay, nothing full before 98.5 % of delay and ramp."""
CHANCE = 0.4
HOLD_S = 5.0


def rows() -> list[Any]:
    return [
        pytest.param(code, case, id=f"{code}-{case['id']}")
        for code in CODES
        for case in CASES["ieee1547_2018" if code.startswith("ieee") else code]["cases"]
    ]


def armed(code: str, case: dict[str, Any]) -> GridCode:
    if "v_hi" not in case:
        profile = code_of(code)
        enter = profile.enter_service
        assert (enter.delay_s, enter.ramp_s, enter.random_delay_s) == (
            case["delay_s"],
            case["ramp_s"],
            case["random_s"],
        )
        return profile
    return code_of(
        code,
        enter_service__delay_s=case["delay_s"],
        enter_service__ramp_s=case["ramp_s"],
        enter_service__random_delay_s=case["random_s"],
        enter_service__v_hi_pu=case["v_hi"],
        enter_service__v_lo_pu=case["v_lo"],
        enter_service__f_hi_hz=case["f_hi"],
        enter_service__f_lo_hz=case["f_lo"],
    )


def hold(rig: Rig, level: list[float], seconds: float, rate_hz: float = 1.0) -> None:
    rig.hold(seconds, level[0], level[1], rate_hz)


@pytest.mark.parametrize(("code", "case"), rows())
def test_enter_service(code: str, case: dict[str, Any]) -> None:
    rig = Rig(armed(code, case))
    rig.chance = CHANCE
    wait_s = max(HOLD_S, case["delay_s"] + CHANCE * case["random_s"])
    # Permit service off, everything healthy: no export, however long.
    rig.permitted = False
    hold(rig, case["to"], max(60.0, 2.0 * case["delay_s"] + case["random_s"]))
    # Initial voltage and frequency, permit service on.
    hold(rig, case["from"], 10.0)
    rig.permitted = True
    hold(rig, case["from"], max(60.0, 2.0 * case["delay_s"]))
    # A quarter of the delay inside, then outside for 0.1 s: the delay starts again.
    hold(rig, case["to"], 0.25 * wait_s)
    hold(rig, case["from"], 0.1, 50.0)
    assert all(verdict.share == 0.0 for _, verdict in rig.verdicts)
    # Inside for good.
    begun_s = rig.now_s
    hold(rig, case["to"], wait_s + case["ramp_s"] + 5.0)
    after = [(at_s - begun_s, verdict.share) for at_s, verdict in rig.verdicts if at_s >= begun_s]
    exported = next(at_s for at_s, share in after if share > 0.0)
    rated = next(at_s for at_s, share in after if share == 1.0)
    assert TOLERANCE * wait_s <= exported <= wait_s + 4.0
    assert TOLERANCE * (wait_s + case["ramp_s"]) <= rated <= wait_s + case["ramp_s"] + 4.0
    for (at_s, share), (next_s, next_share) in pairwise(after):
        assert (
            next_share - share <= (next_s - at_s) / case["ramp_s"] + 1e-9
            if case["ramp_s"]
            else next_share >= share
        )
    # Permit service off: nothing after 2 s (here: the same tick). On again: nothing for 5 s.
    rig.permitted = False
    hold(rig, case["to"], 1.0)
    assert rig.share == 0.0
    rig.permitted = True
    hold(rig, case["to"], HOLD_S)
    assert rig.share == 0.0


@pytest.mark.parametrize("code", CODES)
def test_after_a_trip_the_whole_delay_runs_from_the_return_of_the_grid(code: str) -> None:
    profile = code_of(code)
    rig = Rig(profile, running=True)
    rig.hold(3.0)
    assert rig.share == 1.0
    rig.hold(25.0, 0.3)
    assert rig.trips
    assert rig.share == 0.0
    rig.hold(profile.enter_service.delay_s, rate_hz=2.0)
    assert rig.share == 0.0
    rig.hold(profile.enter_service.ramp_s + 5.0, rate_hz=2.0)
    assert rig.share == 1.0
