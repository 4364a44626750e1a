"""Certificates made by the ``openssl`` command, not by the product: an authority, servers, stations, a
revocation list.
"""

import subprocess
from pathlib import Path
from typing import Literal

CONFIG = """
[ca]
default_ca = here
[here]
database = {folder}/index.txt
serial = {folder}/serial
crlnumber = {folder}/crlnumber
new_certs_dir = {folder}
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
default_crl_days = 30
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
"""
KEYS = {"ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-newkey", "rsa:2048"]}


class Authority:
    """Everything lies in ``folder``; ``clients`` is the authority with its present revocation list."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        folder.mkdir()
        self.folder, self.root, self.clients = folder, folder / "ca.pem", folder / "clients.pem"
        (folder / "index.txt").touch()
        (folder / "serial").write_text("1000\n", encoding="ascii")
        (folder / "crlnumber").write_text("01\n", encoding="ascii")
        (folder / "ca.cnf").write_text(CONFIG.format(folder=folder), encoding="ascii")
        openssl(
            "req", "-x509", *KEYS["ecdsa"], "-nodes", "-keyout", f"{folder}/ca.key", "-out",
            f"{folder}/ca.pem", "-days", "30",
            "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip
        self.publish()

    def issue(
        self, name: str, stem: Path, kind: Literal["ecdsa", "rsa"] = "ecdsa", end: str = "20991231235959Z"
    ) -> Path:
        """``<stem>.pem`` and ``<stem>.key``; for servers and stations alike."""
        openssl(
            "req", "-new", *KEYS[kind], "-nodes", "-keyout", f"{stem}.key", "-out", f"{stem}.csr", "-subj",
            f"/CN={name}",
            "-addext", f"subjectAltName=DNS:{name}",
        )  # fmt: skip
        self._ca(
            "-batch",
            "-notext",
            "-startdate",
            "20200101000000Z",
            "-enddate",
            end,
            "-in",
            f"{stem}.csr",
            "-out",
            f"{stem}.pem",
        )
        return Path(f"{stem}.pem")

    def revoke(self, certificate: Path) -> None:
        """And publish it."""
        self._ca("-revoke", str(certificate))
        self.publish()

    def publish(self) -> None:
        """Write ``clients``, in one step."""
        self._ca("-gencrl", "-out", f"{self.folder}/crl.pem")
        fresh = self.folder / "clients.new"
        fresh.write_bytes(self.root.read_bytes() + (self.folder / "crl.pem").read_bytes())
        fresh.replace(self.clients)

    def _ca(self, *words: str) -> None:
        openssl("ca", "-config", f"{self.folder}/ca.cnf", *words)


def openssl(*words: str) -> str:
    """Run it; what it says where it fails."""
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
