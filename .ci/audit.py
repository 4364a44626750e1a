"""``python .ci/audit.py``: known weaknesses of what runs, by the lock ``.ci/requirements/run.txt``.

Exit 0: the advisory service knows of none. 1: it knows of some; each is named with the version that mends it.
77: it could not be asked for every package, so nothing is said of those; they are named. A machine without a
network ends so: it is no proof of anything, and no finding either.
"""

import json
import subprocess
import sys
from typing import Any, Final

LOCK: Final = ".ci/requirements/run.txt"
CANNOT: Final = 77
"""What test programs say that were not run (automake's convention)."""
ASK: Final = ("--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off")


def judge(report: dict[str, Any]) -> tuple[int, list[str]]:
    """Exit code and lines of a report of pip-audit."""
    rows = report.get("dependencies") or []
    unknown = sorted(row["name"] for row in rows if "skip_reason" in row)
    lines = [
        f"{row['name']} {row['version']}: {weakness['id']}, mended in"
        f" {', '.join(weakness['fix_versions']) or 'no version yet'}"
        for row in rows
        for weakness in row.get("vulns", ())
    ]
    found = bool(lines)
    if unknown or not rows:
        named = ", ".join(unknown) or "every package"
        lines.append(f"NOT AUDITED: the advisory service could not be asked for {named}")
        return (1 if found else CANNOT), lines
    return (1, lines) if found else (0, [f"{len(rows)} packages, no known weakness"])


def main() -> int:
    """Ask, and print."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", LOCK, *ASK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own tool
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = {}
        print(done.stderr.strip()[-500:], file=sys.stderr)  # noqa: T201 - it is a command
    code, lines = judge(report)
    print("\n".join(lines), file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main())
