"""Net present value, rate of return, payback: by hand, and rates that there are not."""

import numpy as np
import pytest

from v2g_edge.study.invest.finance import irr, npv, payback_years


def test_a_loan_of_a_hundred_at_ten_percent() -> None:
    """−100, then 60.5 twice: worth 5.00 at ten percent, nothing at 13.7 %."""
    flows = np.array([[-100.0, 60.5, 60.5]])
    assert npv(flows, 0.10)[0] == pytest.approx(5.0)
    assert irr(flows)[0] == pytest.approx(0.1370695, abs=1e-6)
    assert npv(flows, irr(flows))[0] == pytest.approx(0.0, abs=1e-6)
    assert payback_years(flows)[0] == pytest.approx(1.0 + 39.5 / 60.5)


def test_what_never_pays_has_a_rate_below_zero_or_none_and_no_payback() -> None:
    """10 + 10 for 100: −63 %. What costs nothing is paid back at once and has no rate."""
    flows = np.array([[-100.0, 10.0, 10.0], [0.0, 5.0, 5.0], [100.0, -10.0, -10.0]])
    assert irr(flows)[0] == pytest.approx(-0.6298, abs=1e-4)
    assert np.isnan(irr(flows)).tolist() == [False, True, True]
    assert payback_years(flows)[:2].tolist() == [np.inf, 0.0]


def test_money_that_has_to_be_spent_again_is_not_paid_back_before() -> None:
    """A replacement in the third year."""
    flows = np.array([[-100.0, 120.0, -60.0, 80.0]])
    assert payback_years(flows)[0] == pytest.approx(2.5)
