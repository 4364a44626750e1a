"""Files that a site file names: there, readable, and what they should be; certificates with their keys and
their last day.
"""

import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from v2g_edge.cli.checking.raw import Table, host_table, number, tables, text, texts
from v2g_edge.config import Problem

SECRETS: Final = Path("/etc/v2g-edge/secrets")
"""Root's alone; systemd hands its files to the daemon as credentials (systemd/v2g-edge.service)."""
CREDENTIALS: Final = Path("/run/credentials")
SECRET_LEAST: Final = 16
"""Characters of a station's password (OCPP 2.x A00.FR.205, whitepaper for 1.6 section 4.2)."""
SOON_DAYS: Final = 30.0
DAY_S: Final = 86_400.0


def file_problems(document: Table, file: str, wall_s: float) -> Iterator[Problem]:
    """Every secret, certificate, key and serial port that is not what the site file says."""
    for path, station in tables(document, "stations"):
        yield from _secret(f"{path}.password_file", text(station, "password_file"), file, least=SECRET_LEAST)
    for path, cloud in tables(document, "cloud"):
        yield from _secret(f"{path}.password_file", text(cloud, "password_file"), file)
        yield from _chain(f"{path}.ca_file", text(cloud, "ca_file"), file, wall_s)
        yield from _pair(path, text(cloud, "certificate_file"), text(cloud, "key_file"), file, wall_s)
    for path, listener in tables(document, "listeners"):
        names, keys = texts(listener, "certificate_files"), texts(listener, "key_files")
        if number(listener, "security_profile", 1) < 2:
            continue
        for certificate, key in zip(names, keys, strict=False):
            yield from _pair(path, certificate, key, file, wall_s, many="s")
        yield from _chain(f"{path}.client_ca_file", text(listener, "client_ca_file"), file, wall_s)
    for path, line in tables(document, "lines"):
        yield from _chain(f"{path}.ca_file", text(line, "ca_file"), file, wall_s)
        port = text(line, "serial_port")
        if port.startswith("/") and text(line, "transport") == "rtu":
            yield from _serial(f"{path}.serial_port", Path(port), file)


def _secret(key: str, name: str, file: str, least: int = 1) -> Iterator[Problem]:
    if not name:
        return
    path = Path(name)
    if path.is_relative_to(SECRETS):
        mend = f"The service cannot read that folder. Write {CREDENTIALS}/v2g-edge.service/secrets_NAME."
        yield Problem(file, key, f'"{name}"', "the path at which systemd hands the secret over", mend)
    elif path.is_relative_to(CREDENTIALS) and not path.exists():
        path = SECRETS / path.name.removeprefix("secrets_")
    fault, data = _read(path)
    if fault:
        level = "warning" if fault == "not yours to read" else "error"
        mend = (
            "Ask again as root." if level == "warning" else "Write the secret into it, or correct the path."
        )
        yield Problem(file, key, f"{path}: {fault}", "a file with one secret", mend, level=level)  # type: ignore[arg-type]
        return
    if len(data.strip()) < least:
        found = f"{path}: {len(data.strip())} characters"
        yield Problem(
            file,
            key,
            found,
            f"{least} characters or more",
            "OCPP asks for 16 to 40." if least > 1 else "It is empty.",
        )
    elif path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        mend = f"chmod o-rwx {path}"
        yield Problem(file, key, f"{path}: everybody may read it", "mode 0640 or 0600", mend, level="warning")


def _read(path: Path) -> tuple[str, bytes]:
    """What is wrong with a file, "" when nothing is; and what stands in it."""
    try:
        return "", path.read_bytes()
    except FileNotFoundError:
        return "there is no such file", b""
    except PermissionError:
        return "not yours to read", b""
    except OSError as error:
        return (error.strerror or str(error)).lower(), b""


def _certificates(key: str, name: str, file: str) -> tuple[list[Problem], list[x509.Certificate]]:
    fault, data = _read(Path(name))
    if fault == "not yours to read":
        return [
            Problem(file, key, f"{name}: {fault}", "a readable file", "Ask again as root.", level="warning")
        ], []
    if fault:
        return [
            Problem(file, key, f"{name}: {fault}", "a certificate in PEM", "Correct the path, or issue it.")
        ], []
    try:
        return [], x509.load_pem_x509_certificates(data)
    except ValueError:
        mend = "A certificate begins with -----BEGIN CERTIFICATE-----."
        return [Problem(file, key, f"{name}: no certificate", "a certificate in PEM", mend)], []


def _chain(key: str, name: str, file: str, wall_s: float) -> Iterator[Problem]:
    if not name:
        return
    problems, found = _certificates(key, name, file)
    yield from problems
    for certificate in found:
        yield from _dates(key, name, certificate, file, wall_s)


def _dates(key: str, name: str, certificate: x509.Certificate, file: str, wall_s: float) -> Iterator[Problem]:
    begins_s = certificate.not_valid_before_utc.timestamp()
    ends_s = certificate.not_valid_after_utc.timestamp()
    day = datetime.fromtimestamp(ends_s, tz=UTC).date()
    if begins_s > wall_s:
        mend = "Is the clock of this machine right?"
        begin = datetime.fromtimestamp(begins_s, tz=UTC).date()
        yield Problem(file, key, f"{name}: valid from {begin} only", "a certificate that is valid now", mend)
    elif ends_s < wall_s:
        yield Problem(
            file, key, f"{name}: ended on {day}", "a certificate that is valid now", "Renew it: v2g-edge pki."
        )
    elif ends_s < wall_s + SOON_DAYS * DAY_S:
        mend = "Renew it in time: v2g-edge pki."
        yield Problem(file, key, f"{name}: ends on {day}", "30 days or more left", mend, level="warning")


def _pair(path: str, name: str, key_name: str, file: str, wall_s: float, many: str = "") -> Iterator[Problem]:
    """A certificate and its key."""
    if not name or not key_name:
        return
    key = f"{path}.certificate_file{many}"
    problems, found = _certificates(key, name, file)
    yield from problems
    for certificate in found[:1]:
        yield from _dates(key, name, certificate, file, wall_s)
    fault, data = _read(Path(key_name))
    key = f"{path}.key_file{many}"
    if fault:
        level = "warning" if fault == "not yours to read" else "error"
        mend = "Ask again as root." if level == "warning" else "Correct the path."
        yield Problem(file, key, f"{key_name}: {fault}", "a private key in PEM", mend, level=level)  # type: ignore[arg-type]
        return
    try:
        public = load_pem_private_key(data, None).public_key()
    except (ValueError, TypeError):
        mend = "It begins with -----BEGIN PRIVATE KEY----- and has no password."
        yield Problem(
            file, key, f"{key_name}: no private key", "a private key in PEM, without a password", mend
        )
        return
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if found and public.public_bytes(*form) != found[0].public_key().public_bytes(*form):
        yield Problem(
            file, key, f"{key_name}: not the key of {name}", "its own key", "Swapped with another one?"
        )


def _serial(key: str, path: Path, file: str) -> Iterator[Problem]:
    if not path.exists():
        there = sorted(
            str(each) for pattern in ("ttyUSB*", "ttyACM*", "ttyAMA*") for each in Path("/dev").glob(pattern)
        )
        mend = f"There are {', '.join(there)}." if there else "Is the adapter plugged in?"
        yield Problem(file, key, f"{path}: there is no such device", "a serial port of this machine", mend)
    elif not path.is_char_device():
        yield Problem(
            file, key, f"{path}: no serial port", "a character device", "Name a file like /dev/ttyUSB0."
        )


def state_problems(document: Table, file: str) -> Iterator[Problem]:
    """Whether the state folder can hold what must survive a restart."""
    host = host_table(document)
    name = text(host, "state_dir", "/var/lib/v2g-edge")
    folder = Path(name)
    key = "host.state_dir"
    if folder.exists() and not folder.is_dir():
        yield Problem(
            file, key, f"{folder}: a file", "a folder", "Move the file away, or name another folder."
        )
        return
    if not folder.exists():
        above = next((each for each in folder.parents if each.exists()), Path("/"))
        if not above.is_dir():
            yield Problem(file, key, f"{above}: a file", "a folder", "Name another folder.")
        return
    fault, _ = _write(folder)
    if fault and fault != "not yours to write":
        yield Problem(
            file, key, f"{folder}: {fault}", "a folder on a disk that can be written", "Mend the disk."
        )


def _write(folder: Path) -> tuple[str, bytes]:
    try:
        probe = folder / ".check"
        probe.write_bytes(b"x")
        probe.unlink()
    except PermissionError:  # the daemon has a user of its own, whose folder is not everybody's
        return "not yours to write", b""
    except OSError as error:
        return (error.strerror or str(error)).lower(), b""
    return "", b""
