"""``python .ci/lock.py``: makes ``.ci/requirements/run.txt`` and ``.ci/requirements/dev.txt``, every package
with its wheels' hashes.

Pip resolves once for each platform, against ``constraints.txt``, and tells what it would install; nothing is
installed. Names, versions and hashes are kept, addresses are not: a lock holds wherever the packages come
from.
"""

import json
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

EXTRAS: Final = {"run": ("fast",), "dev": ("fast", "dev", "package", "studies", "docs")}
ELSEWHERE: Final = frozenset({"argparse-manpage", "atheris"})
"""Tools of development that have no wheel for one of the platforms; they are not locked."""


def wanted(extras: tuple[str, ...]) -> list[str]:
    """What ``pyproject.toml`` asks for."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [
        *project["dependencies"],
        *(each for extra in extras for each in project["optional-dependencies"][extra]),
    ]
    return [each for each in asked if each.split(">")[0].split(";")[0].strip() not in ELSEWHERE]


def resolved(requirements: list[str], tags: tuple[str, ...]) -> dict[tuple[str, str], str]:
    """(name, version) → hash of the wheel for one platform."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        platforms = [word for tag in tags for word in ("--platform", tag)]
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--dry-run",
            "--ignore-installed",
            "--only-binary",
            ":all:",
        ]
        command += ["--python-version", "3.11", "--implementation", "cp", *platforms, "--target", folder]
        command += ["--constraint", "constraints.txt", "--report", str(report), *requirements]
        subprocess.run(command, check=True)  # noqa: S603 - pip itself
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    rows = {}
    for each in found["install"]:
        name = each["metadata"]["name"].lower().replace("_", "-").replace(".", "-")
        rows[name, each["metadata"]["version"]] = each["download_info"]["archive_info"]["hash"].replace(
            "=", ":", 1
        )
    return rows


def text_of(kind: str) -> str:
    """One lock file."""
    hashes: dict[tuple[str, str], set[str]] = {}
    for tags in PLATFORMS.values():
        for row, digest in resolved(wanted(EXTRAS[kind]), tags).items():
            hashes.setdefault(row, set()).add(digest)
    head = (
        f"# Made by make lock: what {'runs' if kind == 'run' else 'is developed with'}, for Python 3.11 on"
        " amd64 and arm64.\n"
    )
    lines = []
    for (name, version), digests in sorted(hashes.items()):
        lines.append(
            " \\\n    ".join([f"{name}=={version}", *(f"--hash={digest}" for digest in sorted(digests))])
        )
    return head + "\n".join(lines) + "\n"


def main() -> None:
    """Write both."""
    Path("requirements").mkdir(exist_ok=True)
    for kind in EXTRAS:
        (Path("requirements") / f"{kind}.txt").write_text(text_of(kind), encoding="utf-8")


if __name__ == "__main__":
    main()
