"""The console says for each event what the page of events says."""

from tests.cli.test_events_doc import kinds_in_code
from tests.pages.playbook import TARGET, playbook, rendered
from v2g_edge.envelope.checks import ROWS


def test_the_playbook_is_the_page() -> None:
    assert TARGET.read_text(encoding="utf-8") == rendered(), "make it anew: python -m tests.pages.playbook"


def test_every_event_and_row_has_an_entry() -> None:
    entries = playbook()
    assert (kinds_in_code() | {row.id for row in ROWS}) - entries.keys() == set()
    assert all(len(entry) == 2 and all(entry) for entry in entries.values())
