"""Studies are loaded by their commands alone: the daemon's start and memory do not know them."""

import subprocess
import sys

import pytest

ROOMS = ("ledger", "bill", "wear", "invest", "insight")
PROGRAM = "import sys, {module}; print(*sys.modules)"


@pytest.mark.parametrize("module", ["v2g_edge.app", "v2g_edge.cli.live.status", "v2g_edge.cli.main"])
def test_the_daemon_and_the_quick_commands_load_no_study(module: str) -> None:
    """Nor what only studies need."""
    words = [sys.executable, "-c", PROGRAM.format(module=module)]
    loaded = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    rooms = {f"v2g_edge.study.{room}" for room in ROOMS}
    assert not [name for name in loaded if name in rooms or name in {"dask", "pyarrow", "reportlab"}]
