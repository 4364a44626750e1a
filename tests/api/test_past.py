"""Reports of past nights: made by another process, from the journal, with the command's own words where
there is none.
"""

from pathlib import Path

import pytest

from v2g_edge.api.past import PastApi
from v2g_edge.host.control import BadRequestError

EXAMPLE = Path("etc/site.example.toml")


async def test_what_cannot_be_reported_is_said_in_the_commands_words(tmp_path: Path) -> None:
    past = PastApi(tmp_path / "site.toml", tmp_path / "journal.db")
    with pytest.raises(BadRequestError, match=r"journal\.db"):
        await past.night({"night": "2026-01-14"})
    with pytest.raises(BadRequestError, match="'yesterday' is no date; write it like 2026-01-31"):
        await past.night({"night": "yesterday"})
    with pytest.raises(BadRequestError, match="is no date"):
        await past.night({"night": "--config=/etc/passwd"})


async def test_without_a_ledger_money_is_refused_with_how_to_make_one(tmp_path: Path) -> None:
    past = PastApi(EXAMPLE, tmp_path / "journal.db")
    with pytest.raises(
        BadRequestError, match="there is no ledger; `v2g-edge ledger --journal FILE` makes one"
    ):
        await past.money({})
    with pytest.raises(BadRequestError, match="is no date"):
        await past.money({"from": "--config=/etc/passwd"})
