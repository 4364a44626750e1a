"""``python .ci/sbom.py [FOLDER]``: what the product is made of, by the lock ``.ci/requirements/run.txt``.

``FOLDER/sbom.cdx.json`` (CycloneDX 1.6) names every package with version, hashes, licence and what it needs;
``FOLDER/licences.txt`` has a line for each. The same lock gives the same octets: no time and no address is in
them. It needs nothing but the packages themselves, whose metadata it reads, so a Debian package is built
with it. Exit 1 when a package is missing or tells no licence.
"""

import json
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

LOCK: Final = Path(".ci/requirements/run.txt")
ENTRY: Final = re.compile(r"^([a-z0-9-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)
MISSING: Final = "not installed here"
UNTOLD: Final = "not told"
SPDX: Final = re.compile(r"[A-Za-z0-9.+ ()-]+")


def plain(name: str) -> str:
    """A package's name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(name: str) -> str:
    """SPDX expression, else the classifiers, else the first line of what the package says."""
    try:
        told = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return MISSING
    if expression := told.get("License-Expression"):
        return str(expression)
    found = [
        each.rpartition(" :: ")[2] for each in told.get_all("Classifier", []) if each.startswith("License ::")
    ]
    return ", ".join(found) or str(told.get("License", UNTOLD)).splitlines()[0][:80]


def needs_of(name: str, locked: set[str]) -> list[str]:
    """The locked packages that a package needs, extras left out."""
    try:
        asked = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    names = {
        plain(re.split(r"[^A-Za-z0-9._-]", each, maxsplit=1)[0]) for each in asked if "extra ==" not in each
    }
    return sorted(names & locked)


def component(name: str, version: str, digests: list[str], licence: str) -> dict[str, Any]:
    """One package."""
    is_expression = SPDX.fullmatch(licence) and (" " not in licence or re.search(r" (AND|OR|WITH) ", licence))
    return {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in digests],
        "licenses": [{"expression": licence}] if is_expression else [{"license": {"name": licence}}],
    }


def document_of(lock: str, version: str, asked: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The whole document, and the licences by package."""
    rows = [
        (name, number, re.findall(r"[0-9a-f]{64}", digests)) for name, number, digests in ENTRY.findall(lock)
    ]
    locked = {name for name, _, _ in rows}
    licences = {name: licence_of(name) for name, _, _ in rows}
    own = {
        "type": "application",
        "bom-ref": "v2g-edge",
        "name": "v2g-edge",
        "version": version,
        "licenses": [{"expression": "Apache-2.0"}],
    }
    needs = [{"ref": "v2g-edge", "dependsOn": sorted({plain(each) for each in asked} & locked)}]
    needs += [{"ref": name, "dependsOn": needs_of(name, locked)} for name, _, _ in rows]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, version + lock)}",
        "version": 1,
        "metadata": {"component": own},
        "components": [component(*row, licences[row[0]]) for row in rows],
        "dependencies": needs,
    }
    return document, licences


def main() -> int:
    """Write both files."""
    folder = Path((sys.argv[1:] or ["build"])[0])
    folder.mkdir(parents=True, exist_ok=True)
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [re.split(r"[^A-Za-z0-9._-]", each, maxsplit=1)[0] for each in project["dependencies"]]
    source = Path("v2g_edge/__init__.py").read_text(encoding="utf-8")
    version = re.findall(r'^__version__ = "(.*)"$', source, re.MULTILINE)[0]
    document, licences = document_of(LOCK.read_text(encoding="utf-8"), version, asked)
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    (folder / "sbom.cdx.json").write_text(text, encoding="utf-8")
    rows = [f"{each['name']} {each['version']}: {licences[each['name']]}" for each in document["components"]]
    (folder / "licences.txt").write_text("\n".join([*rows, ""]), encoding="utf-8")
    missing = [name for name, told in licences.items() if told in {MISSING, UNTOLD}]
    if missing:
        sys.stderr.write(f"no licence is told by {', '.join(missing)}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
