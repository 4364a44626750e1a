"""The example month, made once for all tests of a run, whichever worker asks first."""

import fcntl
from pathlib import Path

import pytest

from tests.study.month import make


@pytest.fixture(scope="session")
def example_month(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder that ``make example-month`` fills."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    folder = shared / "example-month"
    with (shared / "example-month.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            make(folder)
    return folder
