"""T6, as far as a supervisor sees an island: contact, drift, silence. It never claims the inverter's two
seconds.
"""

from typing import Any

import pytest

from tests.conformance.cases_file import load
from tests.conformance.grid import CODES, MAX_AGE_S, RATE_HZ, Rig, code_of
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import GridSample

CASES = load("islanding")["cases"]
TICK_S = 0.1
DRIFT_S = 8.0
LONGEST_S = 22.0
"""Longer than any voltage element of any code."""


def without_numbers(sample: GridSample, _index: int) -> GridSample:
    nan = Reading(float("nan"), sample.at_s)
    return GridSample(sample.at_s, (nan, nan, nan), nan)


def drift(rig: Rig, hz_per_s: float) -> None:
    nominal = rig.code.nominal_hz
    count = round(DRIFT_S * RATE_HZ)
    rig.play(
        [((1.0, 1.0, 1.0), nominal + hz_per_s * index / RATE_HZ) for index in range(count)], DRIFT_S, RATE_HZ
    )


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
@pytest.mark.parametrize("code", CODES)
def test_islanding(code: str, case: dict[str, Any]) -> None:
    rig = Rig(code_of(code), tick_s=TICK_S, running=True)
    rig.hold(3.0)
    assert rig.share == 1.0
    begun_s, rig.permitted = rig.now_s, not case.get("contact_opens", False)
    v = case.get("v", 1.0)
    if "drift_hz_per_s" in case:
        drift(rig, case["drift_hz_per_s"])
    elif case.get("nan"):
        rig.hold(MAX_AGE_S + 1.0, corrupt=without_numbers)
    elif case.get("silent"):
        rig.hold(TICK_S, v)
        rig.silence(LONGEST_S)
    else:
        rig.hold(LONGEST_S, (v, case.get("v_one", v), v))
    ended_s = (
        next(at_s for at_s, verdict in rig.verdicts if at_s > begun_s and verdict.share == 0.0) - begun_s
    )
    if "within_s" in case:
        assert ended_s <= case["within_s"] + 1e-6
    if not case.get("contact_opens"):
        assert bool(rig.trips) == case.get("trips", False)
    assert rig.share == 0.0
