"""A power cut at any moment: no ledger entry lost or doubled, no trip forgotten (200 in ``make torture``)."""

import random
from pathlib import Path

from tests.power_cuts import power_cuts


async def test_power_cuts_lose_no_ledger_and_no_trip(tmp_path: Path) -> None:
    assert "12 cuts" in await power_cuts(tmp_path, 12, random.Random(14))
