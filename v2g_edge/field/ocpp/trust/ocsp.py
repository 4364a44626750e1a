"""Whether a vehicle's certificates still stand: asked of an OCSP responder (RFC 6960) or a revocation list,
and kept a while.

Only hosts that the site file lists are asked, without redirects, within time and size limits. What a
responder says is passed on as it is where the station checks it itself (GetCertificateStatus). Where we say
it in our own words, its signature must lead to an issuer that we know: one in ``pki/issuers.pem`` of the
state folder.
"""

import asyncio
import base64
import contextlib
import http.client
import socket
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import SplitResult, urlsplit

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from v2g_edge.field.ocpp.vocabulary.facts import word
from v2g_edge.model.ports import ClockPort

log = structlog.get_logger()

ANSWER_S: Final = 8.0
"""A station waits 30 s for our answer, a driver less."""
ANSWER_MAX: Final = 64 << 10
LIST_MAX: Final = 4 << 20
"""Octets. An OCSP response with its certificates is two to five kilobytes; a list has 40 for each revoked
certificate.
"""
AT_ONCE: Final = 4
CACHE_MAX: Final = 256
HOST_MAX: Final = 253
"""Characters of a name in the DNS (RFC 1035 2.3.4); no more is remembered of a host that is not asked."""
URL_MAX: Final = 2_000
"""Characters of an address (2.1, CertificateStatusRequestInfoType; 2.0.1 allows 512): a longer one is not
asked.
"""
CLOCKS_S: Final = 300.0
"""A responder's clock may be so far ahead of ours."""

_HEADERS: Final = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"}

Word = Literal["Good", "Revoked", "Unknown"]

_HASHES: Final[Mapping[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]]] = {
    "SHA256": hashes.SHA256, "SHA384": hashes.SHA384, "SHA512": hashes.SHA512,
}  # fmt: skip
_WORDS: Final[Mapping[ocsp.OCSPCertStatus, Word]] = {
    ocsp.OCSPCertStatus.GOOD: "Good", ocsp.OCSPCertStatus.REVOKED: "Revoked",
    ocsp.OCSPCertStatus.UNKNOWN: "Unknown",
}  # fmt: skip


HASH_NAMES: Final = ("hashAlgorithm", "issuerNameHash", "issuerKeyHash", "serialNumber")


def hash_data(data: Mapping[str, Any]) -> dict[str, str]:
    """What an answer repeats of a question: OCPP's own four words, and nothing that stands beside them."""
    return {name: word(data[name]) for name in HASH_NAMES}


class Question(NamedTuple):
    """A certificate by its hashes (OCPP CertificateHashDataType), hexadecimal as OCPP has them."""

    algorithm: str
    name_hash: str
    key_hash: str
    serial: str

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Question":
        """Off the wire. KeyError where something lacks."""
        algorithm, *others = hash_data(data).values()
        return cls(algorithm, *(each.lower() for each in others))


class Answer(NamedTuple):
    """``der`` as the responder gave it, b"" of a list; ``proven``: signed on behalf of an issuer that we
    know. UTC seconds.
    """

    der: bytes
    word: Word
    proven: bool
    next_wall_s: float


class Ocsp:
    """See the module. ``issuers`` is a file of certificates, None or absent: none is known."""

    def __init__(self, hosts: Sequence[str], clock: ClockPort, issuers: Path | None) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._clock = clock
        self._issuers_file = issuers
        self._kept: OrderedDict[tuple[Question, str], Answer] = OrderedDict()
        self._told: set[str] = set()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def ask(self, question: Question, url: str, *, in_list: bool = False) -> Answer | None:
        """What the responder at ``url`` says, or (``in_list``) the revocation list that lies there.

        None when it may not be asked, or says nothing of use (the log says why).
        """
        now_wall_s = self._clock.wall_s()
        kept = self._kept.get((question, url))
        if kept is not None and kept.next_wall_s > now_wall_s:
            return kept
        parts = urlsplit(url)
        if len(url) > URL_MAX or not self._listed(parts):
            return None
        try:
            async with self._turns:
                der = await _fetch(parts, None if in_list else _request(question))
            read = _read_list if in_list else _read
            answer = await asyncio.to_thread(lambda: read(der, question, now_wall_s, self.issuers()))
        except (OSError, ValueError, TimeoutError, http.client.HTTPException, UnsupportedAlgorithm) as fault:
            log.warning("ocsp_failed", host=parts.hostname, fault=str(fault) or type(fault).__name__)
            return None
        if answer.next_wall_s > now_wall_s:
            self._kept[question, url] = answer
            if len(self._kept) > CACHE_MAX:
                self._kept.popitem(last=False)
        return answer

    def _listed(self, parts: SplitResult) -> bool:
        host = (parts.hostname or "").lower()[:HOST_MAX]
        if parts.scheme in ("http", "https") and self._hosts & {host, parts.netloc.lower()}:
            return True
        if host not in self._told and len(self._told) < CACHE_MAX:
            self._told.add(host)
            log.warning(
                "ocsp_host_not_listed",
                host=host[:100],
                mend="list it in ocpp.ocsp_hosts of the site file, or leave it so",
            )
        return False

    def issuers(self) -> list[x509.Certificate]:
        """The known issuers of vehicles' certificates. OSError or ValueError when their file cannot be
        read.
        """
        if self._issuers_file is None or not self._issuers_file.exists():
            return []
        return x509.load_pem_x509_certificates(self._issuers_file.read_bytes())


def _request(question: Question) -> bytes:
    algorithm = _HASHES[question.algorithm]() if question.algorithm in _HASHES else None
    if algorithm is None:
        raise ValueError(f"hash algorithm {question.algorithm!r}")
    name, key, serial = (
        bytes.fromhex(question.name_hash),
        bytes.fromhex(question.key_hash),
        int(question.serial, 16),
    )
    built = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name, key, serial, algorithm).build()
    return built.public_bytes(serialization.Encoding.DER)


async def _fetch(parts: SplitResult, body: bytes | None) -> bytes:
    """POST the body, or GET without one, beside the loop. When time is up the socket is shut, so that the
    thread ends too.
    """
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=ANSWER_S)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        async with asyncio.timeout(ANSWER_S):
            return await asyncio.to_thread(_request_once, connection, path, body)
    finally:
        if connection.sock is not None:
            with contextlib.suppress(OSError):  # it is closed already
                connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()


def _request_once(connection: http.client.HTTPConnection, path: str, body: bytes | None) -> bytes:
    most = LIST_MAX if body is None else ANSWER_MAX
    try:
        connection.request("GET" if body is None else "POST", path, body, {} if body is None else _HEADERS)
        with connection.getresponse() as response:
            found = response.read(most + 1)
            if response.status != http.client.OK:
                raise ValueError(f"HTTP status {response.status}")
            if len(found) > most:
                raise ValueError(f"more than {most} octets")
            return found
    finally:
        connection.close()  # also where no caller waited until it was open


def _read(der: bytes, question: Question, now_wall_s: float, issuers: Sequence[x509.Certificate]) -> Answer:
    """ValueError when it is no answer to the question, or not one of now."""
    response = ocsp.load_der_ocsp_response(der)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise ValueError(f"the responder says {response.response_status.name}")
    for single in response.responses:
        same = (
            single.serial_number == int(question.serial, 16)
            and single.issuer_key_hash.hex() == question.key_hash
        )
        if not same or single.hash_algorithm.name.upper() != question.algorithm:
            continue
        until = single.next_update_utc
        next_wall_s = until.timestamp() if until is not None else now_wall_s
        if single.this_update_utc.timestamp() > now_wall_s + CLOCKS_S or next_wall_s < now_wall_s:
            raise ValueError(f"the answer is of {single.this_update_utc}, until {until}: not of now")
        return Answer(
            der, _WORDS[single.certificate_status], _proven(response, question, issuers), next_wall_s
        )
    raise ValueError("the answer is about another certificate")


def _read_list(
    text: bytes, question: Question, now_wall_s: float, issuers: Sequence[x509.Certificate]
) -> Answer:
    """ValueError when it is no list of now of an issuer that we know: a certificate that is not in
    another's list is not good.
    """
    crl = x509.load_pem_x509_crl(text) if text.startswith(b"-----") else x509.load_der_x509_crl(text)
    until = crl.next_update_utc
    if (
        until is None
        or until.timestamp() < now_wall_s
        or crl.last_update_utc.timestamp() > now_wall_s + CLOCKS_S
    ):
        raise ValueError(f"the list is of {crl.last_update_utc}, until {until}: not of now")
    if not any(
        _lists(crl, issuer) and digest_of(key_bits(issuer), question.algorithm) == question.key_hash
        for issuer in issuers
    ):
        raise ValueError("the list is signed by nobody that we know to issue this certificate")
    entry = crl.get_revoked_certificate_by_serial_number(int(question.serial, 16))
    return Answer(b"", "Good" if entry is None else "Revoked", True, until.timestamp())


def _lists(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey) or crl.issuer != issuer.subject:
        return False
    return crl.is_signature_valid(key)


def _proven(response: ocsp.OCSPResponse, question: Question, issuers: Sequence[x509.Certificate]) -> bool:
    """Signed by the certificate's issuer, or by a responder that this issuer lets sign (RFC 6960 4.2.2.2)."""
    for issuer in issuers:
        if digest_of(key_bits(issuer), question.algorithm) != question.key_hash:
            continue
        delegated = [each for each in response.certificates if _may_sign(each, issuer)]
        return any(_signed(response, each) for each in (issuer, *delegated))
    return False


def digest_of(octets: bytes, algorithm: str) -> str:
    """Hexadecimal, as OCPP has hashes. KeyError for an algorithm that it does not know."""
    digest = hashes.Hash(_HASHES[algorithm]())
    digest.update(octets)
    return digest.finalize().hex()


def key_bits(certificate: x509.Certificate) -> bytes:
    """What ``issuerKeyHash`` is the hash of: the key's bit string, without algorithm and tag (RFC 6960
    4.1.1).
    """
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    raise UnsupportedAlgorithm("only RSA and ECDSA keys sign certificates here")


def _may_sign(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _signed(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    key, algorithm = certificate.public_key(), response.signature_hash_algorithm
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), algorithm)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def wire_text(answer: Answer) -> str:
    """As ``ocspResult`` has it: base64 of the DER."""
    return base64.b64encode(answer.der).decode()
