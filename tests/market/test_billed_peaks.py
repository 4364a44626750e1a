"""Billed peaks from readings of the grid meter: windows on the clock, local months, ratchets, and what a
restart keeps.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from v2g_edge.market.billed_peaks import BilledPeaks
from v2g_edge.model.settings import DemandCharge

START_S = datetime(2026, 11, 27, 12, 0, tzinfo=UTC).timestamp()
CHARGE = DemandCharge("grid", 5.0)


def fed(
    path: Path, minutes: list[float], charge: DemandCharge = CHARGE, start_s: float = START_S
) -> BilledPeaks:
    """Readings of each minute, in kW."""
    peaks = BilledPeaks((charge,), path, "Europe/Berlin")
    for minute, kw in enumerate(minutes):
        for second in range(0, 60, 10):
            if peaks.observe(start_s + minute * 60 + second, kw * 1e3):
                assert peaks.save() == ""
    return peaks


@pytest.mark.parametrize(("window_s", "peak"), [(900.0, 500.0), (1_800.0, 350.0)])
def test_the_highest_mean_of_fixed_windows_is_billed(tmp_path: Path, window_s: float, peak: float) -> None:
    hour = [200.0] * 15 + [500.0] * 30 + [200.0] * 15 + [0.0]
    charge = DemandCharge("grid", 5.0, window_s)
    found = fed(tmp_path / "p.json", hour, charge).windows(START_S + 3_700.0)[0]
    assert found.billed_kw == pytest.approx(peak, rel=0.01)


def test_a_running_window_says_what_it_has_drawn(tmp_path: Path) -> None:
    found = fed(tmp_path / "p.json", [120.0] * 6).windows(START_S + 350.0)[0]
    assert found.drawn_kwh == pytest.approx(120.0 * 350.0 / 3_600.0, rel=0.01)
    assert found.started_wall_s == START_S


def test_peaks_survive_a_restart_and_a_ratchet_reaches_into_the_next_month(tmp_path: Path) -> None:
    fed(tmp_path / "p.json", [100.0] * 16)
    charge = DemandCharge("grid", 5.0, ratchet_pct=80.0)
    again = BilledPeaks((charge,), tmp_path / "p.json", "Europe/Berlin")
    assert again.windows(START_S + 1_000.0)[0].billed_kw == pytest.approx(100.0)
    assert again.windows(START_S + 10 * 86_400.0)[0].billed_kw == pytest.approx(80.0)
    assert (
        BilledPeaks((CHARGE,), tmp_path / "p.json", "Europe/Berlin")
        .windows(START_S + 10 * 86_400.0)[0]
        .billed_kw
        == 0.0
    )


def test_a_window_that_was_mostly_not_measured_is_no_peak(tmp_path: Path) -> None:
    peaks = BilledPeaks((CHARGE,), tmp_path / "p.json", "UTC")
    for at_s in (0.0, 10.0, 890.0, 910.0):
        assert not peaks.observe(START_S + at_s, 900e3)
    assert peaks.windows(START_S + 920.0)[0].billed_kw == 0.0


def test_export_counts_as_nothing_and_time_that_runs_back_adds_nothing(tmp_path: Path) -> None:
    peaks = fed(tmp_path / "p.json", [-100.0] * 16)
    peaks.observe(START_S, 900e3)
    assert peaks.windows(START_S + 960.0)[0].billed_kw == 0.0


def test_a_damaged_file_is_said_and_the_site_files_figure_counts(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text("{")
    peaks = BilledPeaks((DemandCharge("grid", 5.0, billed_kw=70.0),), tmp_path / "p.json", "UTC")
    assert "cannot be read" in peaks.fault
    assert peaks.windows(START_S)[0].billed_kw == 70.0
