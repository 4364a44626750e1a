"""A simulated station's certificate: its key never leaves it, it asks to have a new one signed, and dials in with that."""

import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PUBLIC = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


class Keyring:
    """``authority`` is the file that it trusts; ``chain`` and ``key`` are PEM texts of what it shows."""

    def __init__(self, authority: Path, chain: str, key: str) -> None:
        self._authority = authority
        self.chain = chain
        self._key = key
        self._next: ec.EllipticCurvePrivateKey | None = None

    def context(self) -> ssl.SSLContext:
        """For the next time it dials."""
        context = ssl.create_default_context(cafile=str(self._authority))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "own.pem"
            file.write_text(self._key + self.chain, encoding="ascii")
            context.load_cert_chain(file)
        return context

    def request(self, identity: str) -> str:
        """A request for a new certificate, with a new key."""
        self._next = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, identity)])
        signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(self._next, hashes.SHA256())
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
