"""A station and an upstream of different versions: passed on where nothing is lost, else refused with why."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.upstream.conftest import ForwardedDepot, Upstream
from tests.field.ocpp.upstream.test_forwarding import BOOT_16, BOOT_201, at
from v2g_edge.field.ocpp.upstream.policy import CARRIED_IN, FORWARDED, GROUPS
from v2g_edge.field.ocpp.wire.messages import FROM_CENTRAL
from v2g_edge.field.ocpp.wire.schemas import Kind, schema

BOUNDS = {"maxLength": 1, "maxItems": 1, "maximum": 1, "minItems": -1, "minimum": -1}
"""Keywords that bound a value; 1 where a larger bound is wider."""

NONSENSE = {("minimum", 0), ("maximum", 3)}
"""Passed over: no number of these messages means anything below 0, and there are three phases at most."""


def narrower(old: dict[str, Any], new: dict[str, Any], names: tuple[Any, Any], where: str) -> Iterator[str]:
    """Where ``new`` takes less than ``old``, so that what conforms to the old schema may not fit."""
    old, new = (
        definitions[each["$ref"].rpartition("/")[2]] if "$ref" in each else each
        for each, definitions in zip((old, new), names, strict=True)
    )
    if "enum" in new and not set(old.get("enum", ("any text",))) <= set(new["enum"]):
        yield f"{where}: words"
    if old.get("type") != new.get("type"):
        yield f"{where}: type"
    for bound, wider in BOUNDS.items():
        told = bound in new and (bound, new[bound]) not in NONSENSE and "enum" not in old
        if told and (bound not in old or wider * old[bound] > wider * new[bound]):
            yield f"{where}: {bound}"
    if not set(new.get("required", ())) <= set(old.get("required", ())):
        yield f"{where}: required"
    for name, part in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield from narrower(part, new["properties"][name], names, f"{where}.{name}")
        else:
            yield f"{where}.{name}: unknown"
    if "items" in old:
        yield from narrower(old["items"], new["items"], names, f"{where}[]")


def lost(action: str, old: Any, new: Any, kind: Kind) -> list[str]:
    schemas = schema(old, action, kind), schema(new, action, kind)
    return list(narrower(*schemas, tuple(each.get("definitions", {}) for each in schemas), action))


UP = [(old, new, action) for old, into in CARRIED_IN.items() for new in into for action in FORWARDED[old]]


@pytest.mark.parametrize(("old", "new", "action"), sorted(UP))
def test_what_goes_up_in_another_version_loses_nothing(old: str, new: str, action: str) -> None:
    assert lost(action, old, new, "request") == []


def test_what_a_station_answers_fits_too_and_2_1_does_not_fit_into_2_0_1() -> None:
    answered = set().union(*GROUPS.values()) & FROM_CENTRAL["2.0.1"]
    assert [each for action in sorted(answered) for each in lost(action, "2.0.1", "2.1", "response")] == []
    assert lost("TransactionEvent", "2.1", "2.0.1", "request")
    assert "2.0.1" not in CARRIED_IN["2.1"]


@pytest.fixture
def newer(tmp_path: Path) -> Iterator[Upstream]:
    """It speaks 2.1 alone."""
    process = Upstream(tmp_path, spoken="ocpp2.1")
    process.begin()
    yield process
    process.kill()


@pytest.fixture
async def depot(tmp_path: Path, newer: Upstream) -> AsyncIterator[ForwardedDepot]:
    depot = ForwardedDepot(tmp_path, newer.url, allow=("unlock", "reset"))
    await depot.central.start()
    yield depot
    await depot.central.stop()


async def test_a_2_0_1_station_is_forwarded_to_an_upstream_that_speaks_2_1(
    depot: ForwardedDepot, newer: Upstream
) -> None:
    station = await Peer.dial(depot.port, "new", "2.0.1")
    await station.call("BootNotification", BOOT_201)
    await depot.settled("new")
    token = {"idToken": "card", "type": "ISO14443"}
    answer = await station.call("Authorize", {"idToken": token})
    assert answer["idTokenInfo"] == {"status": "Accepted"}  # without a group whose name is too long for 2.0.1
    event: dict[str, Any] = {
        "eventType": "Started", "timestamp": at(depot), "triggerReason": "Authorized", "seqNo": 0,
        "transactionInfo": {"transactionId": "t-1"}, "evse": {"id": 1, "connectorId": 1}, "idToken": token,
    }  # fmt: skip
    await station.call("TransactionEvent", event)
    await depot.settled("new")
    assert newer.calls("new")[-1] == ("TransactionEvent", event)
    newer.call("new", "UnlockConnector", evse_id=1, connector_id=1)
    await until(lambda: station.got("UnlockConnector"))
    newer.call("new", "Reset", type="ImmediateAndResume")
    why = "the station speaks OCPP 2.0.1: Reset (2.0.1) type"
    await until(lambda: [frame for frame in newer.frames("new") if frame[0] == 4 and why in frame[3]])
    assert station.got("Reset") == []


async def test_where_something_would_be_lost_the_station_is_refused_and_why_is_said(
    depot: ForwardedDepot, newer: Upstream
) -> None:
    station = await Peer.dial(depot.port, "old", "1.6")
    await station.call("BootNotification", BOOT_16)
    why = "whether it speaks OCPP 1.6"
    await until(lambda: [line for line in depot.news() if "upstream_refused" in line and why in line])
    assert newer.calls("old") == []
