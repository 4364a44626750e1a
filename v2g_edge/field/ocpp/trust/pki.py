"""The site's own certificate authority: server certificates for the listeners, client certificates for
stations, revocation.

One folder holds it: ``ca.pem``, ``ca.key`` (0600), ``clients.pem`` (the CA and its list of revoked
certificates: ``client_ca_file`` of a profile 3 listener), ``issued/<serial>.pem``. Station certificates are
ECDSA P-256; servers get an ECDSA and an RSA 2048 one, because a server shall offer both (OCPP 2.x part 2
A00.FR.317). The common name of a station's certificate is its identity.
"""

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS: Final = 7_300
LEAF_DAYS: Final = 730
"""Two years for servers and stations, twenty for the authority: the life of a depot, without a hurried
exchange of every root.
"""

RENEW_DAYS: Final = 60
"""A certificate with less than this left is due: two months of nights to retry in."""

CRL_DAYS: Final = 3_650
"""The list is not refreshed by a clock: it changes when a certificate is revoked."""

BACKDATE: Final = timedelta(days=1)
"""Stations that have just started may be a day behind."""

RSA_BITS: Final = 2_048
RSA_BITS_MAX: Final = 4_096
RSA_EXPONENT_MAX: Final = 1 << 32
"""What a signature costs to check grows with the cube of the key's length, and with the exponent's: 0.1 ms
up to here, seconds at 16,384 bits.
"""

REQUEST_MAX: Final = 10_000
"""Characters of a certificate request (2.1; 5,500 before)."""

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Issued(NamedTuple):
    """One certificate as it stands in the folder. ``expires_wall_s`` is UTC epoch seconds."""

    serial: str
    name: str
    expires_wall_s: float
    revoked: bool


class SiteCa:
    """See the module. Wall time is an argument of everything that signs. FileNotFoundError where there is
    no authority yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{folder / 'ca.key'} is no ECDSA key; make a new authority in another folder")
        self._key = key
        self._certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())

    @classmethod
    def create(cls, folder: Path, name: str, wall_s: float) -> "SiteCa":
        """Make the authority of a site. FileExistsError where there is one: its certificates would all
        become worthless.
        """
        if (folder / "ca.key").exists():
            raise FileExistsError(f"{folder} holds an authority already")
        (folder / "issued").mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        certificate = (
            _builder(subject, subject, key.public_key(), wall_s, CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write_private(folder / "ca.key", key)
        (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        authority = cls(folder)
        authority._write_list([], wall_s)
        return authority

    def issue_server(self, hosts: Sequence[str], stem: Path, wall_s: float) -> list[Path]:
        """``<stem>-ecdsa.pem/.key`` and ``<stem>-rsa.pem/.key`` for a listener; returns the certificate
        files.
        """
        made = []
        kinds: tuple[tuple[str, Key], ...] = (
            ("ecdsa", ec.generate_private_key(ec.SECP256R1())),
            ("rsa", rsa.generate_private_key(65_537, RSA_BITS)),
        )
        for kind, key in kinds:
            certificate = self._sign(
                hosts[0], hosts, key.public_key(), ExtendedKeyUsageOID.SERVER_AUTH, wall_s
            )
            path = stem.parent / f"{stem.name}-{kind}.pem"
            _write_private(path.with_suffix(".key"), key)
            _write(path, self._chain(certificate).encode(), 0o644)
            made.append(path)
        return made

    def issue_station(self, identity: str, stem: Path, wall_s: float) -> Path:
        """A client certificate with its key, for stations that cannot make their own request."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(
            identity, [identity], key.public_key(), ExtendedKeyUsageOID.CLIENT_AUTH, wall_s
        )
        path = stem.parent / f"{stem.name}.pem"
        path.write_text(self._chain(certificate), encoding="ascii")
        _write_private(path.with_suffix(".key"), key)
        return path

    def sign_request(self, csr_pem: str, identity: str, wall_s: float) -> str:
        """The chain for a station's request (SignCertificate). ValueError when it is not its own or its
        key does not fit.
        """
        if len(csr_pem) > REQUEST_MAX:
            raise ValueError(f"a request of {len(csr_pem)} characters; allowed are {REQUEST_MAX}")
        try:
            request = x509.load_pem_x509_csr(csr_pem.encode())
        except ValueError as fault:
            raise ValueError(f"not a certificate request: {fault}") from fault
        key = request.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey) or not may_verify(key):
            raise ValueError(f"keys are ECDSA, or RSA of {RSA_BITS} to {RSA_BITS_MAX} bits")
        try:
            signed = request.is_signature_valid
        except InvalidSignature:
            signed = False
        names = [str(part.value) for part in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if not signed or names != [identity]:
            raise ValueError(
                f"the request is for {names}, or not signed by its own key; the station is {identity}"
            )
        certificate = self._sign(identity, [identity], key, ExtendedKeyUsageOID.CLIENT_AUTH, wall_s)
        return self._chain(certificate)

    def revoke(self, name: str, wall_s: float) -> list[str]:
        """Put a certificate (by its serial number), or all that a station has (by its identity), on the list;
        what was put there.

        A running daemon sees it in seconds. ValueError for one that was never issued.
        """
        one = (self.folder / "issued" / f"{name}.pem").exists()
        serials = [name] if one else [each.serial for each in self.issued() if each.name == name]
        if not serials:
            raise ValueError(
                f"no certificate {name} and none for a station {name} was issued here; see `v2g-edge pki"
                " list`"
            )
        self._write_list(sorted({*self._revoked(), *serials}), wall_s)
        return serials

    def standing(self, name: str, wall_s: float) -> list[str]:
        """Serial numbers by which a station of this name comes in."""
        return [
            each.serial
            for each in self.issued()
            if each.name == name and not each.revoked and each.expires_wall_s > wall_s
        ]

    def name_of(self, serial: str) -> str:
        """The station that a certificate was issued to, "" for none."""
        return next((each.name for each in self.issued() if each.serial == serial), "")

    def issued(self) -> list[Issued]:
        """Every certificate ever issued, soonest expiry first."""
        revoked = self._revoked()
        found = []
        for path in (self.folder / "issued").glob("*.pem"):
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
            name = str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
            found.append(
                Issued(path.stem, name, certificate.not_valid_after_utc.timestamp(), path.stem in revoked)
            )
        return sorted(found, key=lambda each: (each.expires_wall_s, each.serial))

    def due(self, wall_s: float) -> list[Issued]:
        """What runs out within ``RENEW_DAYS``, unless a younger one of the same name stands beside it."""
        soon_s = wall_s + RENEW_DAYS * 86_400.0
        fresh = {each.name for each in self.issued() if each.expires_wall_s > soon_s and not each.revoked}
        return [
            each
            for each in self.issued()
            if each.expires_wall_s <= soon_s and not each.revoked and each.name not in fresh
        ]

    def _sign(
        self,
        name: str,
        hosts: Sequence[str],
        key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        usage: x509.ObjectIdentifier,
        wall_s: float,
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, self._certificate.subject, key, wall_s, LEAF_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        path = self.folder / "issued" / f"{certificate.serial_number:x}.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return certificate

    def _chain(self, certificate: x509.Certificate) -> str:
        parts = (certificate, self._certificate)
        return "".join(part.public_bytes(serialization.Encoding.PEM).decode() for part in parts)

    def _revoked(self) -> set[str]:
        text = (self.folder / "clients.pem").read_bytes()
        revoked = x509.load_pem_x509_crl(text[text.index(b"-----BEGIN X509 CRL") :])
        return {f"{entry.serial_number:x}" for entry in revoked}

    def _write_list(self, serials: list[str], wall_s: float) -> None:
        now = datetime.fromtimestamp(wall_s, UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._certificate.subject)
        builder = builder.last_update(now - BACKDATE).next_update(now + timedelta(days=CRL_DAYS))
        for serial in serials:
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(int(serial, 16))
                .revocation_date(now - BACKDATE)
                .build()
            )
            builder = builder.add_revoked_certificate(entry)
        crl = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        _write(
            self.folder / "clients.pem",
            self._certificate.public_bytes(serialization.Encoding.PEM) + crl,
            0o644,
        )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    wall_s: float,
    days: int,
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(wall_s, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + timedelta(days=days))
    )


def may_verify(key: object) -> bool:
    """Whether a signature by this key is worth checking: of a kind and size that costs little."""
    if isinstance(key, rsa.RSAPublicKey):
        return RSA_BITS <= key.key_size <= RSA_BITS_MAX and key.public_numbers().e <= RSA_EXPONENT_MAX
    return isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_private(path: Path, key: Key) -> None:
    """Readable by its owner from the first byte on."""
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, text, 0o600)


def _write(path: Path, text: bytes, mode: int) -> None:
    """In one step: a daemon that reads the file meanwhile sees the old one or the new one, never half of
    it.
    """
    fresh = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(text)
    fresh.replace(path)
