"""The locks: all that runs, builds and develops, with hashes for both platforms, and no address. What a
release is made of comes from it alone.
"""

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

FOLDER = Path(".ci/requirements")
KINDS = ("build", "dev", "run", "source")
ENTRY = re.compile(r"^([a-z0-9-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)
COMPILED = ("cffi", "cryptography", "highspy", "jsonschema-rs", "msgspec", "numpy", "pydantic-core", "scipy")
"""Packages with a wheel for each platform and Python."""
EXTRAS = {
    "run": ["fast", "report"],
    "build": ["package"],
    "dev": ["fast", "dev", "package", "studies", "docs", "supply"],
}


def lock_of(kind: str) -> str:
    return (FOLDER / f"{kind}.txt").read_text(encoding="utf-8")


def entries(kind: str) -> dict[str, tuple[str, int]]:
    """Name → version and number of hashes."""
    found = ENTRY.findall(lock_of(kind))
    return {name: (version, digests.count("sha256")) for name, version, digests in found}


def project() -> dict[str, Any]:
    document = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    return {**document["project"], "build": document["build-system"]["requires"]}


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=; ]", requirement)[0].lower().replace("_", "-").replace(".", "-")


def sbom() -> Any:
    return program("sbom")


def program(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, f".ci/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_these_locks_and_no_other() -> None:
    """Each test below reads them: an empty folder would pass them all."""
    assert sorted(path.stem for path in FOLDER.iterdir()) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_line_is_a_package_with_its_hashes_and_nothing_else(kind: str) -> None:
    text = lock_of(kind)
    assert ENTRY.sub("", text.partition("\n")[2]).strip() == ""
    assert "//" not in text, "a lock names no address"
    assert entries(kind)


@pytest.mark.parametrize(("kind", "least"), [("run", 6), ("dev", 2)])
def test_compiled_packages_are_locked_for_both_platforms(kind: str, least: int) -> None:
    """What runs, for the Python of each series of Debian and Ubuntu; some wheels serve several of them."""
    found = entries(kind)
    assert {name for name in COMPILED if found[name][1] < 2} == set()
    assert max(found[name][1] for name in COMPILED) >= least


@pytest.mark.parametrize("kind", ["run", "build", "dev"])
def test_all_that_is_asked_for_is_locked(kind: str) -> None:
    """``make lock`` after a change of ``pyproject.toml``."""
    told = project()
    asked = [each for extra in EXTRAS[kind] for each in told["optional-dependencies"][extra]]
    asked += told["build"] if kind == "build" else told["dependencies"]
    assert {name_of(each) for each in asked} - {"atheris"} <= set(entries(kind)) | set(entries("source"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_locked_is_what_is_pinned(kind: str) -> None:
    """``make lock`` after a change of ``constraints.txt``: tests run with what is pinned."""
    lines = Path("constraints.txt").read_text(encoding="utf-8").split()
    pins = {name_of(line): line.partition("==")[2] for line in lines if "==" in line}
    found = entries(kind)
    pins["pip"] = found.get("pip", ("",))[0]  # the environment brings its own; an audit needs any
    assert {name: version for name, (version, _) in found.items() if pins.get(name) != version} == {}


def test_a_package_is_built_from_the_lock_alone() -> None:
    """Each install of the build asks for hashes, but that of our own wheel, which asks no index."""
    rules = Path("debian/rules").read_text(encoding="utf-8")
    assert "--require-hashes" in rules
    installs = [
        line.strip() for line in rules.splitlines() if re.search(r"pip (install|wheel|download)", line)
    ]
    free = [line for line in installs if "$(LOCKED)" not in line and "--no-index" not in line]
    assert [line for line in free if "pip wheel --quiet --no-deps --no-build-isolation" not in line] == []
    assert len(installs) == 5


def test_the_bill_of_materials_is_valid_and_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = []
    for turn in ("a", "b"):
        monkeypatch.setattr("sys.argv", ["sbom", str(tmp_path / turn)])
        assert sbom().main() == 0
        texts.append((tmp_path / turn / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(texts[0]) is None
    document = json.loads(texts[0])
    assert {each["name"]: each["version"] for each in document["components"]} == {
        name: version for name, (version, _) in entries("run").items()
    }
    reached = {name for each in document["dependencies"] for name in each["dependsOn"]}
    extras = project()["optional-dependencies"]
    reached |= {name_of(each) for extra in EXTRAS["run"] for each in extras[extra]}
    assert {each["name"] for each in document["components"]} - reached == set(), (
        "locked, and needed by nothing"
    )


def test_every_licence_is_told_and_strong_copyleft_is_not_among_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["sbom", str(tmp_path)])
    assert sbom().main() == 0
    rows = (tmp_path / "licences.txt").read_text(encoding="utf-8").splitlines()
    notices = Path("docs/third-party.md").read_text(encoding="utf-8")
    assert len(rows) == len(entries("run"))
    for row in rows:
        name, _, licence = row.partition(": ")
        assert not re.search(r"(?<!L)GPL|Affero", licence), row
        if re.search(r"LGPL|Lesser|MPL|Mozilla|EPL", licence):
            assert name.split()[0] in notices, f"docs/third-party.md says nothing of {row}"


WEAK = {"id": "PYSEC-1", "fix_versions": ["1.2"], "aliases": [], "description": "x"}


@pytest.mark.parametrize(
    ("rows", "code", "said"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "1 packages, no known weakness"),
        ([{"name": "a", "version": "1", "vulns": [WEAK]}], 1, "a 1: PYSEC-1, mended in 1.2"),
        ([{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "x"}], 77, "asked for b"),
        ([{"name": "a", "version": "1", "vulns": [WEAK]}, {"name": "b", "skip_reason": "x"}], 1, "for b"),
        ([], 77, "asked for every package"),
    ],
)
def test_an_audit_that_cannot_ask_is_no_clean_one(rows: list[dict[str, Any]], code: int, said: str) -> None:
    """And no finding either: a machine without a network is told apart from a weakness."""
    found, lines = program("audit").judge({"dependencies": rows})
    assert found == code
    assert said in "\n".join(lines)
