"""Security incidents as key figures: what is one, how soon it was told, when it was over."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from v2g_edge.security_events import SECURITY_EVENTS
from v2g_edge.study.insight.incidents import NO_INCIDENTS, IncidentError, read_incidents
from v2g_edge.study.insight.kpi import security_figures

AT_S = 1_800_000_000


def written(tmp_path: Path, *rows: Mapping[str, object]) -> Path:
    """A log of journald."""
    path = tmp_path / "log.json"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def line(event: str, minute: float, station: str = "CS-1", after_s: float = 0.0) -> dict[str, object]:
    """An entry as `journalctl -o json` gives it: every value is text."""
    stamp = round((AT_S + 60.0 * minute) * 1e6)
    row: dict[str, object] = {
        "__REALTIME_TIMESTAMP": str(stamp),
        "V2G_EVENT": event,
        "V2G_STATION": station,
        "MESSAGE": event,
    }
    return row | ({"V2G_AFTER_S": str(after_s)} if after_s else {})


def test_lines_within_an_hour_are_one_incident(tmp_path: Path) -> None:
    """Two refusals ten minutes apart, one two hours later, one of another station; a login is none."""
    path = written(
        tmp_path, line("station_refused", 0, after_s=12.0), line("station_refused", 10),
        line("station_refused", 130), line("station_refused", 5, "CS-2"), line("console_login", 3),
        line("tick", 4),
    )  # fmt: skip
    found = read_incidents(path, 0.0, 1e12)
    assert [(each.subject, each.lines) for each in found] == [("CS-1", 2), ("CS-2", 1), ("CS-1", 1)]
    figures = {each.name: each.value for each in security_figures(found)}
    assert figures["security incidents"] == 3.0
    assert figures["time to detect"] == pytest.approx(4.0)
    assert figures["time to resolve"] == pytest.approx((612.0 + 0.0 + 0.0) / 3.0 / 60.0)


def test_an_incident_counts_where_it_begins(tmp_path: Path) -> None:
    """And the log in JSON without systemd is read as well."""
    stamp = {"timestamp": "2027-01-15T08:00:00+00:00", "event": "vdv463_refused", "peer": "10.0.0.7"}
    found = read_incidents(written(tmp_path, stamp), AT_S - 1.0, AT_S + 1.0)
    assert [(each.kind, each.subject) for each in found] == [("vdv463_refused", "10.0.0.7")]
    assert read_incidents(written(tmp_path, stamp), AT_S + 1.0, AT_S + 2.0) == []


def test_what_is_no_log_is_refused_in_words(tmp_path: Path) -> None:
    """With its line; without any log the figures say what to give."""
    path = tmp_path / "log.txt"
    path.write_text("\nNov 28 host v2g-edge: station_refused\n")
    with pytest.raises(IncidentError, match=r"log\.txt:2: .*expected the lines of `journalctl"):
        read_incidents(path, 0.0, 1.0)
    assert all(each.value is None and "--security-log" in each.definition for each in security_figures(None))
    assert set(SECURITY_EVENTS) > NO_INCIDENTS
