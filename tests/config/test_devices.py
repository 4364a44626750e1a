"""What must fit together between the depot and its devices."""

from typing import Any

import pytest

from tests.config.small import changed, document, problems_of


@pytest.mark.parametrize(
    ("path", "value", "key", "word"),
    [
        ("devices.0.target", "nothing", "site.meters.grid", "silent"),
        ("devices.0.target", "nothing", "devices.meter.target", "grid"),
        ("devices.0.line", "nothing", "devices.meter.line", "field"),
        ("devices.2.target", "A", "evses.A", "2 ways"),
        ("devices.2.target", "A", "evses.B", "0 ways"),
        ("stations.0.outlets", [{"evse": "C"}], "stations.CP-A.outlets.evse", "A, B"),
        ("stations.0.outlets", [], "stations.CP-A.outlets", "no outlet"),
        ("stations.0.outlets", [{"evse": "A"}, {"evse": "B"}], "stations.CP-A.outlets.1/1", "2 entries"),
        ("evses.0.dead_man", "modbus_watchdog", "evses.A.dead_man", "speaks OCPP"),
        ("evses.0.discharge_by", "register", "evses.A.discharge_by", "speaks OCPP"),
        ("evses.1.dead_man", "ocpp_profile", "evses.B.dead_man", "speaks Modbus"),
        ("evses.0.contactor", "k1", "evses.A.contactor", "there are none"),
        ("listeners", [], "listeners", "at least one"),
        ("listeners", [{"port": 8081}], "stations.CP-A.password_file", "password"),
        ("listeners.0.security_profile", 2, "listeners.#1.certificate_files", "certificate"),
        ("listeners.0.security_profile", 3, "listeners.#1.client_ca_file", "CA"),
        ("stations.0.identity", "@site", "stations.@site", "another identity"),
        ("stations.0.least_security_profile", 3, "stations.CP-A.least_security_profile", "best listener"),
        ("listeners.0.key_files", ["a"], "listeners.#1.key_files", "one key"),
        ("lines.0.host", "", "lines.field.host", "tcp"),
        ("lines.0.transport", "tls", "lines.field.ca_file", "tls"),
        ("lines.0.transport", "rtu", "lines.field.serial_port", "rtu"),
        ("cloud.certificate_file", "a", "cloud.key_file", "both"),
        ("cloud.password_file", "a", "cloud.username", "user name"),
    ],
)
def test_a_contradiction_is_named(path: str, value: Any, key: str, word: str) -> None:
    """Each of these is refused, at the key a person would mend."""
    found = [problem for problem in problems_of(changed(path, value)) if problem.key == key]
    assert found
    assert any(word in str(problem) for problem in found)


def test_two_stations_with_one_identity_are_refused() -> None:
    """They would take over each other's connection for ever."""
    plain = document()
    plain["stations"].append({"identity": "CP-A", "outlets": [{"evse": "B"}]})
    assert "stations.CP-A" in {problem.key for problem in problems_of(plain)}


@pytest.mark.parametrize(
    ("identity", "taken"), [("RDAM|123", True), ("*a=b+c@d.e:1", True), ("Säule 1", False), ("a/b", False)]
)
def test_a_station_may_be_called_whatever_ocpp_allows(identity: str, taken: bool) -> None:
    """Its maker chose the name, often for good: RDAM|123 is the specification's own example (OCPP 1.6-J
    3.1.1).
    """
    assert (problems_of(changed("stations.0.identity", identity)) == []) is taken


def test_two_devices_at_one_place_are_refused() -> None:
    """One unit id, one map, one channel: the second would read the first."""
    plain = document()
    plain["site"]["meters"].append("hall")
    plain["devices"].append({**plain["devices"][0], "id": "meter-2", "target": "hall"})
    assert [problem.key for problem in problems_of(plain)] == ["lines.field"]


def test_two_listeners_on_one_port_are_refused() -> None:
    """The second could not start."""
    plain = changed("listeners", [{"port": 9, "security_profile": 0}, {"port": 9, "security_profile": 0}])
    assert [problem.key for problem in problems_of(plain)] == ["listeners.port.9"]
