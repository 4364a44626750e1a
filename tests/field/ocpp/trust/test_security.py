"""Security profiles 0 to 3 on real sockets, and the site's own certificates."""

import asyncio
import base64
import ssl
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from msgspec.structs import replace
from websockets.exceptions import InvalidMessage, InvalidStatus

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.wire.test_connection_limits import idle_sockets
from v2g_edge.cli.main import main
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.station.sign_certificate import SIGNED_MAX, SIGNED_S
from v2g_edge.field.ocpp.trust.admission import FAILURES_MAX, identity_of
from v2g_edge.field.ocpp.trust.pki import LEAF_DAYS, RENEW_DAYS, SiteCa
from v2g_edge.field.ocpp.trust.tls import ECDHE_RSA_SUITES, ECDSA_SUITES, RSA_SUITES
from v2g_edge.model.settings import Listener

NOW = time.time()
NO_HANDSHAKE = (OSError, InvalidMessage)
"""A refused TLS handshake looks different with each version and moment of the refusal; ssl.SSLError is an
OSError.
"""
PASSWORD = "0123456789abcdef"
BOOT = {"reason": "PowerUp", "chargingStation": {"vendorName": "v", "model": "m"}}


@asynccontextmanager
async def listening(tmp_path: Path, listener: Listener) -> AsyncIterator[Depot]:
    """A depot with one listener and a password for every station."""
    depot = Depot()
    (tmp_path / "password").write_text(PASSWORD + "\n", encoding="ascii")
    stations = [replace(station, password_file=str(tmp_path / "password")) for station in depot.stations]
    depot.central = CentralSystem(
        [listener], stations, depot.site, depot.board, depot.clock, state_dir=tmp_path
    )
    await depot.central.start()
    try:
        yield depot
    finally:
        await depot.central.stop()


def basic(user: str, password: str) -> dict[str, Any]:
    return {
        "additional_headers": {
            "Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        }
    }


async def refused(depot: Depot, identity: str = "new", **options: Any) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        await Peer.dial(depot.port, identity, "2.0.1", **options)
    return refusal.value.response.status_code


async def test_profile_1_wants_the_stations_own_name_and_password(tmp_path: Path) -> None:
    async with listening(tmp_path, Listener("127.0.0.1", 0, 1)) as depot:
        assert await refused(depot) == 401
        assert await refused(depot, **basic("new", "wrong")) == 401
        assert await refused(depot, **basic("newest", PASSWORD)) == 401
        assert await refused(depot, additional_headers={"Authorization": "Basic !!!"}) == 401
        station = await Peer.dial(depot.port, "new", "2.0.1", **basic("new", PASSWORD))
        await station.close()


async def test_a_changed_password_counts_at_once_and_drops_nobody(tmp_path: Path) -> None:
    async with listening(tmp_path, Listener("127.0.0.1", 0, 1)) as depot:
        station = await Peer.dial(depot.port, "new", "2.0.1", **basic("new", PASSWORD))
        (tmp_path / "password").write_text("another-password-of-16", encoding="ascii")
        assert "currentTime" in await station.call("Heartbeat", {})
        assert await refused(depot, **basic("new", PASSWORD)) == 401
        await station.close()


async def test_guessing_is_told_to_stop_and_the_right_password_comes_in(tmp_path: Path) -> None:
    async with listening(tmp_path, Listener("127.0.0.1", 0, 1)) as depot:
        for _ in range(FAILURES_MAX):
            assert await refused(depot, **basic("new", "guess")) == 401
        assert await refused(depot, **basic("new", "guess")) == 429
        station = await Peer.dial(depot.port, "new", "2.0.1", **basic("new", PASSWORD))
        await station.close()


def trusting(folder: Path, **client: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    if client:
        context.load_cert_chain(client["certificate"], client["certificate"].with_suffix(".key"))
    return context


def tls_listener(tmp_path: Path, profile: Any, **more: Any) -> tuple[SiteCa, Listener]:
    authority = SiteCa.create(tmp_path / "pki", "Depot", NOW)
    certificates = authority.issue_server(["localhost", "127.0.0.1"], tmp_path / "server", NOW)
    return authority, Listener(
        "127.0.0.1", 0, profile,
        certificate_files=tuple(str(path) for path in certificates),
        key_files=tuple(str(path.with_suffix(".key")) for path in certificates),
        client_ca_file=str(tmp_path / "pki" / "clients.pem"), **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    "suites", [*ECDSA_SUITES.split(":"), *ECDHE_RSA_SUITES.split(":"), *RSA_SUITES.split(":")]
)
async def test_profile_2_offers_every_required_suite_with_an_ecdsa_and_an_rsa_certificate(
    tmp_path: Path, suites: str
) -> None:
    _, listener = tls_listener(tmp_path, 2, tls_rsa_suites=True)
    async with listening(tmp_path, listener) as depot:
        context = trusting(tmp_path / "pki")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(suites)
        station = await Peer.dial(depot.port, "new", "2.0.1", ssl=context, **basic("new", PASSWORD))
        chosen = station.ws.transport.get_extra_info("ssl_object").cipher()[0]
        assert chosen == suites
        await station.close()


async def test_profile_2_speaks_tls_1_3_still_wants_the_password_and_leaves_plain_rsa_out_by_default(
    tmp_path: Path,
) -> None:
    _, listener = tls_listener(tmp_path, 2)
    async with listening(tmp_path, listener) as depot:
        context = trusting(tmp_path / "pki")
        station = await Peer.dial(depot.port, "new", "2.0.1", ssl=context, **basic("new", PASSWORD))
        assert station.ws.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
        await station.close()
        assert await refused(depot, ssl=context) == 401
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AES128-GCM-SHA256")
        with pytest.raises(NO_HANDSHAKE):
            await Peer.dial(depot.port, "new", "2.0.1", ssl=context, **basic("new", PASSWORD))


async def test_profile_3_takes_only_the_stations_own_unrevoked_certificate(tmp_path: Path) -> None:
    authority, listener = tls_listener(tmp_path, 3)
    own = authority.issue_station("new", tmp_path / "new", NOW)
    other = authority.issue_station("newest", tmp_path / "newest", NOW)
    gone = authority.issue_station("old", tmp_path / "gone", NOW)
    authority.revoke(next(each.serial for each in authority.issued() if each.name == "old"), NOW)
    async with listening(tmp_path, listener) as depot:
        station = await Peer.dial(depot.port, "new", "2.0.1", ssl=trusting(tmp_path / "pki", certificate=own))
        await station.close()
        assert await refused(depot, ssl=trusting(tmp_path / "pki", certificate=other)) == 403
        for context in (trusting(tmp_path / "pki"), trusting(tmp_path / "pki", certificate=gone)):
            with pytest.raises(NO_HANDSHAKE):
                await Peer.dial(depot.port, "old", "2.0.1", ssl=context)


def request_for(name: str, key: Any = None) -> str:
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


async def test_a_station_renews_its_certificate_over_tls_and_gets_nobody_elses(tmp_path: Path) -> None:
    authority, listener = tls_listener(tmp_path, 3)
    own = authority.issue_station("new", tmp_path / "new", NOW)
    async with listening(tmp_path, listener) as depot:
        depot.clock.wall = NOW
        station = await Peer.dial(depot.port, "new", "2.0.1", ssl=trusting(tmp_path / "pki", certificate=own))
        await station.call("BootNotification", BOOT)
        answer = await station.call(
            "SignCertificate", {"csr": request_for("newest"), "certificateType": "ChargingStationCertificate"}
        )
        assert answer == {"status": "Rejected"}
        answer = await station.call(
            "SignCertificate", {"csr": request_for("new"), "certificateType": "ChargingStationCertificate"}
        )
        assert answer == {"status": "Accepted"}
        await until(lambda: station.got("CertificateSigned"))
        sent = station.got("CertificateSigned")[0]
        certificate = x509.load_pem_x509_certificate(sent["certificateChain"].encode())
        assert certificate.subject.rfc4514_string() == "CN=new"
        assert sent["certificateType"] == "ChargingStationCertificate"
        refused_too = {"csr": request_for("new"), "certificateType": "V2GCertificate"}
        assert await station.call("SignCertificate", refused_too) == {"status": "Rejected"}
        await station.close()


async def test_a_station_that_asks_without_end_fills_no_disk_with_certificates(tmp_path: Path) -> None:
    authority, listener = tls_listener(tmp_path, 3)
    own = authority.issue_station("new", tmp_path / "new", NOW)
    before = len(authority.issued())
    async with listening(tmp_path, listener) as depot:
        depot.clock.wall = NOW
        station = await Peer.dial(depot.port, "new", "2.0.1", ssl=trusting(tmp_path / "pki", certificate=own))
        await station.call("BootNotification", BOOT)
        asked = {"csr": request_for("new"), "certificateType": "ChargingStationCertificate"}
        answers = [(await station.call("SignCertificate", asked))["status"] for _ in range(SIGNED_MAX + 3)]
        assert answers == ["Accepted"] * SIGNED_MAX + ["Rejected"] * 3
        assert len(authority.issued()) == before + SIGNED_MAX
        depot.clock.advance(SIGNED_S)
        assert await station.call("SignCertificate", asked) == {"status": "Accepted"}
        await station.close()


async def test_without_tls_no_certificate_is_signed(tmp_path: Path) -> None:
    SiteCa.create(tmp_path / "pki", "Depot", NOW)
    async with listening(tmp_path, Listener("127.0.0.1", 0, 1)) as depot:
        station = await Peer.dial(depot.port, "old", "1.6", **basic("old", PASSWORD))
        assert await station.call("SignCertificate", {"csr": request_for("old")}) == {"status": "Rejected"}
        await station.close()


def test_weak_foreign_and_forged_requests_are_refused(tmp_path: Path) -> None:
    authority = SiteCa.create(tmp_path, "Depot", NOW)
    with pytest.raises(ValueError, match="RSA of 2048"):
        authority.sign_request(request_for("new", rsa.generate_private_key(65_537, 1_024)), "new", NOW)  # noqa: S505 - that is the point
    with pytest.raises(ValueError, match="the request is for"):
        authority.sign_request(request_for("other"), "new", NOW)
    with pytest.raises(ValueError, match="not a certificate request"):
        authority.sign_request("-----BEGIN NOTHING-----", "new", NOW)


def test_what_runs_out_is_told_until_a_younger_one_stands_beside_it(tmp_path: Path) -> None:
    authority = SiteCa.create(tmp_path, "Depot", NOW)
    authority.issue_station("new", tmp_path / "a", NOW)
    late_s = NOW + (LEAF_DAYS - RENEW_DAYS + 1) * 86_400.0
    assert authority.due(NOW) == []
    assert [each.name for each in authority.due(late_s)] == ["new"]
    authority.issue_station("new", tmp_path / "b", late_s)
    assert authority.due(late_s) == []
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        SiteCa.create(tmp_path, "Again", NOW)


def test_the_command_makes_issues_lists_and_revokes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ["--folder", str(tmp_path / "pki")]
    assert main(["pki", *folder, "list"]) == 2
    assert "pki init" in capsys.readouterr().err
    assert main(["pki", *folder, "init", "Depot"]) == 0
    assert main(["pki", *folder, "server", "localhost", "--out", str(tmp_path / "server")]) == 0
    assert main(["pki", *folder, "station", "CP1", "--out", str(tmp_path / "cp1")]) == 0
    (tmp_path / "cp2.csr").write_text(request_for("CP2"), encoding="ascii")
    assert main(["pki", *folder, "sign", "CP2", str(tmp_path / "cp2.csr")]) == 0
    assert "BEGIN CERTIFICATE" in capsys.readouterr().out
    assert main(["pki", *folder, "list"]) == 0
    assert main(["pki", *folder, "station", "CP1", "--out", str(tmp_path / "cp1-new")]) == 0
    main(["pki", *folder, "list"])
    serial = next(line.split()[0] for line in capsys.readouterr().out.splitlines() if "CP1" in line)
    none = ["--socket", str(tmp_path / "none")]
    assert main(["pki", *folder, "revoke", serial, *none]) == 0
    assert "CP1 still comes in with" in capsys.readouterr().out
    assert main(["pki", *folder, "revoke", "CP1", *none]) == 0
    assert "still comes in" not in capsys.readouterr().out
    assert main(["pki", *folder, "revoke", "abc", *none]) == 2
    capsys.readouterr()
    main(["pki", *folder, "list"])
    assert "revoked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "identity"),
    [("/ocpp/CP1", "CP1"), ("/CP%201", "CP 1"), ("/a/b/CP1/?x=1", "CP1"), ("/", ""), ("", "")],
)
def test_the_identity_is_the_last_part_of_the_path(path: str, identity: str) -> None:
    assert identity_of(path) == identity


@pytest.mark.parametrize("more", [1, 2])
async def test_e5_revoke_by_identity(tmp_path: Path, more: int) -> None:
    """A thief asks for further certificates over its link: revoking the station's name shuts out all of
    them.
    """
    authority, listener = tls_listener(tmp_path, 3)
    stolen = authority.issue_station("new", tmp_path / "stolen", NOW)
    async with listening(tmp_path, listener) as depot:
        thief = await Peer.dial(
            depot.port, "new", "2.0.1", ssl=trusting(tmp_path / "pki", certificate=stolen)
        )
        for _ in range(more):
            assert await thief.call("SignCertificate", {"csr": request_for("new")}) == {"status": "Accepted"}
        (first,) = [
            each for each in authority.issued() if stolen.read_text().startswith(_pem(tmp_path, each.serial))
        ]
        authority.revoke(first.serial, NOW)
        with structlog.testing.capture_logs() as logs:
            await depot.central.reload()
        assert await thief.gone() == 1008
        (warning,) = [entry for entry in logs if entry["event"] == "station_certificates_stand"]
        assert len(warning["serials"].split()) == more
        assert "pki revoke new" in warning["mend"]
        assert len(authority.revoke("new", NOW)) == 1 + more
        assert authority.standing("new", NOW) == []


def _pem(tmp_path: Path, serial: str) -> str:
    return (tmp_path / "pki" / "issued" / f"{serial}.pem").read_text()


@pytest.mark.parametrize("count", [80, 160])
async def test_e3_half_handshakes_keep_no_station_out(tmp_path: Path, count: int) -> None:
    """Sockets at a TLS listener that never begin a handshake, or begin it with nonsense."""
    _, listener = tls_listener(tmp_path, 2)
    async with listening(tmp_path, listener) as depot, idle_sockets(depot.port, count) as opened:
        keeper = depot.central._keeper
        await until(lambda: len(keeper) == keeper.address_max)
        await asyncio.get_running_loop().sock_sendall(opened[-1], b"GET / HTTP/1.1\r\n\r\n")
        await until(lambda: len(keeper) == keeper.address_max - 1)
        station = await Peer.dial(
            depot.port, "new", "2.0.1", ssl=trusting(tmp_path / "pki"), **basic("new", PASSWORD)
        )
        assert "currentTime" in await station.call("Heartbeat", {})
        await station.close()
    await until(lambda: not len(keeper))
