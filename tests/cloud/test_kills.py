"""Six kills of a depot or its broker; ``make kills`` does a thousand."""

import random
from pathlib import Path

import pytest

from tests.cloud import kills
from tests.cloud.broker import Broker


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho's, see kills.kills
async def test_kills_of_either_side_lose_and_double_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kills, "LIFE_S", 0.1)
    said = await kills.kills(tmp_path, 6, random.Random(1))
    assert "6 kills" in said
    assert "nothing lost, nothing doubled" in said


@pytest.mark.parametrize(
    ("stored", "word"),
    [({"a-1": "0-0"}, "1 events lost"), ({"a-1": "0-0", "a-2": "0-1", "a-3": "0-1"}, "two ids")],
)
def test_a_lost_or_doubled_event_would_be_noticed(tmp_path: Path, stored: dict[str, str], word: str) -> None:
    cloud = kills.Cloud(Broker(tmp_path))
    cloud.stored = stored
    with pytest.raises(AssertionError, match=word):
        kills.judged(cloud, ["0-0", "0-1"], [], {})
