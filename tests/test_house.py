"""The house keeps its shape: rooms, sizes, who makes permits, what must never be written."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = sorted((ROOT / "v2g_edge").rglob("*.py"))
SOURCES = PRODUCT + sorted((ROOT / "sim").rglob("*.py"))

MODULE_CEILING = 400
FUNCTION_CEILING = 60
"""The guide is 40 lines; a function past 60 has two reasons to change."""
ENVELOPE_CEILING = 2_040
"""Lines of code, about 2,000: one person reads the whole safety argument in one sitting, and no line of it
is dense.
"""


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_modules_and_functions_stay_readable(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= MODULE_CEILING
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno < FUNCTION_CEILING, f"{node.name} is too long"


def _code_lines(path: Path) -> int:
    """Lines that hold code: no blank line, comment or docstring."""
    text = path.read_text(encoding="utf-8")
    prose = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(text.splitlines(), 1)
    return sum(n not in prose and bool(line.strip()) and line.strip()[0] != "#" for n, line in lines)


def test_the_envelope_can_be_read_in_one_sitting() -> None:
    assert sum(map(_code_lines, (ROOT / "v2g_edge" / "envelope").rglob("*.py"))) <= ENVELOPE_CEILING


def test_the_envelopes_tests_are_three_times_its_size() -> None:
    def lines(folder: Path) -> int:
        return sum(map(_code_lines, folder.rglob("*.py")))

    tests = lines(ROOT / "tests" / "envelope") + lines(ROOT / "tests" / "conformance")
    assert tests >= 3 * lines(ROOT / "v2g_edge" / "envelope")


FOLDER_CEILING = 20


def test_no_room_is_a_hall() -> None:
    for folder in {path.parent for path in SOURCES}:
        assert len(list(folder.glob("*.py"))) <= FOLDER_CEILING, f"{folder} has too many modules"
        assert len(folder.relative_to(ROOT).parts) <= 4, f"{folder} lies too deep"


def test_only_the_envelope_makes_permits() -> None:
    makers = {
        _name(path)
        for path in PRODUCT
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Permit"
    }
    assert all(maker.startswith("v2g_edge/envelope/") for maker in makers), makers


def test_async_lives_in_adapters_only() -> None:
    pure = (
        "v2g_edge/model/",
        "v2g_edge/rules/",
        "v2g_edge/departure/",
        "v2g_edge/envelope/",
        "v2g_edge/cycle.py",
        "v2g_edge/study/",
    )
    for path in PRODUCT:
        if _name(path).startswith(pure) and _name(path) != "v2g_edge/model/ports.py":
            assert not any(isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(_tree(path))), _name(
                path
            )


CLOCK_CALLS = re.compile(r"\btime\.(time|monotonic|perf_counter|sleep)\(|datetime\.now\(")


def test_only_the_clock_reads_the_clock() -> None:
    programs = {
        "v2g_edge/host/clockstate.py",
        "v2g_edge/host/upkeep/trial.py",
    }  # of their own, without a daemon
    allowed = {"v2g_edge/host/clock.py", *programs}
    readers = {_name(path) for path in PRODUCT if CLOCK_CALLS.search(path.read_text(encoding="utf-8"))}
    assert readers <= allowed, f"time comes from a ClockPort: {sorted(readers - allowed)}"


def test_every_task_is_watched() -> None:
    """Rule 14: tasks are started by ``v2g_edge.tasks``; the one group is awaited by a kept task."""
    starts = re.compile(r"\b(create_task|ensure_future|run_coroutine_threadsafe)\(")
    found = {
        (_name(path), line.strip())
        for path in PRODUCT
        for line in path.read_text("utf-8").splitlines()
        if starts.search(line)
    }
    others = {
        where
        for where in found
        if where[0] != "v2g_edge/tasks.py" and not where[1].startswith("group.create_task(")
    }
    assert others == set()


def test_a_task_is_awaited_where_it_is_ended() -> None:
    """``tasks.end`` cancels again what lost its cancellation; a cancel beside a gather waits for ever."""
    found = re.compile(r"\.cancel\(\)\n\s+await asyncio\.gather\(")
    assert not [
        path.name for path in SOURCES if path.name != "tasks.py" and found.search(path.read_text("utf-8"))
    ]


def test_no_module_is_left_without_its_docstring() -> None:
    assert [_name(path) for path in SOURCES if len(ast.get_docstring(_tree(path)) or "") < 10] == []
