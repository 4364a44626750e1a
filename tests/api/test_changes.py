"""Which changes of a site file a running daemon can take up."""

import pytest

from tests.config.small import changed
from v2g_edge.api.changes import Change, changes_of
from v2g_edge.config.load import settle
from v2g_edge.model.settings import Settings


def settings(path: str = "", value: object = None) -> Settings:
    return settle(changed(path, value) if path else changed("site.name", "small"), [], "site.toml")


def found(path: str, value: object) -> list[Change]:
    return changes_of(settings(), settings(path, value))


def test_the_same_file_changes_nothing() -> None:
    assert changes_of(settings(), settings()) == []


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("feeders.0.import_limit_w", 90_000.0, "feeders.main.import_limit_w"),
        ("safety", {"feeder_margin_pct": 7.0}, "safety.feeder_margin_pct"),
        ("vehicles.0.may_discharge", False, "vehicles.bus-1.may_discharge"),
        ("vehicle_types.0.max_discharge_w", 50_000.0, "vehicle_types.bus.max_discharge_w"),
        ("grid.export_allowed", False, "grid.export_allowed"),
        ("host", {"journal_keep_days": 3.0}, "host.journal_keep_days"),
    ],
)
def test_what_only_the_next_tick_reads_is_live(path: str, value: object, key: str) -> None:
    (change,) = found(path, value)
    assert (change.key, change.live) == (key, True)
    assert change.old != change.new


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("site.name", "other", "site.name"),
        ("evses.0.max_charge_w", 40_000.0, "evses.A.max_charge_w"),
        ("listeners.0.port", 9_000, "listeners.0.port"),
        ("stations.0.identity", "CP-Z", "stations.CP-A"),
        ("lines.0.host", "192.0.2.77", "lines.field.host"),
        ("devices.0.unit", 9, "devices.meter.unit"),
        ("host", {"tick_s": 2.0}, "host.tick_s"),
        ("safety", {"charger_max_age_s": 99.0}, "safety.charger_max_age_s"),
        ("feeders.1.meter", "grid", "feeders.hall.meter"),
    ],
)
def test_what_shapes_the_picture_waits_for_a_restart(path: str, value: object, key: str) -> None:
    by_key = {change.key: change for change in found(path, value)}
    assert not by_key[key].live


def test_a_vehicle_may_come_and_go_and_not_where_a_charger_was_told_of_it() -> None:
    gone = changes_of(settings(), settings("vehicles", []))
    assert gone == [Change("vehicles.bus-1", gone[0].old, "", True)]
    fixed = changes_of(settings("devices.2.vehicle", "bus-1"), settings("devices.2.vehicle", "bus-1"))
    assert fixed == []
    plain = changed("devices.2.vehicle", "bus-1")
    plain["vehicles"][0]["may_discharge"] = False
    assert [
        change.live for change in changes_of(settings("devices.2.vehicle", "bus-1"), settle(plain, [], "x"))
    ] == [False]
