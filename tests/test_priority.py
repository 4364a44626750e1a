"""Children give way to control, and work on where the system forbids even that."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from v2g_edge.priority import give_way

PRODUCT = Path("v2g_edge")
FORBIDDEN = (
    "import os, runpy, sys\n"
    "def refuse(_steps): raise PermissionError(1, 'Operation not permitted')\n"
    "os.nice = refuse\n"
    "runpy.run_module('v2g_edge.planner.worker', run_name='__main__')\n"
)
"""The planner's worker where ``setpriority`` is answered with EPERM, as the units' filter of system calls
does.
"""


def test_a_process_that_may_not_lower_its_priority_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_steps: int) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "nice", refuse)
    give_way()


def test_the_planners_worker_works_where_the_unit_filters_its_call() -> None:
    """Its input ends at once, so it ends well."""
    done = subprocess.run(
        [sys.executable, "-c", FORBIDDEN], input=b"", capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_every_child_gives_way_by_the_one_function() -> None:
    found = {
        path.name for path in PRODUCT.rglob("*.py") if re.search(r"\bos\.nice\(", path.read_text("utf-8"))
    }
    assert found == {"priority.py"}
