"""Asks apt for what one signed repository has, in lists of our own: the system's stay as they are.

apt checks the signature of the repository and the sum of each package; what fails its check is not taken.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PACKAGE: Final = "v2g-edge"
KEYRING: Final = "/usr/share/keyrings/v2g-edge-archive-keyring.gpg"
LIMIT_S: Final = 1_800.0
"""For a slow mobile link and a slow card."""
SHOWN: Final = 2_000


class AptError(Exception):
    """apt or dpkg did not do it; the message has its words."""


class Repository:
    """One repository, by apt's description of it (``source``). ``lists``: the folder for its index."""

    def __init__(self, source: Path, lists: Path) -> None:
        self._source = source
        self._lists = lists

    def refresh(self) -> None:
        """Read its signed index. AptError where it cannot be had or is not signed by our key."""
        if not self._source.exists():
            raise AptError(f"{self._source}: missing; it describes the signed repository (see v2g-edge(1))")
        (self._lists / "partial").mkdir(parents=True, exist_ok=True)
        said("apt-get", *self._options(), "-o", "APT::Update::Error-Mode=any", "-q", "update")

    def offered(self) -> tuple[str, ...]:
        """Every version of ours in the index."""
        rows = said("apt-cache", *self._options(), "madison", PACKAGE).splitlines()
        return tuple(dict.fromkeys(row.split("|")[1].strip() for row in rows if row.count("|") >= 2))

    def download(self, version: str, folder: Path) -> Path:
        """Its package in ``folder``, checked by apt."""
        before = set(folder.glob("*.deb"))
        said("apt-get", *self._options(), "-q", "download", f"{PACKAGE}={version}", cwd=folder)
        wanted = [path for path in folder.glob("*.deb") if version_of(path) == version]
        if not wanted:
            raise AptError(f"{PACKAGE} {version} was not downloaded; found {sorted(before)}")
        return wanted[0]

    def _options(self) -> tuple[str, ...]:
        settings = {
            "Dir::Etc::SourceList": self._source,
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": self._lists,
            "Dir::Cache::PkgCache": "",
            "Dir::Cache::SrcPkgCache": "",
        }
        return tuple(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))


def source_of_bundle(bundle: Path, folder: Path) -> Path:
    """apt's description of a bundle: the folder of a signed repository, or a tar archive of one."""
    place = bundle.resolve()
    if bundle.is_file():
        place = folder / "bundle"
        place.mkdir(parents=True, exist_ok=True)
        said("tar", "--extract", "--no-same-owner", "--no-same-permissions", "--file", str(bundle), cwd=place)
    found = sorted(place.glob("**/InRelease"))
    if not found:
        raise AptError(f"{bundle}: no InRelease in it, so it is no signed repository")
    source = folder / "bundle.sources"
    text = f"Types: deb\nURIs: file:{found[0].parent}\nSuites: ./\nSigned-By: {KEYRING}\n"
    source.write_text(text, encoding="utf-8")
    return source


def installed() -> str:
    """The version of the installed package; "" where v2g-edge was not installed by apt."""
    try:
        found = said("dpkg-query", "--show", "--showformat=${db:Status-Abbrev}|${Version}", PACKAGE)
    except AptError:
        return ""
    status, _, version = found.partition("|")
    return version.strip() if status.startswith("ii") else ""


def install(package: Path) -> None:
    """Install one package file, newer or older. Configuration files stay as they are."""
    kept = ("-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=120")
    said("apt-get", "install", "-q", "-y", "--allow-downgrades", *kept, str(package))


def version_of(package: Path) -> str:
    """What the package file says; "" where it is none."""
    try:
        return said("dpkg-deb", "--field", str(package), "Version").strip()
    except AptError:
        return ""


def is_newer(version: str, other: str) -> bool:
    """By Debian's order of versions."""
    command = ("dpkg", "--compare-versions", version, "gt", other)
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 - dpkg


def said(*command: str, cwd: Path | None = None) -> str:
    """What the command wrote to standard output. AptError with its last words where it failed."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(  # noqa: S603 - Debian's own programs
            command, capture_output=True, text=True, env=environment, cwd=cwd, timeout=LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AptError(f"{command[0]}: {error}") from error
    if done.returncode:
        raise AptError(f"{command[0]}: {_words(done.stderr.splitlines() or done.stdout.splitlines())}")
    return done.stdout


def _words(lines: Sequence[str]) -> str:
    return " ".join(line.strip() for line in lines)[-SHOWN:] or "failed without a word"
