"""What leaves for the cloud: nothing of a vehicle, or nothing under its name."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.depot import healthy, small_site
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.model.event import Event
from v2g_edge.model.settings import CloudSettings
from v2g_edge.study.explain import describe_status
from v2g_edge.wiring.cloud_privacy import CloudPrivacy

SITE = replace(
    small_site(),
    vehicles=tuple(replace(each, other_ids=(f"CARD-{each.id}",)) for each in small_site().vehicles),
)
NAME = SITE.vehicles[0].id
EVENT = Event("departure_short", "warning", NAME, f"{NAME} (card CARD-{NAME}) leaves short, {NAME}s too", 1.0)


def told(settings: CloudSettings) -> tuple[dict[str, Any], Event]:
    picture = healthy(SITE)
    privacy = CloudPrivacy(settings, SITE)
    status = describe_status(SITE, picture, None, Cycle(SITE).tick(picture, None, Memory()))
    return privacy.telemetry(status, picture), privacy.events((EVENT,))[0]


def test_by_default_all_is_told() -> None:
    telemetry, event = told(CloudSettings())
    assert NAME in json.dumps(telemetry)
    assert event == EVENT


def test_minimal_tells_power_and_nothing_of_a_vehicle() -> None:
    telemetry, event = told(CloudSettings(detail="minimal"))
    assert all(each.id not in json.dumps(telemetry["evses"]) for each in SITE.vehicles)
    assert {"power_w", "permit_w"} <= set(telemetry["evses"][0])
    assert not {"soc_pct", "vehicle", "departure_wall_s"} & set(telemetry["evses"][0])
    assert (event.kind, event.subject, event.text) == ("departure_short", "vehicle", "")


def test_a_name_and_its_cards_have_one_pseudonym_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef")
    telemetry, event = told(CloudSettings(pseudonyms_file=str(tmp_path / "key")))
    stand_in = event.subject
    assert stand_in.startswith("V-")
    assert event.text == f"{stand_in} (card {stand_in}) leaves short, {NAME}s too"
    assert telemetry["evses"][0]["vehicle"] == stand_in
    assert telemetry["evses"][0]["soc_pct"] is not None
    assert len({row["vehicle"] for row in telemetry["evses"]}) == len(SITE.evses)


@pytest.mark.parametrize("key", [None, "short"])
def test_a_key_that_cannot_be_used_lets_no_name_out(tmp_path: Path, key: str | None) -> None:
    if key is not None:
        (tmp_path / "key").write_text(key)
    telemetry, event = told(CloudSettings(pseudonyms_file=str(tmp_path / "key")))
    assert NAME not in json.dumps([telemetry["evses"], event.text, event.subject])
