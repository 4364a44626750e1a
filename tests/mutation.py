"""`make mutation`: change one thing in a room, and see whether its tests notice.

Own, because mutmut 3 copies the tree and starts a new interpreter for each mutant, some ten seconds on two
cores. Here the tree is copied once, so that nobody's edits mix in, the tests of the room are collected
once, and each mutant is tried in a forked child that runs those tests alone which pass through the changed
statement, the fastest first, until one fails. A change outside every function (a constant, a default) wants
its module imported anew, and all tests. A mutant is killed when a test fails, or when it takes many times the
seconds or the memory that the tests take without it.
"""

import argparse
import gc
import importlib.abc
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from importlib.machinery import ModuleSpec
from pathlib import Path
from shutil import copytree
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple, TextIO

import hypothesis
import pytest
from _pytest.runner import runtestprotocol

from tests.mutants import HIT, Mutant, marked, mutants

ROOT: Final = Path(__file__).parents[1]
PRODUCT: Final = ROOT / "v2g_edge"


class Room(NamedTuple):
    """What is measured together: modules of the product and the tests that must notice, as paths without an
    ending. ``constants``: also what stands outside functions; where tests name the constants, a changed value
    says nothing.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    constants: bool = True


ROOMS: Final = {
    "envelope": Room(("envelope/*",), ("envelope/test_*",)),
    "departure": Room(
        ("departure/*",), ("departure/test_*", "test_one_number", "test_exports_shared"), constants=False
    ),
    "rules": Room(
        ("rules/*", "rules/services/*"),
        (
            "rules/test_*",
            "rules/services/test_*",
            "test_cycle",
            "test_missing_numbers",
            "test_exports_shared",
            "test_phases_shared",
            "test_tight_together",
        ),
        constants=False,
    ),
    "cycle": Room(
        ("cycle",),
        (
            "test_cycle",
            "test_handed_on",
            "test_exports_shared",
            "test_missing_numbers",
            "envelope/test_memory",
        ),
        constants=False,
    ),
    "writer": Room(("field/writer",), ("field/test_writer",), constants=False),
    "ocpp": Room(
        (
            "field/ocpp/control/*",
            "field/ocpp/vocabulary/charging_profiles",
            "field/ocpp/vocabulary/clock_skew",
            "field/ocpp/vocabulary/compliance",
            "field/ocpp/vocabulary/dynamic_profiles",
            "field/ocpp/vocabulary/refusals",
            "field/ocpp/vocabulary/register_power",
        ),
        (
            "field/ocpp/control/test_*",
            "field/ocpp/station/test_readings",
            "field/ocpp/station/test_two_speakers",
            "field/ocpp/vocabulary/test_charging_profiles",
            "field/ocpp/vocabulary/test_clock_skew",
            "field/ocpp/vocabulary/test_compliance",
            "field/ocpp/vocabulary/test_dynamic_profiles",
        ),
        constants=False,
    ),
    "modbus": Room(
        (
            "field/modbus/charger",
            "field/modbus/der",
            "field/modbus/outlet",
            "field/modbus/switch",
        ),
        (
            "field/modbus/test_bus",
            "field/modbus/test_charger",
            "field/modbus/test_der",
            "field/modbus/test_leases",
            "field/modbus/test_peer",
            "field/modbus/test_switch",
        ),
        constants=False,
    ),
}


def _found(root: Path, patterns: Iterable[str]) -> list[Path]:
    paths = {path for pattern in patterns for path in root.glob(f"{pattern}.py")}
    return sorted(path for path in paths if path.stem != "__init__")


def _name(path: Path) -> str:
    """The module's name within the product, with dots."""
    return ".".join(path.relative_to(PRODUCT).with_suffix("").parts)


COPIED: Final = "V2G_MUTATION_COPY"
CPU_S: Final = 120
"""All tests of a room take a quarter of it. Processor time: a busy machine makes no mutant look
hung.
"""
MEMORY_BYTES: Final = 8 << 30
OPTIONS: Final = [
    "-q",
    "--no-header",
    "--tb=no",
    "--assert=plain",
    "--capture=no",
    "-p",
    "no:cacheprovider",
    "-W",
    "ignore",
]
OPTIONS_HYPOTHESIS: Final = ["--hypothesis-seed=1", "--hypothesis-profile=mutation"]


class Trace(NamedTuple):
    """What a test did without any change: its seconds, and the statements that it came to by module."""

    seconds: float
    statements: dict[str, list[int]]


class _Outcome(NamedTuple):
    mutant: Mutant
    killed: bool


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the changed module to whoever imports it."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name, self._code = name, code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)  # noqa: S102 - our own source with one change


# -- in a child
# ------------------------------------------------------------------------------------------------------------


def _passes(items: Sequence[pytest.Item]) -> bool:
    """Run them in turn until one fails."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
            return False
    return True


def _change_in_place(module: str, function: str, code: CodeType) -> bool:
    """Give a function of ``module`` its code from a changed one, under whatever wrappers; False when it is
    not to be found.
    """
    found: Any = sys.modules[f"v2g_edge.{module}"]
    codes = [code]
    for name in function.split("."):
        found = vars(found).get(name)
        codes = [
            inner
            for outer in codes
            for inner in outer.co_consts
            if isinstance(inner, CodeType) and inner.co_name == name
        ]
    found = getattr(found, "fget", found)
    while hasattr(found, "__wrapped__") or hasattr(found, "__func__"):
        found = getattr(found, "__wrapped__", None) or found.__func__
    if not isinstance(found, FunctionType) or len(codes) != 1:
        return False
    found.__code__ = codes[0]
    return True


def _passes_anew(files: list[Path], module: str, code: CodeType) -> bool:
    """Import everything again with one module changed, and run all tests, the module's own first."""
    for name in [name for name in sys.modules if name.partition(".")[0] in {"tests", "v2g_edge"}]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Changed(f"v2g_edge.{module}", code))
    own = f"test_{module.rpartition('.')[2]}"
    files = sorted(files, key=lambda path: path.stem != own)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return pytest.main(["-x", *OPTIONS, *OPTIONS_HYPOTHESIS, *map(str, files)]) == pytest.ExitCode.OK


def _traced(paths: list[Path], items: Iterable[pytest.Item], answer: TextIO) -> bool:
    """Write what every test comes to; False when one fails as the code stands."""
    seen: dict[str, set[int]] = {_name(path): set() for path in paths}
    for path in paths:
        name = _name(path)
        code, functions = marked(path)
        setattr(sys.modules[f"v2g_edge.{name}"], HIT, seen[name].add)
        for function in functions:
            _change_in_place(name, function, code)
    found, fine = {}, True
    for item in items:
        began_s = time.process_time()
        if not _passes([item]):
            sys.stderr.write(f"fails without any change: {item.nodeid}\n")
            fine = False
        found[item.nodeid] = Trace(
            time.process_time() - began_s, {name: sorted(lines) for name, lines in seen.items()}
        )
        for lines in seen.values():
            lines.clear()
    json.dump(found, answer)
    answer.flush()
    return fine


def _fork(work: Callable[[], bool]) -> int:
    """A child that ends with 0 when ``work`` says True; it ends itself when it takes too much."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            code = int(not work())
        finally:
            os._exit(code)
    return child


def _limited(work: Callable[[], bool]) -> Callable[[], bool]:
    def limited() -> bool:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the log of the product, thousands of times
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        return work()

    return limited


# -- the parent
# ------------------------------------------------------------------------------------------------------------


class Run:
    """A plugin: once pytest has collected the tests, it tries the mutants instead of running them."""

    def __init__(self, room: Room, chosen: list[Mutant], seconds: float, at_once: int, out: TextIO) -> None:
        self._paths, self._files = _found(PRODUCT, room.modules), _found(ROOT / "tests", room.tests)
        self._chosen, self._seconds, self._at_once, self._out = chosen, seconds, at_once, out
        self._traces: dict[str, Trace] = {}
        self.outcomes: list[_Outcome] = []
        self.sound = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        gc.freeze()
        self.sound = self._trace(session.items) and self._sound_anew()
        if self.sound:
            self._try_all(session.items)
        return True

    def _trace(self, items: list[pytest.Item]) -> bool:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as answer:
            _, status = os.waitpid(_fork(lambda: _traced(self._paths, items, answer)), 0)
            answer.seek(0)
            self._traces = (
                {name: Trace(*trace) for name, trace in json.load(answer).items()} if status == 0 else {}
            )
        return status == 0

    def _sound_anew(self) -> bool:
        path = self._paths[0]
        same = compile(path.read_text(encoding="utf-8"), str(path), "exec")
        _, status = os.waitpid(_fork(lambda: _passes_anew(self._files, _name(path), same)), 0)
        return status == 0

    def _try_all(self, items: list[pytest.Item]) -> None:
        """As many as the time allows, ``at_once`` side by side."""
        ends_s = time.monotonic() + self._seconds
        waiting, running = list(reversed(self._chosen)), dict[int, Mutant]()
        while running or (waiting and time.monotonic() < ends_s):
            while waiting and len(running) < self._at_once and time.monotonic() < ends_s:
                mutant = waiting.pop()
                running[_fork(_limited(self._work(mutant, items)))] = mutant
            if running:
                child, status = os.wait()
                self.outcomes.append(_Outcome(running.pop(child), killed=status != 0))
                if status == 0:
                    self._out.write(f"survived {words(self.outcomes[-1].mutant)}\n")
                    self._out.flush()

    def _work(self, mutant: Mutant, items: list[pytest.Item]) -> Callable[[], bool]:
        through = [
            item for item in items if mutant.statement in self._traces[item.nodeid].statements[mutant.module]
        ]
        through.sort(key=lambda item: self._traces[item.nodeid].seconds)

        def work() -> bool:
            if mutant.function and _change_in_place(mutant.module, mutant.function, mutant.code):
                return _passes(through)
            return _passes_anew(self._files, mutant.module, mutant.code)

        return work


def words(mutant: Mutant) -> str:
    """The mutant in one line."""
    return f"{mutant.module}:{mutant.line}: {mutant.change}"


def _shuffled(mutant: Mutant) -> bytes:
    """An order that no machine changes, so that a run that is cut short is a fair sample."""
    return sha256(words(mutant).encode()).digest()


def _table(modules: list[str], found: list[Mutant], outcomes: list[_Outcome]) -> str:
    rows = ["| module | mutants | tried | killed | share |", "|---|---|---|---|---|"]
    for name, members in [*((f"`{name}`", {name}) for name in modules), ("all of these", set(modules))]:
        killed = [outcome.killed for outcome in outcomes if outcome.mutant.module in members]
        exist = sum(mutant.module in members for mutant in found)
        rows.append(
            f"| {name} | {exist} | {len(killed)} | {sum(killed)} |"
            f" {100.0 * sum(killed) / max(len(killed), 1):.1f} % |"
        )
    return "\n".join(rows)


def _measure(room: Room, modules: list[str], again: str, seconds: float, at_once: int) -> int:
    os.environ |= {"ENVELOPE_EXAMPLES": "15", "DRAWN_ORDERS": "200"}
    # One counterexample kills: nobody wants the smallest.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutation", max_examples=30, phases=phases, database=None, deadline=None
    )
    paths = [path for path in _found(PRODUCT, room.modules) if not modules or path.stem in modules]
    changes = (mutants(path, _name(path), constants=room.constants) for path in paths)
    found = sorted((mutant for module in changes for mutant in module), key=_shuffled)
    found = [mutant for mutant in found if not again or f"survived {words(mutant)}\n" in again]
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # What pytest itself has to say is not the result.
        run = Run(room, found, seconds, at_once, out)
        tests = map(str, _found(ROOT / "tests", room.tests))
        pytest.main([*OPTIONS, *OPTIONS_HYPOTHESIS, *tests], plugins=[run])
        if not run.sound:
            sys.stderr.write("the tests fail without any change: mend them first\n")
            return 2
        out.write(_table([_name(path) for path in paths], found, run.outcomes) + "\n")
    return 0


def main() -> int:
    """Print survivors as they are found, then a table of the share that was killed, module by module."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation", description="Mutation testing, room by room."
    )
    parser.add_argument(
        "modules", nargs="*", metavar="module", help="by file name; all of the room without one"
    )
    parser.add_argument(
        "--room", choices=ROOMS, default="", help="all rooms, one after the other, without it"
    )
    parser.add_argument("--seconds", type=float, default=3_600.0, help="for each room")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument(
        "--again", type=Path, help="what an earlier run printed: only its survivors are tried"
    )
    given = parser.parse_args()
    if COPIED in os.environ:
        again = given.again.read_text(encoding="utf-8") if given.again else ""
        return _measure(ROOMS[given.room], list(given.modules), again, given.seconds, given.at_once)
    with tempfile.TemporaryDirectory(prefix="v2g-mutation-") as place:
        for name in ("v2g_edge", "tests", "sim", "etc", "docs"):
            copytree(ROOT / name, Path(place) / name)
        (Path(place) / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
        arguments = [*given.modules, f"--seconds={given.seconds}", f"--at-once={given.at_once}"]
        arguments += [f"--again={given.again.resolve()}"] if given.again else []
        environment = {**os.environ, COPIED: "1", "PYTHONPATH": place}
        return max(
            subprocess.call(
                [sys.executable, "-m", "tests.mutation", f"--room={room}", *arguments],
                cwd=place,
                env=environment,
            )
            for room in ([given.room] if given.room else ROOMS)
        )


if __name__ == "__main__":
    sys.exit(main())
