"""`v2g-edge status` on one screen: 80 columns, 24 lines, what needs a person first."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from v2g_edge.cli.live.glance import HEIGHT, glance
from v2g_edge.cli.screen import WIDTH, with_times

NIGHT: dict[str, Any] = json.loads(
    Path(__file__).with_name("samples").joinpath("night.json").read_text(encoding="utf-8")
)
"""A status of twelve buses at 18:00: one short, one charger silent, one that does not obey."""
MANUAL = Path("docs/operator.md")


def test_the_manual_shows_this_screen() -> None:
    """To mend: put the output of the sample into the block."""
    assert "\n".join(["$ v2g-edge status", *glance(NIGHT)]) in MANUAL.read_text(encoding="utf-8")


def test_twelve_vehicles_and_three_needs_fit_a_terminal() -> None:
    """Needs first, then one line a vehicle, the endangered and the soonest on top."""
    lines = glance(NIGHT)
    assert len(lines) <= HEIGHT
    assert max(map(len, lines)) <= WIDTH
    assert lines[2].startswith("! BUS12: NOT READY: lacks 12.4 kWh at 06:10")
    rows = [line for line in lines if line.startswith("BUS")]
    assert len(rows) == 12
    assert rows[0].startswith("BUS12")
    assert "LATE" in rows[0]
    assert rows[1:] == sorted(rows[1:], key=lambda row: row.split()[6])


def test_the_sites_time_zone_counts_and_is_named() -> None:
    """Not the terminal's."""
    far = {**copy.deepcopy(NIGHT), "timezone": "America/Los_Angeles"}
    assert "17:59 Europe/Amsterdam" in glance(NIGHT)[0]
    assert "08:59 America/Los_Angeles" in glance(far)[0]


@pytest.mark.parametrize("vehicles", [1, 30, 200])
def test_more_vehicles_go_on_further_pages(vehicles: int) -> None:
    """Each vehicle is on one page, each page fits."""
    many = copy.deepcopy(NIGHT)
    many["evses"] = [
        {**copy.deepcopy(NIGHT["evses"][0]), "id": f"E{number:03}", "vehicle": f"VAN-{number:03}"}
        for number in range(vehicles)
    ]
    seen: list[str] = []
    for page in range(1, 60):
        lines = glance(many, page)
        assert len(lines) <= HEIGHT
        rows = [line.split()[0] for line in lines if line.startswith("VAN-")]
        if seen[-len(rows) :] == rows:
            break
        seen += rows
    assert seen == [f"VAN-{number:03}" for number in range(vehicles)]


def test_many_needs_leave_room_for_the_vehicles() -> None:
    """Eight lines beside twelve vehicles; `--all` has the rest."""
    busy = copy.deepcopy(NIGHT)
    busy["attention"] = [{**NIGHT["attention"][1], "subjects": [f"E{number:02}"]} for number in range(12)]
    lines = glance(busy)
    assert sum(line.startswith(("!", "  ")) for line in lines) == 8
    assert "! and more: v2g-edge status --all" in lines
    assert len(lines) <= HEIGHT


def test_colour_says_nothing_that_words_do_not() -> None:
    """Without a terminal there is none."""
    assert not any("\x1b" in line for line in glance(NIGHT))


def test_json_has_iso_times_beside_the_seconds() -> None:
    """In the site's time zone, null where there is none."""
    shown = with_times(NIGHT, NIGHT["timezone"])
    assert shown["wall_s"] == NIGHT["wall_s"]
    assert shown["time"] == "2026-01-14T17:59:58+01:00"
    assert shown["evses"][0]["departure"] == "2026-01-15T06:12:58+01:00"
    assert shown["evses"][11]["ready"] is None
