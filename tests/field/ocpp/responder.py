"""An OCSP responder on a real HTTP port, with a small PKI of vehicles' certificates behind it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from v2g_edge.tasks import close_door

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PEM = serialization.Encoding.PEM


def name_of(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Issuer:
    """Issues contract certificates. ``now`` is the wall time, UTC seconds; ``url`` goes into what it
    issues.
    """

    def __init__(self, now: float, key: Key | None = None) -> None:
        self.now = datetime.fromtimestamp(now, UTC)
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._issue("MO Sub-CA", self.key.public_key(), None, [])
        self.url = ""

    def issue(
        self, name: str, days: int = 30, usage: Any = None
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP256R1())
        extensions: list[Any] = [x509.ExtendedKeyUsage([usage])] if usage is not None else []
        if self.url:
            access = x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(self.url)
            )
            extensions.append(x509.AuthorityInformationAccess([access]))
        return self._issue(name, key.public_key(), self.certificate, extensions, days), key

    def _issue(
        self, name: str, key: Any, issuer: x509.Certificate | None, extensions: list[Any], days: int = 30
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name_of(name))
            .issuer_name(issuer.subject if issuer else name_of(name))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=400))
            .not_valid_after(self.now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def data(self, certificate: x509.Certificate, url: str) -> dict[str, str]:
        """OCSPRequestDataType, worked out by the library's own request builder."""
        built = (
            ocsp.OCSPRequestBuilder().add_certificate(certificate, self.certificate, hashes.SHA256()).build()
        )
        return {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": built.issuer_name_hash.hex().upper(),
            "issuerKeyHash": built.issuer_key_hash.hex(),
            "serialNumber": f"{certificate.serial_number:X}",
            "responderURL": url,
        }


class Responder:
    """``answer``: good, revoked, unknown, busy, other, stale, endless, huge, garbage or moved. ``asked``
    counts requests.
    """

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.answer = "good"
        self.asked = 0
        self.delegate: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None
        self.known: dict[int, x509.Certificate] = {}
        self.port = 0
        self.serving: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/ocsp"

    def certificate(self, name: str = "DE-ABC-C123", **how: Any) -> x509.Certificate:
        made, _ = self.issuer.issue(name, **how)
        self.known[made.serial_number] = made
        return made

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            self.asked += 1
            crl = self._list()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(crl) + crl
            )
            return
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        body = await reader.readexactly(length)
        self.asked += 1
        if self.answer == "endless":
            await reader.read()
        elif self.answer == "moved":
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://localhost:1/\r\nContent-Length: 0\r\n\r\n")
        else:
            der = {"huge": b"x" * 1_000_000, "garbage": b"garbage"}.get(self.answer) or self._der(body)
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(der) + der
            )

    def _list(self) -> bytes:
        """The revocation list: everything known is in it when the answer is "revoked"."""
        old = timedelta(days=30 if self.answer == "stale" else 0)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.issuer.certificate.subject)
        builder = builder.last_update(self.issuer.now - old).next_update(
            self.issuer.now - old + timedelta(hours=12)
        )
        for serial in self.known if self.answer == "revoked" else ():
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(serial)
                .revocation_date(self.issuer.now)
                .build()
            )
            builder = builder.add_revoked_certificate(entry)
        crl = builder.sign(self.issuer.key, hashes.SHA256())
        return crl.public_bytes(PEM if self.answer == "unknown" else serialization.Encoding.DER)

    def _der(self, body: bytes) -> bytes:
        if self.answer == "busy":
            made = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
            return made.public_bytes(serialization.Encoding.DER)
        serial = ocsp.load_der_ocsp_request(body).serial_number
        about = self.known[serial] if self.answer != "other" else self.certificate("other")
        words = {"revoked": ocsp.OCSPCertStatus.REVOKED, "unknown": ocsp.OCSPCertStatus.UNKNOWN}
        word, now = words.get(self.answer, ocsp.OCSPCertStatus.GOOD), self.issuer.now
        old = timedelta(days=30 if self.answer == "stale" else 0)
        builder = ocsp.OCSPResponseBuilder().add_response(
            about, self.issuer.certificate, hashes.SHA256(), word, now - old, now - old + timedelta(hours=12),
            now if word is ocsp.OCSPCertStatus.REVOKED else None, None,
        )  # fmt: skip
        certificate, key = self.delegate or (self.issuer.certificate, self.issuer.key)
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, certificate)
        if self.delegate is not None:
            builder = builder.certificates([certificate])
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@asynccontextmanager
async def responding(
    now: float, key: Key | None = None, *, delegated: bool = False
) -> AsyncIterator[Responder]:
    """A responder that listens; ``delegated``: it signs with a certificate of its own."""
    responder = Responder(Issuer(now, key))
    if delegated:
        responder.delegate = responder.issuer.issue("OCSP", usage=ExtendedKeyUsageOID.OCSP_SIGNING)
    server = await asyncio.start_server(responder.serve, "localhost", 0)
    responder.port = server.sockets[0].getsockname()[1]
    try:
        yield responder
    finally:
        await close_door(server)
        await asyncio.gather(*responder.serving)
        await server.wait_closed()
