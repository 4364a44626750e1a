"""TLS of a listener (security profiles 2 and 3): what its files say, and a context that takes new ones
while it is in use.
"""

import ssl
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from v2g_edge.model.settings import Listener

ECDSA_SUITES: Final = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
ECDHE_RSA_SUITES: Final = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"
RSA_SUITES: Final = "AES128-GCM-SHA256:AES256-GCM-SHA384"
"""The four suites that a server shall support (OCPP 2.x part 2 A00.FR.317), beside forward-secret RSA
ones; the plain RSA ones only where a listener asks for them (``tls_rsa_suites``): they have no forward
secrecy, and Python's defaults leave them out.
"""

_CRL: Final = b"-----BEGIN X509 CRL-----"
_SIGNS: Final = (
    rsa.RSAPublicKey,
    ec.EllipticCurvePublicKey,
    ed25519.Ed25519PublicKey,
    ed448.Ed448PublicKey,
    dsa.DSAPublicKey,
)


class Loaded(NamedTuple):
    """What a listener's files say. ``revoked``: serial numbers; ``expires``: file and UTC epoch seconds of
    what ends.
    """

    context: ssl.SSLContext
    revoked: frozenset[int]
    expires: tuple[tuple[str, float], ...]


class LiveContext(ssl.SSLContext):
    """Every new handshake is made with ``fresh``; links that stand are left alone.

    Changing one context in place would not do: a certificate authority or a revocation list cannot be taken
    out of it again.
    """

    fresh: ssl.SSLContext

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """See ``ssl.SSLContext``; the event loops make their handshakes by this."""
        return self.fresh.wrap_bio(*args, **options)


def files_of(listener: Listener) -> tuple[str, ...]:
    """Every file that the TLS of a listener is made of; none for a plain one."""
    if listener.security_profile < 2:
        return ()
    authorities = (listener.client_ca_file,) if listener.security_profile == 3 else ()
    return (*listener.certificate_files, *listener.key_files, *authorities)


def load(listener: Listener) -> Loaded:
    """A context of the files as they are now. OSError names the file that is missing, unreadable or does
    not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    suites = [ECDSA_SUITES, ECDHE_RSA_SUITES, *([RSA_SUITES] if listener.tls_rsa_suites else [])]
    context.set_ciphers(":".join(suites))
    expires = []
    for certificate, key in zip(listener.certificate_files, listener.key_files, strict=True):
        try:
            context.load_cert_chain(
                certificate, key, password=""
            )  # a key with a password is refused, not asked for
            leaf = x509.load_pem_x509_certificates(Path(certificate).read_bytes())[0]
        except (OSError, ValueError) as fault:
            raise OSError(f"certificate {certificate} with key {key}: {fault}") from fault
        expires.append((certificate, leaf.not_valid_after_utc.timestamp()))
    revoked: frozenset[int] = frozenset()
    if listener.security_profile == 3:
        try:
            revoked, ends = _trust(context, listener.client_ca_file)
        except (OSError, ValueError) as fault:
            raise OSError(f"client_ca_file {listener.client_ca_file}: {fault}") from fault
        expires += ends
    return Loaded(context, revoked, tuple(expires))


def _trust(context: ssl.SSLContext, file: str) -> tuple[frozenset[int], list[tuple[str, float]]]:
    """Let in peers that the authorities in ``file`` have signed and their lists do not revoke."""
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0
    context.options |= (
        ssl.OP_NO_TICKET
    )  # no peer comes back on an old session: a certificate may have run out since
    context.load_verify_locations(file)
    text = Path(file).read_bytes()
    authorities = x509.load_pem_x509_certificates(text)
    lists = [x509.load_pem_x509_crl(_CRL + part) for part in text.split(_CRL)[1:]]
    for each in lists:
        if not any(_signed(each, authority) for authority in authorities):
            raise ValueError(
                f"the revocation list of {each.issuer.rfc4514_string()} is signed by none of its authorities"
            )
    if lists:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    ends = [(file, each.next_update_utc.timestamp()) for each in lists if each.next_update_utc is not None]
    ends += [(file, each.not_valid_after_utc.timestamp()) for each in authorities]
    return frozenset(entry.serial_number for each in lists for entry in each), ends


def _signed(each: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    key = authority.public_key()
    return authority.subject == each.issuer and isinstance(key, _SIGNS) and each.is_signature_valid(key)
