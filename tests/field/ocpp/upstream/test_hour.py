"""Four minutes without the upstream, for the whole daemon; ``make upstream-hour`` plays the hour."""

from pathlib import Path

import pytest

from tests.field.ocpp.upstream.hour import played


@pytest.mark.slow
def test_sessions_are_billed_upstream_by_their_registers_through_an_outage(tmp_path: Path) -> None:
    said = played(tmp_path, scale=0.06)
    assert "6 sessions billed there" in said
    assert "once and in order through 4 minutes" in said
