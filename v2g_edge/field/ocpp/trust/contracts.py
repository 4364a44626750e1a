"""What stations ask about vehicles' certificates (Plug & Charge): answered where the site lets an OCSP
responder be asked.

Nothing is said that is not known. ``certificateStatus`` of an Authorize is Accepted when every certificate is
good, and CertificateRevoked when one is revoked, each by a word whose signature leads to an issuer that we
know; a chain that ran out or does not hold together is refused; otherwise the field is left out, and the
identifier alone decides, as without a certificate.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from itertools import pairwise
from typing import Any, Final

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import AuthorityInformationAccessOID

from v2g_edge.field.ocpp.trust.ocsp import Answer, Ocsp, Question, digest_of, hash_data, key_bits, wire_text
from v2g_edge.field.ocpp.trust.pki import may_verify
from v2g_edge.field.ocpp.vocabulary.facts import word
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.ports import ClockPort

log = structlog.get_logger()

PATIENCE_S: Final = 20.0
"""All that one answer may take: a station waits 30 s for it."""

RESULT_MAX: Final[Mapping[str, int]] = {"2.0.1": 5_500, "2.1": 18_000}
"""Characters of ``ocspResult`` (GetCertificateStatusResponse of each version)."""

CERTIFICATE_MAX: Final = 10_000
CHAIN_MAX: Final = 8
ASKED_MAX: Final = 4
"""Characters of a chain (2.1; 2.0.1 allows 5,500), its certificates (a vehicle's chain has four at most,
ISO 15118-2), and what one message may ask about (both versions). The schemas say so too; a station that is
read leniently is held to it here.
"""

Payload = dict[str, Any]


class Contracts:
    """``amend`` takes its time over an answer that a adapter has given at once."""

    def __init__(self, ocsp: Ocsp, clock: ClockPort) -> None:
        self._ocsp = ocsp
        self._clock = clock

    def amend(
        self, version: str, action: str, request: Payload, answer: Payload
    ) -> Awaitable[Payload] | None:
        """The better answer, later; None where there is none."""
        match action:
            case "GetCertificateStatus":
                return self._patiently(self._status(version, request, answer), answer)
            case "GetCertificateChainStatus":
                return self._patiently(self._chain_status(request), answer)
            case "Authorize" if "iso15118CertificateHashData" in request or "certificate" in request:
                return self._patiently(self._authorize(request, answer), answer)
        return None

    async def _patiently(self, better: Awaitable[Payload], answer: Payload) -> Payload:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await better
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            TimeoutError,
            UnsupportedAlgorithm,
        ) as fault:
            log.warning("certificate_check_failed", fault=repr(fault)[:200])
            return answer

    async def _status(self, version: str, request: Payload, answer: Payload) -> Payload:
        data = request["ocspRequestData"]
        found = await self._ocsp.ask(Question.read(data), word(data["responderURL"]))
        result = wire_text(found) if found is not None else ""
        if not result or len(result) > RESULT_MAX[version]:
            return answer
        return {"status": "Accepted", "ocspResult": result}

    async def _chain_status(self, request: Payload) -> Payload:
        rows = _few(request["certificateStatusRequests"])
        return {"certificateStatus": list(await asyncio.gather(*(self._row(row) for row in rows)))}

    async def _row(self, row: Payload) -> Payload:
        """One certificate: the first of the addresses whose word leads to an issuer that we know."""
        status, until_wall_s = "Failed", self._clock.wall_s()
        for url in _few(row["urls"], 1 + ASKED_MAX):
            found = await self._ocsp.ask(
                Question.read(row["certificateHashData"]), word(url), in_list=row["source"] == "CRL"
            )
            if found is not None and found.proven:
                status, until_wall_s = found.word, found.next_wall_s
                break
        named = {"certificateHashData": hash_data(row["certificateHashData"]), "source": word(row["source"])}
        return {**named, "status": status, "nextUpdate": format_wall(until_wall_s)}

    async def _authorize(self, request: Payload, answer: Payload) -> Payload:
        hashes = _few(request.get("iso15118CertificateHashData", []))
        asked = [(Question.read(data), word(data["responderURL"])) for data in hashes]
        verdict, anchored = "", True
        if "certificate" in request:
            pem = request["certificate"]
            if not isinstance(pem, str):
                raise TypeError(f"a certificate is a text, found {type(pem).__name__}")
            # Each signature takes up to a few milliseconds of arithmetic: not on the loop.
            verdict, anchored, of_chain = await asyncio.to_thread(self._read_chain, pem)
            asked = asked or of_chain
        if not verdict:
            found = await asyncio.gather(*(self._ocsp.ask(*each) for each in asked))
            verdict = _verdict(found, anchored=anchored and bool(asked))
        if not verdict:
            return answer
        info = (
            answer["idTokenInfo"] if verdict == "Accepted" else {**answer["idTokenInfo"], "status": "Invalid"}
        )
        return {**answer, "idTokenInfo": info, "certificateStatus": verdict}

    def _read_chain(self, pem: str) -> tuple[str, bool, list[tuple[Question, str]]]:
        """What is wrong with it ("" when nothing is), whether an issuer that we know stands behind it, and
        which responder to ask.
        """
        if len(pem) > CERTIFICATE_MAX:
            return "CertChainError", False, []
        try:
            chain = x509.load_pem_x509_certificates(pem.encode())
            if len(chain) > CHAIN_MAX or not all(may_verify(each.public_key()) for each in chain):
                return "CertChainError", False, []
            for below, its_issuer in pairwise(chain):
                below.verify_directly_issued_by(its_issuer)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
            return "CertChainError", False, []
        wall_s = self._clock.wall_s()
        if any(each.not_valid_after_utc.timestamp() <= wall_s for each in chain):
            return "CertificateExpired", False, []
        issuers = self._ocsp.issuers()
        anchor = next(
            (issuer for issuer in issuers if chain[-1] == issuer or _issued(chain[-1], issuer)), None
        )
        above = [*chain[1:], *([anchor] if anchor is not None else [])]
        asked = [
            (_question(each, issuer), url)
            for each, issuer in zip(chain, above, strict=False)
            if (url := _responder(each))
        ]
        return "", anchor is not None, asked


def _few(rows: Any, most: int = ASKED_MAX) -> list[Any]:
    if not isinstance(rows, list) or len(rows) > most:
        raise ValueError(f"a list of at most {most} is expected")
    return rows


def _verdict(found: list[Answer | None], *, anchored: bool) -> str:
    if any(each is not None and each.proven and each.word == "Revoked" for each in found):
        return "CertificateRevoked"
    good = all(each is not None and each.proven and each.word == "Good" for each in found)
    return "Accepted" if good and anchored else ""


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _question(certificate: x509.Certificate, issuer: x509.Certificate) -> Question:
    name, key = digest_of(issuer.subject.public_bytes(), "SHA256"), digest_of(key_bits(issuer), "SHA256")
    return Question("SHA256", name, key, f"{certificate.serial_number:x}")


def _responder(certificate: x509.Certificate) -> str:
    """The OCSP responder that the certificate itself names, "" when it names none."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    return next(
        (
            str(each.access_location.value)
            for each in access
            if each.access_method == AuthorityInformationAccessOID.OCSP
        ),
        "",
    )
