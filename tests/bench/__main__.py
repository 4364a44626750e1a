"""`make bench`: run every table, print it, and keep it in docs/benchmarks.md with the size of the machine.

A table is a module of this package with ``rows()``; each row is (name, value, unit, baseline name, baseline
value, ratio, goal). `python -m tests.bench tick ocpp` runs only the named ones and prints them without
keeping them.
"""

import importlib
import os
import pkgutil
import platform
import sys
from pathlib import Path

import tests.bench

Row = tuple[str, float, str, str, float, float, str]
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
HEAD = "| what | measured | baseline in the same run | ratio | goal |\n|---|---|---|---|---|\n"


def _table(name: str) -> str:
    rows: list[Row] = importlib.import_module(f"tests.bench.{name}").rows()
    lines = [
        f"| {what} | {value:,.3g} {unit} | {base}: {base_value:,.3g} {unit} | {ratio:,.2f} | {goal} |"
        for what, value, unit, base, base_value, ratio, goal in rows
    ]
    return HEAD + "\n".join(lines) + "\n"


def _machine() -> str:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, {platform.machine()}, Python"
        f" {platform.python_version()}"
    )


def main() -> int:
    """Run the named tables, or all of them and keep the page."""
    found = sorted(
        module.name
        for module in pkgutil.iter_modules(tests.bench.__path__)
        if not module.name.startswith("_")
    )
    unknown = sorted(set(sys.argv[1:]) - set(found))
    if unknown:
        sys.stderr.write(f"no table {', '.join(unknown)}; there are {', '.join(found)}\n")
        return 2
    page = (
        f"# Benchmarks\n\nWritten by `make bench` on {_machine()}, shared with other work: trust the"
        " ratios.\n"
    )
    for name in sys.argv[1:] or found:
        page += f"\n## {name}\n\n{_table(name)}"
        sys.stdout.write(page.rsplit("\n## ", 1)[-1] + "\n")
        sys.stdout.flush()
    if not sys.argv[1:]:
        PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
