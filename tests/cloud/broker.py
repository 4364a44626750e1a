"""A real mosquitto with TLS and an access list, on a free port, with certificates made for the occasion."""

import asyncio
import contextlib
import datetime
import ipaddress
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.processes import start

MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
SITE = "v2g-edge/depot-1"

ACL = f"""
user depot
topic read {SITE}/plan
topic read {SITE}/signal
topic read {SITE}/events/ack
topic write {SITE}/#
user mute
topic read {SITE}/plan
topic write {SITE}/plan/#
topic write {SITE}/status
user cloud
topic readwrite #
"""


class Broker:
    """One mosquitto. ``start`` and ``kill`` (SIGKILL) as often as a test likes; the port stays."""

    def __init__(
        self,
        folder: Path,
        *,
        tls: str = "tlsv1.3",
        client_certificates: bool = False,
        persistence: bool = False,
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.ca = make_certificates(folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.process: subprocess.Popen[bytes] | None = None
        passwords = folder / "passwords"
        passwords.touch(mode=0o600)
        for user in ("depot", "mute", "cloud"):
            subprocess.run(
                ["mosquitto_passwd", "-b", str(passwords), user, f"{user}-secret"],
                check=True,
                capture_output=True,
            )
            (folder / f"{user}.password").write_text(f"{user}-secret\n")
        (folder / "acl").write_text(ACL)
        (folder / "acl").chmod(0o600)
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nuser root\ncafile {folder}/ca.pem\ncertfile"
            f" {folder}/server.pem\nkeyfile {folder}/server.key\ntls_version {tls}\nallow_anonymous"
            f" false\npassword_file {passwords}\nacl_file {folder}/acl\nrequire_certificate"
            f" {'true' if client_certificates else 'false'}\n"
            + (
                f"persistence true\npersistence_location {self.data}/\nautosave_on_changes true\n"
                "autosave_interval 20\n"
                if persistence
                else ""
            )
        )
        self.data.mkdir()

    async def start(self) -> None:
        """Up, and answering on its port."""
        self.process = start(
            [MOSQUITTO, "-c", str(self.folder / "mosquitto.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        """Gone at once, as in a power cut."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def wipe(self) -> None:
        """Its database is gone, while it is not running."""
        shutil.rmtree(self.data)
        self.data.mkdir()

    @contextlib.asynccontextmanager
    async def client(self, user: str = "cloud", timeout_s: float = 10.0) -> AsyncIterator[aiomqtt.Client]:
        """A peer of ours at the broker, MQTT 5, with a certificate."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.folder / "client.pem", self.folder / "client.key")
        async with aiomqtt.Client(
            "127.0.0.1",
            self.port,
            username=user,
            password=f"{user}-secret",
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=context,
            timeout=timeout_s,
        ) as client:
            yield client


def make_certificates(folder: Path) -> Path:
    """ca.pem, server.pem/.key for 127.0.0.1 and localhost, client.pem/.key; the path of the first."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])

    def issue(name: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> x509.Certificate:
        usage = x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
        addresses: list[x509.GeneralName] = [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        ]
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(ca_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca, None), True)
            .add_extension(usage, True)
            .add_extension(x509.SubjectAlternativeName(addresses), False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)
            .sign(ca_key, hashes.SHA256())
        )

    folder.mkdir(parents=True, exist_ok=True)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(issue(ca_name, ca_key, ca=True).public_bytes(pem))
    for role in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, role)])
        (folder / f"{role}.pem").write_bytes(issue(name, key, ca=False).public_bytes(pem))
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / f"{role}.key").write_bytes(secret)
    return folder / "ca.pem"
