"""What a simulated station proves itself with, and what it trusts: its password, its certificate and key, its
root certificates.

Its key never leaves it: it asks to have a new one signed, and dials in with that.
"""

import base64
import ssl
import tempfile
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

_PUBLIC = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


class Keyring:
    """``authority`` is the file that it trusts, None: no TLS. ``chain`` and ``key`` are PEM texts of what
    it shows.
    """

    def __init__(
        self, authority: Path | None = None, chain: str = "", key: str = "", password: str = ""
    ) -> None:
        self._authority = authority
        self.chain = chain
        self.password = password
        self.roots: list[tuple[str, x509.Certificate]] = []
        self._key = key
        self._next: ec.EllipticCurvePrivateKey | None = None

    # For the next time it dials

    def options(self, identity: str) -> dict[str, Any]:
        """The arguments for the WebSocket library."""
        return {"ssl": self._context(), "additional_headers": self._headers(identity)}

    def _context(self) -> ssl.SSLContext | None:
        """TLS, where it has any."""
        if self._authority is None:
            return None
        context = ssl.create_default_context(cafile=str(self._authority))
        if self.chain:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "own.pem"
                file.write_text(self._key + self.chain, encoding="ascii")
                context.load_cert_chain(file)
        return context

    def _headers(self, identity: str) -> dict[str, str]:
        """Basic, where it has a password."""
        coded = base64.b64encode(f"{identity}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {coded}"} if self.password else {}

    # Its own certificate

    def request(self, identity: str) -> str:
        """A request for a new certificate, with a new key."""
        self._next = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, identity)])
        signed = (
            x509.CertificateSigningRequestBuilder().subject_name(subject).sign(self._next, hashes.SHA256())
        )
        return signed.public_bytes(serialization.Encoding.PEM).decode()

    def install(self, chain: str) -> bool:
        """Whether it is for the key of the last request; then it is shown from now on."""
        if self._next is None:
            return False
        leaf = x509.load_pem_x509_certificates(chain.encode())[0]
        if leaf.public_key().public_bytes(*_PUBLIC) != self._next.public_key().public_bytes(*_PUBLIC):
            return False
        self.chain = chain
        key = self._next.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._key, self._next = key.decode(), None
        return True

    # What it trusts

    def trust(self, kind: str, pem: str) -> str:
        """InstallCertificate: the status."""
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            return "Rejected"
        self.roots = [each for each in self.roots if each[1] != certificate] + [(kind, certificate)]
        return "Accepted"

    def trusted(self, kinds: list[str] | None) -> list[tuple[str, dict[str, Any]]]:
        """GetInstalledCertificateIds: kind and hashes of each."""
        return [(kind, hashed(each)) for kind, each in self.roots if kinds is None or kind in kinds]

    def distrust(self, wanted: dict[str, Any]) -> str:
        """DeleteCertificate: the status."""
        left = [each for each in self.roots if hashed(each[1]) != wanted]
        status = "NotFound" if len(left) == len(self.roots) else "Accepted"
        self.roots = left
        return status


def hashed(root: x509.Certificate) -> dict[str, Any]:
    """A self-signed certificate as CertificateHashDataType."""
    built = ocsp.OCSPRequestBuilder().add_certificate(root, root, hashes.SHA256()).build()
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": built.issuer_name_hash.hex(),
        "issuerKeyHash": built.issuer_key_hash.hex(),
        "serialNumber": f"{root.serial_number:x}",
    }
