"""What a register says between two samples, and what stands in where it cannot be believed."""

import pytest

from v2g_edge.study.ledger.register import passed


@pytest.mark.parametrize(
    ("old_wh", "new_wh", "hours", "by_power_wh", "wh", "kind"),
    [
        (1_000.0, 6_000.0, 0.1, 4_900.0, 5_000.0, ""),
        (1_000.0, 1_000.0, 10.0, 0.0, 0.0, ""),
        (99_998_000.0, 3_000.0, 0.1, 4_900.0, 5_000.0, "rollover"),
        (2.0**32 - 1_000.0, 2_000.0, 0.1, 2_900.0, 3_000.0, "rollover"),
        (55_000_000.0, 0.0, 0.1, 4_900.0, 4_900.0, "exchange"),
        (99_998_000.0, 50_000_000.0, 0.1, 4_900.0, 4_900.0, "exchange"),
        (1_000.0, 9_000_000.0, 0.1, 4_900.0, 4_900.0, "jump"),
        (1_000.0, 41_000.0, 0.1, 4_900.0, 4_900.0, "jump"),
    ],
)
def test_registers(
    old_wh: float, new_wh: float, hours: float, by_power_wh: float, wh: float, kind: str
) -> None:
    """A 50 kW outlet: grown, stood, rolled over, exchanged, leapt."""
    flow = passed(old_wh, new_wh, hours, 50_000.0, by_power_wh)
    assert flow.wh == pytest.approx(wh)
    assert flow.kind == kind
    assert bool(flow.text) == bool(kind)


def test_a_register_of_whole_kwh_may_step_early() -> None:
    """One step is not a leap, however short the time."""
    assert passed(7_000.0, 8_000.0, 0.0, 50_000.0, 300.0).kind == ""
