"""The lock: everything that runs, with hashes for both platforms, and nothing that says where it comes
from.
"""

import re
import tomllib
from pathlib import Path

import pytest

LOCKS = sorted(Path("requirements").glob("*.txt"))
ENTRY = re.compile(r"^([a-z0-9-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)
COMPILED = frozenset(
    {
        "cffi",
        "cryptography",
        "highspy",
        "jsonschema-rs",
        "msgspec",
        "numpy",
        "pydantic-core",
        "scipy",
        "websockets",
    }
)
"""Packages with a wheel for each platform."""


def entries(lock: Path) -> dict[str, tuple[str, int]]:
    """Name → version and number of hashes."""
    return {
        name: (version, digests.count("sha256"))
        for name, version, digests in ENTRY.findall(lock.read_text(encoding="utf-8"))
    }


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.name))
def test_every_line_is_a_package_with_its_hashes_and_nothing_else(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    rest = ENTRY.sub("", text.partition("\n")[2]).strip()
    assert rest == ""
    assert "//" not in text, "a lock names no address"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.name))
def test_compiled_packages_are_locked_for_both_platforms(lock: Path) -> None:
    found = entries(lock)
    assert {name: found[name][1] for name in COMPILED} == dict.fromkeys(COMPILED, 2)


def test_all_that_runs_is_locked_as_it_is_pinned() -> None:
    """``make lock`` after a change of ``pyproject.toml`` or ``constraints.txt``."""
    found = entries(Path(".ci/requirements/run.txt"))
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {
        re.split(r"[\[<>=;]", each)[0].strip().lower().replace("_", "-") for each in project["dependencies"]
    }
    assert asked <= set(found)
    pins = dict(
        line.lower().replace("_", "-").split("==")
        for line in Path("constraints.txt").read_text().split()
        if "==" in line
    )
    assert {name: version for name, (version, _) in found.items() if pins.get(name, version) != version} == {}
