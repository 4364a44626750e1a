"""Reports of past nights: made by another process, from the journal, with the command's own words where
there is none.
"""

from pathlib import Path

import pytest

from v2g_edge.api.past import PastApi
from v2g_edge.host.control import BadRequestError


async def test_what_cannot_be_reported_is_said_in_the_commands_words(tmp_path: Path) -> None:
    past = PastApi(tmp_path / "site.toml", tmp_path / "journal.db")
    with pytest.raises(BadRequestError, match=r"journal\.db"):
        await past.night({"night": "2026-01-14"})
    with pytest.raises(BadRequestError, match="'yesterday' is no date; write it like 2026-01-31"):
        await past.night({"night": "yesterday"})
    with pytest.raises(BadRequestError, match="is no date"):
        await past.night({"night": "--config=/etc/passwd"})
