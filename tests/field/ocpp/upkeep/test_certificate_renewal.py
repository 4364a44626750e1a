"""Which station renews its certificate, and when. One that renews for real:
``tests/sim/stations/test_renewal.py``.
"""

import ssl
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.trust.test_security import (
    NOW,
    PASSWORD,
    basic,
    listening,
    request_for,
    tls_listener,
    trusting,
)
from v2g_edge.field.ocpp.trust.pki import LEAF_DAYS, SiteCa
from v2g_edge.field.ocpp.upkeep import maintenance
from v2g_edge.field.ocpp.upkeep.certificate_renewal import ASK_S, ISSUED_S, WAIT_S, Renewals
from v2g_edge.field.ocpp.upkeep.maintenance import SITE
from v2g_edge.field.ocpp.wire.messages import Version

DAY_S = 86_400.0
IDENTITY: dict[Version, str] = {"1.6": "old", "2.0.1": "new", "2.1": "newest"}
ASKED = {"1.6": "ExtendedTriggerMessage", "2.0.1": "TriggerMessage", "2.1": "TriggerMessage"}
Logs = list[MutableMapping[str, Any]]


@asynccontextmanager
async def late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: Any
) -> AsyncIterator[tuple[Depot, SiteCa, Logs]]:
    """A depot a month before its stations' certificates run out."""
    step = Renewals.step

    def counted(renewals: Renewals) -> None:
        step(renewals)
        LOOKS.count += 1

    monkeypatch.setattr(Renewals, "step", counted)
    monkeypatch.setattr(maintenance, "LOOK_S", 0.01)
    authority, listener = tls_listener(tmp_path, profile)
    with structlog.testing.capture_logs() as logs:
        async with listening(tmp_path, listener) as depot:
            depot.clock.wall = NOW + (LEAF_DAYS - 30) * DAY_S
            yield depot, authority, logs


def asked(station: Peer, version: Version) -> int:
    return sum(each["requestedMessage"].startswith("Sign") for each in station.got(ASKED[version]))


def told(logs: Logs, event: str) -> Logs:
    return [each for each in logs if each["event"] == event]


async def looks(depot: Depot, seconds: float) -> None:
    """Let time pass between two looks at the station."""
    await looked()
    depot.clock.advance(seconds)
    await looked()


async def looked() -> None:
    """Until all stations were looked at from the beginning to the end."""
    before = LOOKS.count
    await until(lambda: LOOKS.count >= before + 2)


class Looks:
    """How often the renewals looked at all stations."""

    count = 0


LOOKS = Looks()


def context(tmp_path: Path, authority: SiteCa, identity: str) -> ssl.SSLContext:
    own = authority.issue_station(identity, tmp_path / identity, NOW)
    return trusting(tmp_path / "pki", certificate=own)


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_a_station_is_asked_once_a_day_and_not_when_it_has_just_come_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: Version
) -> None:
    async with late(tmp_path, monkeypatch, 3) as (depot, authority, logs):
        identity = IDENTITY[version]
        station = await Peer.dial(depot.port, identity, version, ssl=context(tmp_path, authority, identity))
        await looks(depot, WAIT_S - 1.0)
        assert asked(station, version) == 0
        await looks(depot, 2.0)
        await until(lambda: asked(station, version) == 1)
        await looks(depot, ASK_S - 10.0)
        assert asked(station, version) == 1
        await looks(depot, 20.0)
        await until(lambda: asked(station, version) == 2)
        assert told(logs, "station_certificate_renewal_asked")[0]["station"] == identity
        await station.close()


async def test_one_that_cannot_is_told_with_what_a_person_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with late(tmp_path, monkeypatch, 3) as (depot, authority, logs):
        station = await Peer.dial(depot.port, "old", "1.6", ssl=context(tmp_path, authority, "old"))
        station.scripts["ExtendedTriggerMessage"] = lambda _: {"status": "NotImplemented"}
        await looks(depot, WAIT_S + 1.0)
        await until(lambda: told(logs, "station_certificate_not_renewed"))
        row = told(logs, "station_certificate_not_renewed")[0]
        assert (row["status"], "v2g-edge pki station old" in row["mend"]) == ("NotImplemented", True)
        await station.close()


async def test_where_a_password_is_shown_the_youngest_issued_certificate_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revoked one does not; with a fresh one beside the old one nobody is asked."""
    async with late(tmp_path, monkeypatch, 2) as (depot, authority, _):
        for identity in ("new", "newest"):
            authority.issue_station(identity, tmp_path / identity, NOW)
        authority.issue_station("newest", tmp_path / "newest", depot.clock.wall)
        tls = {"ssl": trusting(tmp_path / "pki")}
        due = await Peer.dial(depot.port, "new", "2.0.1", **tls, **basic("new", PASSWORD))
        fresh = await Peer.dial(depot.port, "newest", "2.1", **tls, **basic("newest", PASSWORD))
        none = await Peer.dial(depot.port, "old", "1.6", **tls, **basic("old", PASSWORD))
        await looks(depot, ISSUED_S + 1.0)
        await until(lambda: asked(due, "2.0.1") == 1)
        assert (asked(fresh, "2.1"), asked(none, "1.6")) == (0, 0)
        listed = (await depot.central.perform(SITE, "certificates", {}))["stations"]
        assert {each["station"] for each in listed} == {"new", "newest"}
        for each in (due, fresh, none):
            await each.close()


async def test_a_signed_certificate_that_the_station_does_not_take_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with late(tmp_path, monkeypatch, 3) as (depot, authority, logs):
        depot.clock.wall = NOW
        station = await Peer.dial(depot.port, "new", "2.0.1", ssl=context(tmp_path, authority, "new"))
        station.scripts["CertificateSigned"] = lambda _: {"status": "Rejected"}
        assert await station.call("SignCertificate", {"csr": request_for("new")}) == {"status": "Accepted"}
        await until(lambda: told(logs, "station_certificate_not_installed"))
        assert told(logs, "station_certificate_not_installed")[0]["status"] == "Rejected"
        await station.close()
