"""``python .ci/sbom.py``: what the product is made of, from ``.ci/requirements/run.txt``: CycloneDX, and the
licences.

``build/sbom.json`` names every package with version and hashes, ``build/licences.txt`` its licence as the
package tells it.
"""

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

LOCK = Path(".ci/requirements/run.txt")
BUILD = Path("build")


def licence_of(name: str) -> str:
    """SPDX expression, else the classifiers, else the first line of what the package says."""
    try:
        told = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return "not installed here"
    if expression := told.get("License-Expression"):
        return str(expression)
    classified = [
        each.rpartition(" :: ")[2] for each in told.get_all("Classifier", []) if each.startswith("License ::")
    ]
    return ", ".join(classified) or str(told.get("License", "not told")).splitlines()[0][:80]


def names() -> list[tuple[str, str]]:
    """(name, version) of every locked package."""
    return re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)


def main() -> int:
    """Write both files; 1 when a licence is not told."""
    BUILD.mkdir(exist_ok=True)
    target = BUILD / "sbom.json"
    command = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "requirements",
        str(LOCK),
        "--output-format",
        "JSON",
        "--output-reproducible",
    ]
    command += ["--pyproject", "pyproject.toml", "--mc-type", "application", "--output-file", str(target)]
    subprocess.run(command, check=True)  # noqa: S603 - a tool of development
    licences = {name: licence_of(name) for name, _ in names()}
    document: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    for component in document["components"]:
        told = component.pop(
            "externalReferences", []
        )  # hashes stay; an address is where it came from, not what it is
        component["hashes"] = [each for reference in told for each in reference.get("hashes", ())]
        component.pop("description", None)
        component["licenses"] = [{"license": {"name": licences[component["name"].lower()]}}]
    target.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    rows = [f"{name} {version}: {licences[name]}" for name, version in names()]
    (BUILD / "licences.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    missing = [name for name, told in licences.items() if told.startswith("not ")]
    if missing:
        sys.stderr.write(f"no licence is told by {', '.join(missing)}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
