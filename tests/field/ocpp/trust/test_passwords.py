"""Basic passwords change without shutting a station out, and nobody gets to read them."""

import asyncio
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from msgspec.structs import replace

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.trust.test_security import (
    NOW,
    PASSWORD,
    basic,
    listening,
    refused,
    tls_listener,
    trusting,
)
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.trust.passwords import PENDING_MAX, Passwords
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.model.settings import Listener

IDENTITY: dict[Version, str] = {"1.6": "old", "2.0.1": "new", "2.1": "newest"}


def told_password(station: Peer) -> str:
    """What the station was told last."""
    if station.machine.version == "1.6":
        return next(
            str(p["value"])
            for p in reversed(station.got("ChangeConfiguration"))
            if p["key"] == "AuthorizationKey"
        )
    rows = [row for p in station.got("SetVariables") for row in p["setVariableData"]]
    return next(
        str(row["attributeValue"]) for row in reversed(rows) if row["variable"]["name"] == "BasicAuthPassword"
    )


def answering(
    version: Version, status: str | None
) -> dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]]:
    """Scripts of a station that says ``status`` to its new password; None: nothing at all."""

    def change(payload: dict[str, Any]) -> dict[str, Any] | None:
        return (
            {"status": "Accepted"}
            if payload["key"] != "AuthorizationKey"
            else {"status": status}
            if status
            else None
        )

    def write(payload: dict[str, Any]) -> dict[str, Any] | None:
        row = payload["setVariableData"][0]
        where = {"component": row["component"], "variable": row["variable"]}
        said = status if row["variable"]["name"] == "BasicAuthPassword" else "Accepted"
        return {"setVariableResult": [{"attributeStatus": said, **where}]} if said else None

    return {"ChangeConfiguration": change} if version == "1.6" else {"SetVariables": write}


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_both_passwords_open_until_the_new_one_is_used_then_only_the_new_one(
    tmp_path: Path, version: Version
) -> None:
    identity = IDENTITY[version]
    with structlog.testing.capture_logs() as logs:
        async with listening(tmp_path, Listener("127.0.0.1", 0, 1)) as depot:
            station = await Peer.dial(depot.port, identity, version, **basic(identity, PASSWORD))
            station.scripts |= answering(version, "Accepted")
            done = await depot.central.perform(identity, "new-password", {})
            assert (done["outcome"], done["status"]) == ("done", "Accepted")
            assert "currentTime" in await station.call("Heartbeat", {})
            new = told_password(station)
            again = await Peer.dial(depot.port, identity, version, **basic(identity, PASSWORD))
            await again.close()
            back = await Peer.dial(depot.port, identity, version, **basic(identity, new))
            assert await refused(depot, identity, **basic(identity, PASSWORD)) == 401
            await back.close()
    assert new not in json.dumps([*logs, done, depot.central.describe()], default=str)
    assert [each["station"] for each in logs if each["event"] == "station_password_changed"] == [identity]
    file = tmp_path / "passwords" / f"{identity}.json"
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)


async def test_the_new_password_outlives_the_daemon_and_a_new_file_overrules_it(tmp_path: Path) -> None:
    async with listening(tmp_path, Listener("127.0.0.1", 0, 1)) as depot:
        station = await Peer.dial(depot.port, "new", "2.0.1", **basic("new", PASSWORD))
        station.scripts |= answering("2.0.1", "RebootRequired")
        assert "reset it" in (await depot.central.perform("new", "new-password", {}))["next"]
        new = told_password(station)
        await station.close()
    async with listening(tmp_path, Listener("127.0.0.1", 0, 1)) as depot:
        station = await Peer.dial(depot.port, "new", "2.0.1", **basic("new", new))
        assert await refused(depot, **basic("new", PASSWORD)) == 401
        (tmp_path / "password").write_text("set-by-a-person-0", encoding="ascii")
        assert await refused(depot, **basic("new", new)) == 401
        again = await Peer.dial(depot.port, "new", "2.0.1", **basic("new", "set-by-a-person-0"))
        for each in (station, again):
            await each.close()


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_password_that_the_station_refuses_opens_nothing(tmp_path: Path, version: Version) -> None:
    identity = IDENTITY[version]
    async with listening(tmp_path, Listener("127.0.0.1", 0, 1)) as depot:
        station = await Peer.dial(depot.port, identity, version, **basic(identity, PASSWORD))
        station.scripts |= answering(version, "Rejected")
        done = await depot.central.perform(identity, "new-password", {})
        assert done == {"outcome": "refused", "status": "Rejected", "next": "the old password stands"}
        assert await refused(depot, identity, **basic(identity, told_password(station))) == 401
        again = await Peer.dial(depot.port, identity, version, **basic(identity, PASSWORD))
        for each in (station, again):
            await each.close()


async def test_a_station_that_vanishes_in_between_may_come_back_with_either(tmp_path: Path) -> None:
    async with listening(tmp_path, Listener("127.0.0.1", 0, 1)) as depot:
        station = await Peer.dial(depot.port, "old", "1.6", **basic("old", PASSWORD))
        station.scripts |= answering("1.6", None)
        asked = asyncio.get_running_loop().create_task(depot.central.perform("old", "new-password", {}))
        await until(lambda: any(p["key"] == "AuthorizationKey" for p in station.got("ChangeConfiguration")))
        await station.close()
        assert (await asked)["outcome"] == "silent"
        for password in (PASSWORD, told_password(station)):
            again = await Peer.dial(depot.port, "old", "1.6", **basic("old", password))
            await again.close()


async def test_the_key_of_1_6_is_taken_as_text_and_as_the_octets_that_it_spells(tmp_path: Path) -> None:
    key = "4f43415f4f4354545f61646d696e5f746573742e"
    (tmp_path / "password").write_text(key, encoding="ascii")
    settings = replace(Depot().stations[0], password_file=str(tmp_path / "password"))
    passwords = Passwords(None)
    assert passwords.fits(settings, key.encode())
    assert passwords.fits(settings, bytes.fromhex(key))
    assert not passwords.fits(settings, bytes.fromhex(key)[:-1])
    (tmp_path / "password").write_text("zz" * 20, encoding="ascii")
    assert not passwords.fits(settings, b"")


def test_a_station_that_uses_none_of_many_is_left_alone_and_nothing_opens_an_empty_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "password").write_text(PASSWORD, encoding="ascii")
    settings = replace(Depot().stations[0], password_file=str(tmp_path / "password"))
    passwords = Passwords(tmp_path / "passwords")
    for _ in range(PENDING_MAX):
        passwords.begin(settings)
    assert passwords.changing(settings)
    with pytest.raises(ValueError, match="uses none"):
        passwords.begin(settings)
    (tmp_path / "passwords" / "old.json").write_text("{", encoding="ascii")
    assert passwords.fits(settings, PASSWORD.encode())
    (tmp_path / "password").write_text("", encoding="ascii")
    assert not passwords.fits(settings, b"")
    with pytest.raises(ValueError, match="cannot be read or is empty"):
        passwords.begin(settings)


async def test_where_there_is_no_password_none_is_changed(depot: Depot) -> None:
    station = await Peer.dial(depot.port, "new", "2.0.1")
    with pytest.raises(ValueError, match="no password to change"):
        await depot.central.perform("new", "new-password", {})
    await station.close()


async def test_no_message_lowers_the_security_profile(tmp_path: Path) -> None:
    """By no operation and by no `call`; the same or a higher one may be asked for."""
    async with listening(tmp_path, Listener("127.0.0.1", 0, 1)) as depot:
        old = await Peer.dial(depot.port, "old", "1.6", **basic("old", PASSWORD))
        new = await Peer.dial(depot.port, "new", "2.0.1", **basic("new", PASSWORD))
        network = {"slot": 1, "url": "ws://a.b/c"}
        data = {
            "attributeValue": "0",
            "component": {"name": "SecurityCtrlr"},
            "variable": {"name": "SecurityProfile"},
        }
        for identity, operation, params in (
            ("old", "set", {"key": "SecurityProfile", "value": 0}),
            (
                "old",
                "call",
                {"action": "ChangeConfiguration", "payload": {"key": "securityprofile", "value": "0"}},
            ),
            ("new", "network-profile", {**network, "security_profile": 0}),
            ("new", "call", {"action": "SetVariables", "payload": {"setVariableData": [data]}}),
        ):
            with pytest.raises(ValueError, match="below 1, which the station uses now"):
                await depot.central.perform(identity, operation, params)
        for profile in (1, 2):
            done = await depot.central.perform(
                "new", "network-profile", {**network, "security_profile": profile}
            )
            assert done["payload"] == {"status": "Accepted"}
        assert (await depot.central.perform("old", "set", {"key": "SecurityProfile", "value": 3}))[
            "outcome"
        ] == "answered"
        for each in (old, new):
            await each.close()


@pytest.mark.parametrize("profile", [1, 2])
async def test_guesses_of_one_station_at_one_address_keep_nobody_out(tmp_path: Path, profile: Any) -> None:
    """A station with a wrong password behind the same router as the others must not keep them out."""
    of = Listener("127.0.0.1", 0, 1)
    more: dict[str, Any] = {}
    if profile == 2:
        of, more = tls_listener(tmp_path, 2)[1], {"ssl": trusting(tmp_path / "pki")}
    async with listening(tmp_path, of) as depot:
        for _ in range(5):
            assert await refused(depot, **more, **basic("new", "guess")) == 401
        assert await refused(depot, **more, **basic("new", "guess")) == 429
        station = await Peer.dial(depot.port, "new", "2.0.1", **more, **basic("new", PASSWORD))
        await station.close()
        other = await Peer.dial(depot.port, "newest", "2.1", **more, **basic("newest", PASSWORD))
        await other.close()


async def test_foreign_certificates_and_an_open_listener_lock_nobody_out(tmp_path: Path) -> None:
    authority, of = tls_listener(tmp_path, 3)
    other = authority.issue_station("newest", tmp_path / "newest", NOW)
    async with listening(tmp_path, of) as depot:
        context = trusting(tmp_path / "pki", certificate=other)
        assert [await refused(depot, ssl=context) for _ in range(6)] == [403] * 6
    open_depot = Depot()
    open_depot.central = CentralSystem(
        [Listener("127.0.0.1", 0, 0)],
        open_depot.stations,
        open_depot.site,
        open_depot.board,
        open_depot.clock,
    )
    await open_depot.central.start()
    for _ in range(10):
        assert await refused(open_depot, "stranger") == 404
    station = await Peer.dial(open_depot.port, "new", "2.0.1", **basic("new", "whatever"))
    await station.close()
    await open_depot.central.stop()
