"""Counts the conformance cases by grid code and prints them, so that a run says what it has covered."""

from collections import Counter
from collections.abc import Callable

import pytest


@pytest.fixture(autouse=True)
def _grid_code(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """Each case carries its code in the report, which also survives the way from a worker process."""
    callspec = getattr(request.node, "callspec", None)
    record_property("grid_code", callspec.params.get("code", "all codes") if callspec else "all codes")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line a code."""
    passed: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for outcome, count in (("passed", passed), ("failed", failed)):
        for report in terminalreporter.stats.get(outcome, ()):
            code = dict(getattr(report, "user_properties", ())).get("grid_code")
            if code is not None:
                count[str(code)] += 1
    if passed or failed:
        terminalreporter.section("grid code conformance")
        for code in sorted(passed | failed):
            terminalreporter.write_line(f"{code:22} {passed[code]:5} cases passed, {failed[code]} failed")
