"""``python .ci/lock.py [KIND...]``: makes ``.ci/requirements/*.txt``, every package with its wheels' hashes.

Pip resolves once for each platform and Python, against ``constraints.txt``, and tells what it would install;
nothing is installed. Names, versions and hashes are kept, addresses are not: a lock holds wherever the
packages come from.
"""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Final

PLATFORMS: Final = {
    "amd64": ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_26_x86_64",
        "manylinux_2_27_x86_64",
              "manylinux_2_28_x86_64", "manylinux_2_34_x86_64", "manylinux_2_36_x86_64"),
    "arm64": ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_26_aarch64",
        "manylinux_2_27_aarch64",
              "manylinux_2_28_aarch64", "manylinux_2_34_aarch64", "manylinux_2_36_aarch64"),
}  # fmt: skip
"""Debian 12 has glibc 2.36."""

LOCKS: Final = Path(".ci/requirements")
EXTRAS: Final = {
    "run": ("fast", "report"),
    "build": ("package",),
    "dev": ("fast", "dev", "package", "studies", "docs", "supply"),
}
"""What runs, what a package is built with, what is developed with."""

PYTHONS: Final = {"run": ("3.11", "3.12", "3.13"), "build": ("3.11", "3.12", "3.13"), "dev": ("3.11",)}
"""Those of Debian 12, Ubuntu 24.04 and Debian 13: a Debian package holds the wheels of its own series."""

SOURCES: Final = ("argparse-manpage",)
"""Tools without any wheel: ``source.txt`` locks their source archives."""
ELSEWHERE: Final = frozenset({*SOURCES, "atheris"})
"""Tools of development that have no wheel for one of the platforms; ``dev.txt`` does not name them."""


def wanted(kind: str) -> list[str]:
    """What ``pyproject.toml`` asks for."""
    document = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    project = document["project"]
    asked = [each for extra in EXTRAS[kind] for each in project["optional-dependencies"][extra]]
    asked += document["build-system"]["requires"] if kind == "build" else project["dependencies"]
    return [each for each in asked if each.split(">")[0].split(";")[0].strip() not in ELSEWHERE]


def resolved(requirements: list[str], tags: tuple[str, ...], python: str) -> dict[tuple[str, str], str]:
    """(name, version) → hash of the wheel for one platform and one Python."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--only-binary", ":all:", "--python-version", python, "--implementation", "cp"]
        command += [word for tag in tags for word in ("--platform", tag)]
        command += ["--target", folder, "--constraint", "constraints.txt", "--report", str(report)]
        subprocess.run([*command, *requirements], check=True)  # noqa: S603 - pip itself
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    rows = {}
    for each in found["install"]:
        name = each["metadata"]["name"].lower().replace("_", "-").replace(".", "-")
        digest = each["download_info"]["archive_info"]["hash"].replace("=", ":", 1)
        rows[name, each["metadata"]["version"]] = digest
    return rows


def text_of(kind: str) -> str:
    """One lock file."""
    hashes: dict[tuple[str, str], set[str]] = {}
    for python in PYTHONS[kind]:
        for tags in PLATFORMS.values():
            for row, digest in resolved(wanted(kind), tags, python).items():
                hashes.setdefault(row, set()).add(digest)
    what = {"run": "runs", "build": "a package is built with", "dev": "is developed with"}[kind]
    pythons = ", ".join(PYTHONS[kind])
    return _file(f"# Made by make lock: what {what}, for Python {pythons} on amd64 and arm64.", hashes)


def source_text() -> str:
    """The lock of the tools without a wheel."""
    hashes = {}
    pins = dict(
        re.findall(r"^([\w-]+)==(\S+)", Path("constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for name in SOURCES:
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--no-binary",
                ":all:",
            ]
            subprocess.run([*command, "--dest", folder, f"{name}=={pins[name]}"], check=True)  # noqa: S603 - pip itself
            (archive,) = Path(folder).iterdir()
            hashes[name, pins[name]] = {f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"}
    return _file("# Made by make lock: what a package is built with and has no wheel.", hashes)


def _file(head: str, hashes: dict[tuple[str, str], set[str]]) -> str:
    rows = [
        " \\\n    ".join([f"{name}=={version}", *(f"--hash={digest}" for digest in sorted(digests))])
        for (name, version), digests in sorted(hashes.items())
    ]
    return "\n".join([head, *rows, ""])


def main() -> None:
    """Write all of them, or those that are named."""
    for kind in sys.argv[1:] or [*EXTRAS, "source"]:
        text = source_text() if kind == "source" else text_of(kind)
        (LOCKS / f"{kind}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
