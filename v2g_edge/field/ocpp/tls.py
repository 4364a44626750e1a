"""TLS of a listener (security profiles 2 and 3)."""

import ssl
from pathlib import Path
from typing import Final

from v2g_edge.model.settings import Listener

ECDSA_SUITES: Final = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
ECDHE_RSA_SUITES: Final = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"
RSA_SUITES: Final = "AES128-GCM-SHA256:AES256-GCM-SHA384"
"""The four suites that a server shall support (OCPP 2.x part 2 A00.FR.317), beside forward-secret RSA ones; the plain RSA ones
only where a listener asks for them (``tls_rsa_suites``): they have no forward secrecy, and Python's defaults leave them out."""


def server_context(listener: Listener) -> ssl.SSLContext | None:
    """The context of a listener, None for plain ones. OSError or ssl.SSLError when a file is missing or does not fit."""
    if listener.security_profile < 2:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    suites = [ECDSA_SUITES, ECDHE_RSA_SUITES, *([RSA_SUITES] if listener.tls_rsa_suites else [])]
    context.set_ciphers(":".join(suites))
    for certificate, key in zip(listener.certificate_files, listener.key_files, strict=True):
        context.load_cert_chain(certificate, key)
    if listener.security_profile == 3:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(listener.client_ca_file)
        if "BEGIN X509 CRL" in Path(listener.client_ca_file).read_text(encoding="ascii"):
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context
