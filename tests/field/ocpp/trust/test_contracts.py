"""Vehicles' certificates: an OCSP responder is asked only where the site lets it be, and only what is
known is said.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp as library

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import AT, AT_S, Clock, Peer, until
from tests.field.ocpp.responder import PEM, Issuer, Responder, responding
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.trust import contracts, ocsp
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.settings import Listener, OcppSettings

HALF_DAY = format_wall(AT_S + 43_200.0)
TOKEN = {"idToken": "DE-ABC-C123", "type": "eMAID"}
NOTHING_SAID = {"idTokenInfo": {"status": "Accepted"}}


@asynccontextmanager
async def asking(tmp_path: Path, *hosts: str, issuers: str = "") -> AsyncIterator[Depot]:
    """A depot that may ask these hosts and knows these issuers."""
    depot = Depot()
    (tmp_path / "pki").mkdir(exist_ok=True)
    if issuers:
        (tmp_path / "pki" / "issuers.pem").write_text(issuers, encoding="ascii")
    depot.central = CentralSystem(
        [Listener("127.0.0.1", 0, 0)], depot.stations, depot.site, depot.board, depot.clock,
        state_dir=tmp_path, settings=OcppSettings(ocsp_hosts=hosts),
    )  # fmt: skip
    await depot.central.start()
    try:
        yield depot
    finally:
        await depot.central.stop()


def text(*certificates: x509.Certificate) -> str:
    return "".join(each.public_bytes(PEM).decode() for each in certificates)


async def status(depot: Depot, responder: Responder, certificate: x509.Certificate, url: str = "") -> Any:
    station = await Peer.dial(depot.port, "newest", "2.1")
    try:
        return await station.call(
            "GetCertificateStatus",
            {"ocspRequestData": responder.issuer.data(certificate, url or responder.url)},
        )
    finally:
        await station.close()


@pytest.mark.parametrize(("identity", "version"), [("new", "2.0.1"), ("newest", "2.1")])
async def test_what_the_responder_says_is_handed_on_and_kept_until_its_next_update(
    tmp_path: Path, identity: str, version: Any
) -> None:
    async with responding(AT_S) as responder, asking(tmp_path, "localhost") as depot:
        data = {"ocspRequestData": responder.issuer.data(responder.certificate(), responder.url)}
        station = await Peer.dial(depot.port, identity, version)
        first = await station.call("GetCertificateStatus", data)
        assert first["status"] == "Accepted"
        told = library.load_der_ocsp_response(base64.b64decode(first["ocspResult"]))
        assert told.certificate_status is library.OCSPCertStatus.GOOD
        assert await station.call("GetCertificateStatus", data) == first
        assert responder.asked == 1
        depot.clock.advance(43_201.0)
        responder.issuer.now = responder.issuer.now.fromtimestamp(
            depot.clock.wall, responder.issuer.now.tzinfo
        )
        assert (await station.call("GetCertificateStatus", data))["status"] == "Accepted"
        assert responder.asked == 2
        await station.close()


@pytest.mark.parametrize("hosts", [(), ("elsewhere.example",)])
async def test_a_host_that_is_not_listed_is_never_asked_and_told_of_once(
    tmp_path: Path, hosts: tuple[str, ...]
) -> None:
    async with responding(AT_S) as responder, asking(tmp_path, *hosts) as depot:
        with structlog.testing.capture_logs() as logs:
            for _ in range(2):
                assert await status(depot, responder, responder.certificate()) == {"status": "Failed"}
        assert responder.asked == 0
        told = [each for each in logs if each["event"] == "ocsp_host_not_listed"]
        assert [(each["host"], each["mend"][:40]) for each in told] == [
            ("localhost", "list it in ocpp.ocsp_hosts of the site f")
        ]


@pytest.mark.parametrize("answer", ["busy", "other", "stale", "huge", "garbage", "moved", "endless"])
async def test_an_answer_of_no_use_is_failed_and_is_not_kept(
    tmp_path: Path, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocsp, "ANSWER_S", 0.5 if answer == "endless" else 5.0)
    async with responding(AT_S) as responder, asking(tmp_path, "localhost") as depot:
        responder.answer = answer
        certificate = responder.certificate()
        assert await status(depot, responder, certificate) == {"status": "Failed"}
        responder.answer = "good"
        assert (await status(depot, responder, certificate))["status"] == "Accepted"


@pytest.mark.parametrize("url", ["ftp://localhost/x", "localhost", "", "http://localhost:1/"])
async def test_an_address_of_no_use_is_failed(tmp_path: Path, url: str) -> None:
    async with responding(AT_S) as responder, asking(tmp_path, "localhost") as depot:
        assert await status(depot, responder, responder.certificate(), url or "x") == {"status": "Failed"}


async def test_long_words_of_a_station_are_neither_asked_nor_remembered(tmp_path: Path) -> None:
    async with responding(AT_S) as responder:
        asked = ocsp.Ocsp(("localhost",), Clock(), None)
        question = ocsp.Question.read(responder.issuer.data(responder.certificate(), responder.url))
        longest = responder.url + "/" + "x" * (ocsp.URL_MAX - len(responder.url) - 1)
        assert await asked.ask(question, longest + "x") is None
        assert (responder.asked, len(asked._kept)) == (0, 0)
        assert await asked.ask(question, longest) is not None
        for number in range(2 * ocsp.CACHE_MAX):
            assert await asked.ask(question, f"http://host{number}.{'y' * 1_500}/") is None
        assert len(asked._told) == ocsp.CACHE_MAX
        assert max(map(len, asked._told)) == ocsp.HOST_MAX


async def test_the_station_is_heard_while_a_responder_thinks(tmp_path: Path) -> None:
    async with responding(AT_S) as responder, asking(tmp_path, "localhost") as depot:
        responder.answer = "endless"
        station = await Peer.dial(depot.port, "newest", "2.1")
        data = {"ocspRequestData": responder.issuer.data(responder.certificate(), responder.url)}
        asked = asyncio.get_running_loop().create_task(station.call("GetCertificateStatus", data))
        await until(lambda: responder.asked == 1)
        done = await depot.central.perform("newest", "clear-cache", {})
        assert done["outcome"] == "answered"
        assert not asked.done()
        await station.close()
        asked.cancel()


async def test_whoever_hangs_up_is_not_asked_for_any_more(tmp_path: Path) -> None:
    """A station that asks and dials anew, again and again, leaves no questions behind."""
    async with responding(AT_S) as responder, asking(tmp_path, "localhost") as depot:
        responder.answer = "endless"
        data = {"ocspRequestData": responder.issuer.data(responder.certificate(), responder.url)}
        link = depot.central.links["newest"]
        for _ in range(5):
            station = await Peer.dial(depot.port, "newest", "2.1")
            asked = asyncio.get_running_loop().create_task(station.call("GetCertificateStatus", data))
            await until(lambda: link._amending)
            (question,) = link._amending
            await station.close()
            await until(question.done)
            assert question.cancelled()
            asked.cancel()


@pytest.mark.parametrize("delegated", [False, True])
@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
@pytest.mark.parametrize(
    ("answer", "word"), [("good", "Good"), ("revoked", "Revoked"), ("unknown", "Unknown")]
)
async def test_a_chain_is_told_in_our_words_where_the_issuer_is_known(
    tmp_path: Path, answer: str, word: str, kind: str, delegated: bool
) -> None:
    key = rsa.generate_private_key(65_537, 2_048) if kind == "rsa" else None
    async with (
        responding(AT_S, key, delegated=delegated) as responder,
        asking(tmp_path, "localhost", issuers=text(responder.issuer.certificate)) as depot,
    ):
        responder.answer = answer
        row = await chain_status(depot, responder)
        assert (row["status"], row["nextUpdate"], row["source"]) == (word, HALF_DAY, "OCSP")


async def test_a_word_that_leads_to_no_known_issuer_is_not_passed_on(tmp_path: Path) -> None:
    stranger = Issuer(AT_S)
    async with (
        responding(AT_S) as responder,
        asking(tmp_path, "localhost", issuers=text(stranger.certificate)) as depot,
    ):
        assert (await chain_status(depot, responder))["status"] == "Failed"
    known = text(responder.issuer.certificate)
    async with (
        asking(tmp_path, "localhost", issuers=known) as depot,
        responding(AT_S, delegated=True) as forged,
    ):
        forged.issuer.certificate = responder.issuer.certificate
        assert (await chain_status(depot, forged))["status"] == "Failed"


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
@pytest.mark.parametrize(
    ("answer", "word", "until"),
    [
        ("good", "Good", HALF_DAY),
        ("unknown", "Good", HALF_DAY),
        ("revoked", "Revoked", HALF_DAY),
        ("stale", "Failed", AT),
    ],
)
async def test_a_revocation_list_of_a_known_issuer_tells_too(
    tmp_path: Path, answer: str, word: str, until: str, kind: str
) -> None:
    """As DER and (here "unknown") as PEM."""
    key = rsa.generate_private_key(65_537, 2_048) if kind == "rsa" else None
    async with (
        responding(AT_S, key) as responder,
        asking(tmp_path, "localhost", issuers=text(responder.issuer.certificate)) as depot,
    ):
        responder.answer = answer
        row = await chain_status(depot, responder, source="CRL")
        assert (row["status"], row["nextUpdate"], row["source"]) == (word, until, "CRL")


async def test_a_list_of_somebody_else_clears_nobody_and_nobody_is_asked_by_default(tmp_path: Path) -> None:
    stranger = Issuer(AT_S)
    async with (
        responding(AT_S) as responder,
        asking(tmp_path, "localhost", issuers=text(stranger.certificate)) as depot,
    ):
        assert (await chain_status(depot, responder, source="CRL"))["status"] == "Failed"
        assert responder.asked == 1
    async with responding(AT_S) as responder, asking(tmp_path) as depot:
        for source in ("CRL", "OCSP"):
            assert (await chain_status(depot, responder, source=source))["status"] == "Failed"
        assert responder.asked == 0


async def chain_status(depot: Depot, responder: Responder, source: str = "OCSP") -> Any:
    data = responder.issuer.data(responder.certificate(), responder.url)
    url = data.pop("responderURL")
    station = await Peer.dial(depot.port, "newest", "2.1")
    asked = {"certificateHashData": data, "source": source, "urls": ["http://nobody.example/", url]}
    answer = await station.call("GetCertificateChainStatus", {"certificateStatusRequests": [asked]})
    await station.close()
    assert answer["certificateStatus"][0]["certificateHashData"] == data
    return answer["certificateStatus"][0]


async def authorized(depot: Depot, version: Any = "2.1", **more: Any) -> Any:
    station = await Peer.dial(depot.port, "newest" if version == "2.1" else "new", version)
    try:
        return await station.call("Authorize", {"idToken": TOKEN, **more})
    finally:
        await station.close()


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("good", {"idTokenInfo": {"status": "Accepted"}, "certificateStatus": "Accepted"}),
        ("revoked", {"idTokenInfo": {"status": "Invalid"}, "certificateStatus": "CertificateRevoked"}),
        ("unknown", NOTHING_SAID),
        ("busy", NOTHING_SAID),
    ],
)
async def test_an_authorisation_by_contract_says_what_is_known_of_its_certificates(
    tmp_path: Path, answer: str, told: dict[str, Any], version: str
) -> None:
    """By hashes, and by the chain itself with the responder that it names."""
    async with responding(AT_S) as responder:
        responder.answer, responder.issuer.url = answer, responder.url
        certificate = responder.certificate()
        async with asking(tmp_path, "localhost", issuers=text(responder.issuer.certificate)) as depot:
            hashes = [responder.issuer.data(certificate, responder.url)]
            assert await authorized(depot, version, iso15118CertificateHashData=hashes) == told
            assert await authorized(depot, version, certificate=text(certificate)) == told


async def test_a_chain_that_does_not_hold_is_refused_and_one_to_nobody_is_not_judged(tmp_path: Path) -> None:
    async with responding(AT_S) as responder:
        issuer, stranger = responder.issuer, Issuer(AT_S)
        over, good = responder.certificate(days=-1), responder.certificate()
        async with asking(tmp_path, "localhost", issuers=text(issuer.certificate)) as depot:
            invalid = {"idTokenInfo": {"status": "Invalid"}}
            for chain, verdict in (
                (text(over), "CertificateExpired"),
                (text(good, stranger.certificate), "CertChainError"),
                ("nothing", "CertChainError"),
            ):
                assert await authorized(depot, certificate=chain) == {**invalid, "certificateStatus": verdict}
            foreign, _ = stranger.issue("FR-XYZ-C1")
            assert await authorized(depot, certificate=text(foreign, stranger.certificate)) == NOTHING_SAID
            assert await authorized(depot, certificate=text(good)) == NOTHING_SAID  # it names no responder


async def test_an_identifier_that_may_not_charge_is_not_let_in_by_its_certificate(tmp_path: Path) -> None:
    async with responding(AT_S) as responder:
        (tmp_path / "tokens.json").write_text('{"others": "Blocked"}', encoding="ascii")
        async with asking(tmp_path, "localhost", issuers=text(responder.issuer.certificate)) as depot:
            hashes = [responder.issuer.data(responder.certificate(), responder.url)]
            told = await authorized(depot, iso15118CertificateHashData=hashes)
            assert told == {"idTokenInfo": {"status": "Blocked"}, "certificateStatus": "Accepted"}


async def test_a_contract_is_never_handed_out(depot: Depot) -> None:
    """There is no contract pool behind a depot: Failed, as without Plug & Charge."""
    station = await Peer.dial(depot.port, "newest", "2.1")
    wanted = {"iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef", "action": "Install", "exiRequest": "x"}
    assert await station.call("Get15118EVCertificate", wanted) == {"status": "Failed", "exiResponse": ""}
    await station.close()


@pytest.mark.parametrize("certificates", [1_350, 2_700])
@pytest.mark.parametrize("identity", ["new", "newest"])
async def test_e2_chains_of_1350_certificates_are_not_checked(
    tmp_path: Path, certificates: int, identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the station is read leniently: no signature is looked at."""
    monkeypatch.setattr(x509, "load_pem_x509_certificates", lambda _octets: pytest.fail("was read"))
    checks = contracts.Contracts(ocsp.Ocsp((), Clock(), None), Clock())
    chain = text(Issuer(AT_S).certificate) * certificates
    better = checks.amend(
        "2.1", "Authorize", {"idToken": TOKEN, "certificate": chain}, {"idTokenInfo": {"status": "Accepted"}}
    )
    assert better is not None
    assert (await better)["certificateStatus"] == "CertChainError"


@pytest.mark.parametrize("many", [5, 10, 1_000])
async def test_e2_no_more_is_asked_than_the_schemas_allow(many: int) -> None:
    """Leniently read too."""
    checks = contracts.Contracts(ocsp.Ocsp(("localhost",), Clock(), None), Clock())
    data = {"hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "c"}
    rows = [{"certificateHashData": data, "source": "OCSP", "urls": ["http://localhost:1/"]}] * many
    asked = checks.amend(
        "2.1", "GetCertificateChainStatus", {"certificateStatusRequests": rows}, {"certificateStatus": []}
    )
    assert asked is not None
    assert await asked == {"certificateStatus": []}
    hashes = [{**data, "responderURL": "http://localhost:1/"}] * many
    request = {"idToken": TOKEN, "iso15118CertificateHashData": hashes}
    asked = checks.amend("2.0.1", "Authorize", request, NOTHING_SAID)
    assert asked is not None
    assert await asked == NOTHING_SAID
