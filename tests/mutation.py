"""`make mutation`: change one thing in the envelope, and see whether its tests notice.

Own, because mutmut 3 copies the tree and starts a new interpreter for each mutant, some ten seconds on two cores; here a child is
forked with every library loaded, and only the changed module is compiled anew. A mutant is killed when a test fails or hangs.
Each module is tried with the tests named in ``TESTS``; mutants are taken in an order that does not depend on the machine, until
``--seconds`` have passed. `python -m tests.mutation gate table --seconds 600` tries two modules only.
"""

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import io
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from hashlib import sha256
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, NamedTuple

import hypothesis
import msgspec  # noqa: F401 - loaded once, before the children are forked
import numpy  # noqa: F401  # ICN001 does not apply: nothing is called
import pytest
import scipy.sparse.csgraph  # noqa: F401

ROOT: Final = Path(__file__).parents[1]
ENVELOPE: Final = ROOT / "v2g_edge" / "envelope"
CHILD_S: Final = 60.0
"""A mutant that runs longer loops for ever."""
SHARED: Final = ("test_permits", "test_checks", "test_feeders", "test_facts", "test_bounds", "test_properties")
TESTS: Final[dict[str, tuple[str, ...]]] = {
    "baseload": ("test_baseload", *SHARED),
    "bounds": ("test_bounds", *SHARED),
    "checks": ("test_checks", *SHARED),
    "enter_service": ("test_enter_service",),
    "facts": ("test_facts", *SHARED),
    "feeders": ("test_feeders", *SHARED),
    "gate": ("test_gate",),
    "gridmean": ("test_gridmean", "test_gridtrip"),
    "gridtrip": ("test_gridtrip",),
    "memory": ("test_permits", "test_properties"),
    "permits": SHARED,
    "table": ("test_table",),
}
"""The tests that have to notice, each module's own first."""

SWAPS: Final[dict[type[ast.AST], type[ast.AST]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
NAMES: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}


class Mutant(NamedTuple):
    """One change: where, what, and the changed module."""

    module: str
    line: int
    change: str
    code: CodeType


class _Outcome(NamedTuple):
    mutant: Mutant
    killed: bool


def mutants(module: str) -> Iterator[Mutant]:
    """All changes of one module, one at a time."""
    path = ENVELOPE / f"{module}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # How a class is laid out in memory (frozen, gc) is not behaviour; the strictness of a zip only speaks where a list is broken.
    keywords = [k for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for k in node.keywords]
    keywords += [k for node in ast.walk(tree) if isinstance(node, ast.Call) for k in node.keywords if k.arg == "strict"]
    untouched = {id(inner) for keyword in keywords for inner in ast.walk(keyword)}
    for place, node in enumerate(ast.walk(tree)):
        if id(node) in untouched:
            continue
        for kind in range(_kinds(node)):
            changed = copy.deepcopy(tree)
            target = next(other for at, other in enumerate(ast.walk(changed)) if at == place)
            change = _apply(target, kind)
            if change:
                yield Mutant(
                    module, getattr(node, "lineno", 0), change, compile(ast.fix_missing_locations(changed), str(path), "exec")
                )


def _kinds(node: ast.AST) -> int:
    if isinstance(node, ast.Compare):
        return len(node.ops)
    return int(isinstance(node, ast.BinOp | ast.BoolOp | ast.UnaryOp | ast.Constant | ast.Call | ast.IfExp | ast.If | ast.While))


def _apply(node: ast.AST, kind: int) -> str:
    """Change a node in place; "" when there is nothing to change in it."""
    before = ast.unparse(node)[:100]
    if isinstance(node, ast.Compare) and type(node.ops[kind]) in SWAPS:
        node.ops[kind] = SWAPS[type(node.ops[kind])]()  # type: ignore[call-overload]
    elif isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in SWAPS:
        node.op = SWAPS[type(node.op)]()  # type: ignore[assignment]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
        if isinstance(node.op, ast.Not):
            node.operand = ast.UnaryOp(ast.Not(), node.operand)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES:
        node.func.id = NAMES[node.func.id]
    elif isinstance(node, ast.IfExp | ast.If | ast.While):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    else:
        return ""
    return f"{before} -> {ast.unparse(node)[:100]}".replace("\n", " ")


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the changed module to whoever imports it."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name, self._code = name, code

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)  # noqa: S102 - our own source with one change


def _child(mutant: Mutant) -> int:
    sys.meta_path.insert(0, _Changed(f"v2g_edge.envelope.{mutant.module}", mutant.code))
    files = [str(ROOT / "tests" / "envelope" / f"{name}.py") for name in dict.fromkeys(TESTS[mutant.module])]
    options = ["-x", "-q", "--no-header", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", "-W", "ignore"]
    options += ["--hypothesis-seed=1", "--hypothesis-profile=mutation"]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        # Most die of their own tests: the others need not even be collected.
        return int(any(pytest.main([*options, *some]) != pytest.ExitCode.OK for some in (files[:1], files[1:]) if some))


def _start(mutant: Mutant) -> int:
    child = os.fork()
    if child == 0:
        signal.alarm(int(CHILD_S))
        code = 1
        try:
            code = _child(mutant)
        finally:
            os._exit(code)
    return child


def run(chosen: list[Mutant], seconds: float, at_once: int) -> list[_Outcome]:
    """Try as many as the time allows, ``at_once`` side by side."""
    ends_s = time.monotonic() + seconds
    waiting, running, outcomes = list(reversed(chosen)), dict[int, Mutant](), list[_Outcome]()
    while running or (waiting and time.monotonic() < ends_s):
        while waiting and len(running) < at_once and time.monotonic() < ends_s:
            mutant = waiting.pop()
            running[_start(mutant)] = mutant
        if running:
            child, status = os.wait()
            outcomes.append(_Outcome(running.pop(child), killed=status != 0))
            if not outcomes[-1].killed and outcomes[-1].mutant.line:
                sys.stdout.write(f"survived {_words(outcomes[-1].mutant)}\n")
                sys.stdout.flush()
    return outcomes


def _words(mutant: Mutant) -> str:
    return f"{mutant.module}.py:{mutant.line}: {mutant.change}"


def _shuffled(mutant: Mutant) -> Any:
    return sha256(f"{mutant.module}{mutant.line}{mutant.change}".encode()).digest()


def main() -> int:
    """Print survivors as they are found, then the share that was killed, module by module."""
    parser = argparse.ArgumentParser(description="Mutation testing of the envelope.")
    parser.add_argument("modules", nargs="*", choices=sorted(TESTS), default=sorted(TESTS), metavar="module")
    parser.add_argument("--seconds", type=float, default=3_600.0)
    parser.add_argument("--at-once", type=int, default=2)
    given = parser.parse_args()
    for name in given.modules:
        importlib.util.find_spec(f"v2g_edge.envelope.{name}")
    with redirect_stdout(io.StringIO()):
        pytest.main(
            ["--collect-only", "-q", "-W", "ignore", "-p", "no:cacheprovider", str(ROOT / "tests" / "depot.py")]
        )  # the plugins
    for loaded in [name for name in sys.modules if name.startswith("v2g_edge.") and not name.startswith("v2g_edge.model")]:
        del sys.modules[loaded]
    os.environ["ENVELOPE_EXAMPLES"] = "15"
    # One counterexample kills: nobody wants the smallest.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutation", max_examples=30, phases=phases, database=None, deadline=None)
    for name in given.modules:
        path = ENVELOPE / f"{name}.py"
        same = Mutant(name, 0, "no change", compile(path.read_text(encoding="utf-8"), str(path), "exec"))
        if run([same], CHILD_S, 1)[0].killed:
            sys.stderr.write(f"the tests of {name} fail without any change: mend them first\n")
            return 2
    found = sorted((mutant for name in given.modules for mutant in mutants(name)), key=_shuffled)
    outcomes = run(found, given.seconds, given.at_once)
    for name in [*given.modules, "all"]:
        killed = [outcome.killed for outcome in outcomes if name in {outcome.mutant.module, "all"}]
        exist = sum(name in {mutant.module, "all"} for mutant in found)
        share = 100.0 * sum(killed) / max(len(killed), 1)
        sys.stdout.write(f"{name:14} killed {sum(killed):4} of {len(killed):4} tried = {share:5.1f} %, {exist:4} exist\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
