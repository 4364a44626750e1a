"""Certificates of listeners change while chargers are connected: real sockets, certificates made by
``openssl``.
"""

import asyncio
import shutil
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog
from msgspec.structs import replace
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.openssl import Authority
from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.trust.test_security import NO_HANDSHAKE, PASSWORD, basic, listening
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.trust.tls import ECDHE_RSA_SUITES, ECDSA_SUITES, RSA_SUITES
from v2g_edge.field.ocpp.upkeep import maintenance
from v2g_edge.field.ocpp.upkeep.maintenance import SITE
from v2g_edge.model.settings import Listener


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


def listener(authority: Authority, profile: Literal[2, 3] = 3, **more: Any) -> Listener:
    """With an ECDSA and an RSA certificate."""
    files = [
        authority.issue("localhost", authority.folder.parent / f"server-{kind}", kind)
        for kind in ("ecdsa", "rsa")
    ]
    return Listener(
        "127.0.0.1", 0, profile,
        certificate_files=tuple(str(file) for file in files),
        key_files=tuple(str(file.with_suffix(".key")) for file in files),
        client_ca_file=str(authority.clients) if profile == 3 else "", **more,
    )  # fmt: skip


def client(authority: Authority, certificate: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.root))
    if certificate is not None:
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


async def came_in(depot: Depot, context: ssl.SSLContext, identity: str = "new", **options: Any) -> Peer:
    """Dialled, and answered: with TLS 1.3 a server refuses a client's certificate only after the client's
    handshake.
    """
    station = await Peer.dial(depot.port, identity, "2.0.1", ssl=context, **options)
    assert "currentTime" in await station.call("Heartbeat", {})
    return station


def tls_of(station: Peer) -> Any:
    return station.ws.transport.get_extra_info("ssl_object")


def serial_shown(station: Peer) -> int:
    return int(tls_of(station).getpeercert()["serialNumber"], 16)


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_mutual_tls_with_either_kind_of_certificate_in_either_version(
    tmp_path: Path, authority: Authority, version: ssl.TLSVersion, kind: Literal["ecdsa", "rsa"]
) -> None:
    own = authority.issue("new", tmp_path / "own", kind)
    other = authority.issue("newest", tmp_path / "other", kind)
    async with listening(tmp_path, listener(authority)) as depot:
        context = client(authority, own)
        context.minimum_version = context.maximum_version = version
        station = await came_in(depot, context)
        assert (
            tls_of(station).version()
            == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        )
        await station.close()
        with pytest.raises(InvalidStatus) as refusal:
            await came_in(depot, client(authority, other))
        assert refusal.value.response.status_code == 403
        with pytest.raises(NO_HANDSHAKE):
            await came_in(depot, client(authority))


@pytest.mark.parametrize("profile", [2, 3])
@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize(
    "suite", [*ECDSA_SUITES.split(":"), *ECDHE_RSA_SUITES.split(":"), *RSA_SUITES.split(":")]
)
async def test_the_suites_of_the_specification_are_spoken_and_the_weak_ones_where_they_are_asked_for(
    tmp_path: Path, authority: Authority, suite: str, asked: bool, profile: Literal[2, 3]
) -> None:
    own = authority.issue("new", tmp_path / "own") if profile == 3 else None
    async with listening(tmp_path, listener(authority, profile, tls_rsa_suites=asked)) as depot:
        context = client(authority, own)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(suite)
        credentials = basic("new", PASSWORD) if profile == 2 else {}
        if suite in RSA_SUITES and not asked:
            with pytest.raises(NO_HANDSHAKE):
                await came_in(depot, context, **credentials)
            return
        station = await came_in(depot, context, **credentials)
        assert tls_of(station).cipher()[0] == suite
        assert tls_of(station).compression() is None
        await station.close()


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
async def test_an_older_tls_is_refused(tmp_path: Path, authority: Authority, version: str) -> None:
    async with listening(tmp_path, listener(authority, 2)) as depot:
        context = client(authority)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # the point is that they are not spoken any more
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion[version]
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await Peer.dial(depot.port, "new", "2.0.1", ssl=context, **basic("new", PASSWORD))


@pytest.mark.parametrize("profile", [0, 1, 2, 3])
async def test_another_profile_than_the_listeners_is_refused(
    tmp_path: Path, authority: Authority, profile: Literal[0, 1, 2, 3]
) -> None:
    """Plain to TLS, TLS to plain, a password where a certificate is asked for, a certificate where a
    password is.
    """
    own = authority.issue("new", tmp_path / "own")
    of = listener(authority, profile) if profile in (2, 3) else Listener("127.0.0.1", 0, profile)
    async with listening(tmp_path, of) as depot:
        wrong: list[dict[str, Any]] = {
            0: [{"ssl": client(authority)}],
            1: [{}, {"ssl": client(authority), **basic("new", PASSWORD)}],
            2: [{}, basic("new", PASSWORD), {"ssl": client(authority)}, {"ssl": client(authority, own)}],
            3: [{}, basic("new", PASSWORD), {"ssl": client(authority), **basic("new", PASSWORD)}],
        }[profile]
        for options in wrong:
            with pytest.raises((*NO_HANDSHAKE, InvalidStatus, InvalidMessage)):
                await Peer.dial(depot.port, "new", "2.0.1", **options)
        assert not depot.central.describe()[1]["connected"]


async def test_a_station_bound_to_a_profile_finds_no_weaker_door(
    tmp_path: Path, authority: Authority
) -> None:
    depot = Depot()
    doors = [Listener("127.0.0.1", 0, 0), listener(authority)]
    stations = [replace(station, least_security_profile=3) for station in depot.stations]
    depot.central = CentralSystem(doors, stations, depot.site, depot.board, depot.clock)
    await depot.central.start()
    with pytest.raises(InvalidStatus) as refusal:
        await Peer.dial(depot.central.bound_port(0), "new", "2.0.1")
    assert refusal.value.response.status_code == 403
    context = client(authority, authority.issue("new", tmp_path / "own"))
    station = await Peer.dial(depot.central.bound_port(1), "new", "2.0.1", ssl=context)
    await station.close()
    await depot.central.stop()


async def test_new_files_count_for_new_handshakes_and_drop_nobody(
    tmp_path: Path, authority: Authority
) -> None:
    of = listener(authority, 2)
    async with listening(tmp_path, of) as depot:
        before = await came_in(depot, client(authority), **basic("new", PASSWORD))
        for kind in ("ecdsa", "rsa"):
            authority.issue("localhost", tmp_path / f"server-{kind}", kind)
        told = await depot.central.perform(SITE, "reload", {})
        assert [each["taken"] for each in told["listeners"]] == [True]
        after = await came_in(depot, client(authority), "newest", **basic("newest", PASSWORD))
        assert serial_shown(after) != serial_shown(before)
        assert "currentTime" in await before.call("Heartbeat", {})
        await before.close()
        await after.close()


@asynccontextmanager
async def looking_often(
    tmp_path: Path, of: Listener, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Depot]:
    monkeypatch.setattr(maintenance, "LOOK_S", 0.02)
    async with listening(tmp_path, of) as depot:
        yield depot


async def test_a_changed_file_is_seen_without_being_told(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with looking_often(tmp_path, listener(authority, 2), monkeypatch) as depot:
        before = await came_in(depot, client(authority), **basic("new", PASSWORD))
        old = serial_shown(before)
        with structlog.testing.capture_logs() as told:
            for kind in ("ecdsa", "rsa"):
                authority.issue("localhost", tmp_path / f"server-{kind}", kind)
            await until(lambda: [each for each in told if each["event"] == "listener_files_taken"])
        async with asyncio.timeout(5.0):
            while True:
                again = await came_in(depot, client(authority), "newest", **basic("newest", PASSWORD))
                shown = serial_shown(again)
                await again.close()
                if shown != old:
                    break
        await before.close()


async def test_a_revoked_station_is_cut_off_and_kept_out_and_the_others_are_not(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = authority.issue("new", tmp_path / "lost")
    good = authority.issue("newest", tmp_path / "good")
    async with looking_often(tmp_path, listener(authority), monkeypatch) as depot:
        thief, station = (
            await came_in(depot, client(authority, lost)),
            await came_in(depot, client(authority, good), "newest"),
        )
        authority.revoke(lost)
        assert await thief.gone() == 1008
        with pytest.raises(NO_HANDSHAKE):
            await came_in(depot, client(authority, lost))
        again = await came_in(depot, client(authority, authority.issue("new", tmp_path / "fresh")))
        assert "currentTime" in await station.call("Heartbeat", {})
        for each in (again, station):
            await each.close()


@asynccontextmanager
async def two_doors(tmp_path: Path, authority: Authority) -> AsyncIterator[Depot]:
    """A profile 3 listener first, and a plain one beside it that the station may use too."""
    async with listening(tmp_path, listener(authority)) as depot:
        upper = depot.central._listeners[0]
        await depot.central.stop()
        depot.central = CentralSystem(
            (upper, Listener("127.0.0.1", 0, 0)),
            depot.stations,
            depot.site,
            depot.board,
            depot.clock,
            state_dir=tmp_path / "two",
        )
        await depot.central.start()
        yield depot


@pytest.mark.parametrize("stray_dials", [1, 2])
@pytest.mark.parametrize("subprotocol", ["nonsense", "ocpp2.0.1"])
async def test_e4_revoked_and_in(
    tmp_path: Path, authority: Authority, stray_dials: int, subprotocol: str
) -> None:
    """What another dial of the same name shows, at a lower listener, changes nothing of the link that
    stands.
    """
    lost = authority.issue("new", tmp_path / "lost")
    async with two_doors(tmp_path, authority) as depot:
        thief = await came_in(depot, client(authority, lost))
        for _ in range(stray_dials):
            with pytest.raises((InvalidStatus, InvalidMessage)):
                await connect(
                    f"ws://localhost:{depot.central.bound_port(1)}/new",
                    subprotocols=[Subprotocol(subprotocol)],
                )
        assert depot.central.links["new"].shown.profile == 3
        authority.revoke(lost)
        await depot.central.reload()
        assert await thief.gone() == 1008


async def test_a_link_of_a_higher_profile_is_not_taken_over_at_a_lower_listener(
    tmp_path: Path, authority: Authority
) -> None:
    """When it is gone, the station may come in there again, as the site file lets it."""
    async with two_doors(tmp_path, authority) as depot:
        station = await came_in(depot, client(authority, authority.issue("new", tmp_path / "good")))
        with pytest.raises(InvalidStatus, match="403"):
            await Peer.dial(depot.central.bound_port(1), "new", "2.0.1")
        assert "currentTime" in await station.call("Heartbeat", {})
        await station.close()
        await until(lambda: depot.central.links["new"].connection is None)
        plain = await Peer.dial(depot.central.bound_port(1), "new", "2.0.1")
        await plain.close()


def _empty(_authority: Authority, of: Listener) -> str:
    Path(of.certificate_files[0]).write_bytes(b"")
    return of.certificate_files[0]


def _half(_authority: Authority, of: Listener) -> str:
    file = Path(of.key_files[1])
    file.write_bytes(file.read_bytes()[:200])
    return of.key_files[1]


def _foreign_key(_authority: Authority, of: Listener) -> str:
    shutil.copy(of.key_files[1], of.key_files[0])
    return of.key_files[0]


def _gone(_authority: Authority, of: Listener) -> str:
    Path(of.certificate_files[1]).unlink()
    return of.certificate_files[1]


def _over(authority: Authority, of: Listener) -> str:
    authority.issue("localhost", Path(of.certificate_files[0]).with_suffix(""), end="20210101000000Z")
    return f"{of.certificate_files[0]} holds something that has run out"


def _foreign_list(authority: Authority, of: Listener) -> str:
    other = Authority(authority.folder.parent / "other", "Other CA")
    crl = (other.folder / "crl.pem").read_bytes()
    Path(of.client_ca_file).write_bytes(authority.root.read_bytes() + crl)
    return "the revocation list of CN=Other CA is signed by none"


def _no_authority(_authority: Authority, of: Listener) -> str:
    Path(of.client_ca_file).write_text("nothing", encoding="ascii")
    return of.client_ca_file


@pytest.mark.parametrize("spoil", [_empty, _half, _foreign_key, _gone, _over, _foreign_list, _no_authority])
async def test_bad_new_files_are_refused_by_name_and_the_old_ones_stay(
    tmp_path: Path, authority: Authority, spoil: Callable[[Authority, Listener], str]
) -> None:
    own = authority.issue("new", tmp_path / "own")
    of = listener(authority)
    async with listening(tmp_path, of) as depot:
        named = spoil(authority, of)
        with structlog.testing.capture_logs() as logs:
            told = await depot.central.perform(SITE, "reload", {})
        assert not told["listeners"][0]["taken"]
        assert named in told["listeners"][0]["why"]
        refused = [each for each in logs if each["event"] == "listener_files_refused"]
        assert [(named in each["why"], each["effect"]) for each in refused] == [
            (True, "the old ones stay in use")
        ]
        station = await came_in(depot, client(authority, own))
        await station.close()


async def test_a_bad_file_at_the_start_is_named(tmp_path: Path, authority: Authority) -> None:
    of = listener(authority)
    named = _foreign_key(authority, of)
    depot = Depot()
    central = CentralSystem([of], depot.stations, depot.site, depot.board, depot.clock)
    with pytest.raises(OSError, match=named):
        await central.start()


async def test_what_runs_out_is_told(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = listener(authority, 2)
    with structlog.testing.capture_logs() as logs:
        async with looking_often(tmp_path, of, monkeypatch) as depot:
            depot.clock.wall = ssl.cert_time_to_seconds("Dec 31 23:59:59 2099 GMT") - 10 * 86_400
            await until(lambda: [each for each in logs if each["event"] == "listener_file_runs_out"])
    assert {(each["file"], each["days"]) for each in logs if each["event"] == "listener_file_runs_out"} == {
        (file, 10) for file in of.certificate_files
    }
