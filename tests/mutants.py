"""The changes that `tests.mutation` makes in a module, one at a time."""

import ast
import copy
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Final, NamedTuple

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
_PAIRS: Final = (
    ("max_charge_w", "max_discharge_w"),
    ("min_charge_w", "min_discharge_w"),
    ("charge_w", "discharge_w"),
    ("most_w", "least_w"),
    ("min_w", "max_w"),
    ("import_limit_w", "export_limit_w"),
    ("import_a", "export_a"),
    ("base_min_w", "base_max_w"),
    ("base_load_min_w", "base_load_max_w"),
    ("min_soc_pct", "max_soc_pct"),
    ("in_wh", "out_wh"),
    ("peak_w", "before_w"),
    ("learned_w", "reported_w"),
    ("now_s", "wall_s"),
)
SIBLINGS: Final = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}
"""A field that is easily taken for another one of the same kind."""


HIT: Final = "__hit__"
"""What the marked code calls with the line of each statement that it comes to."""


class Mutant(NamedTuple):
    """One change: where, what, and the changed module. ``function`` is the outermost one around it,
    "Class.name" for a method, and ``statement`` the line where its statement begins; "" and 0 where it is
    outside every function.
    """

    module: str
    line: int
    change: str
    code: CodeType
    function: str
    statement: int


Function = ast.FunctionDef | ast.AsyncFunctionDef


def mutants(path: Path, module: str, *, constants: bool = True) -> Iterator[Mutant]:
    """All changes of one module, one at a time; without ``constants`` those inside functions alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # How a class is laid out in memory (frozen, gc) is not behaviour; the strictness of a zip only speaks
    # where a list is broken.
    keywords = [k for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for k in node.keywords]
    keywords += [
        k for node in ast.walk(tree) if isinstance(node, ast.Call) for k in node.keywords if k.arg == "strict"
    ]
    said = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func)[:4] == "log."
    ]
    untouched = {id(inner) for node in [*keywords, *said] for inner in ast.walk(node)}
    places = _places(tree)
    for place, node in enumerate(ast.walk(tree)):
        if id(node) in untouched or not (constants or places.get(id(node), ("", 0))[0]):
            continue
        for kind in range(_kinds(node)):
            changed = copy.deepcopy(tree)
            change = _apply(next(other for at, other in enumerate(ast.walk(changed)) if at == place), kind)
            if change:
                code = compile(ast.fix_missing_locations(changed), str(path), "exec")
                yield Mutant(module, getattr(node, "lineno", 0), change, code, *places.get(id(node), ("", 0)))


def functions(tree: ast.Module) -> dict[str, Function]:
    """The functions and methods of a module by name, not those inside them."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return {
        prefix + node.name: node
        for prefix, body in [("", tree.body), *((f"{holder.name}.", holder.body) for holder in classes)]
        for node in body
        if isinstance(node, Function)
    }


def marked(path: Path) -> tuple[CodeType, list[str]]:
    """The module with a call before each statement of its functions, and the functions' names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = functions(tree)
    for node in [node for function in inner.values() for node in ast.walk(function)]:
        for part in ("body", "orelse", "finalbody"):
            block = getattr(node, part, None)
            if isinstance(block, list):
                hits = [
                    ast.Expr(ast.Call(ast.Name(HIT, ast.Load()), [ast.Constant(line.lineno)], []))
                    for line in block
                ]
                setattr(node, part, [both for pair in zip(hits, block, strict=True) for both in pair])
    return compile(ast.fix_missing_locations(tree), str(path), "exec"), list(inner)


def _places(tree: ast.Module) -> dict[int, tuple[str, int]]:
    """The outermost function and the statement's line of each node that stands in the body of a function."""
    found: dict[int, tuple[str, int]] = {}

    def visit(node: ast.AST, function: str, line: int) -> None:
        line = node.lineno if isinstance(node, ast.stmt) else line
        found[id(node)] = (function, line)
        for child in ast.iter_child_nodes(node):
            visit(child, function, line)

    for name, function in functions(tree).items():
        for statement in function.body:
            visit(statement, name, 0)
    return found


def _kinds(node: ast.AST) -> int:
    """In how many ways a node can be changed."""
    if isinstance(node, ast.Compare):
        return len(node.ops)
    if isinstance(node, ast.BoolOp):
        return 1 + len(node.values)
    if isinstance(node, ast.Call):
        return 2 + len(node.keywords)
    return int(
        isinstance(
            node, ast.BinOp | ast.UnaryOp | ast.Constant | ast.IfExp | ast.If | ast.While | ast.Attribute
        )
    )


def _apply(node: ast.AST, kind: int) -> str:
    """Change a node in place; "" when there is nothing to change in it."""
    before = ast.unparse(node)[:100]
    if isinstance(node, ast.BoolOp) and kind > 0:
        _leave_out(node, kind - 1)
    elif isinstance(node, ast.Call):
        left_out = node.keywords[kind - 2].arg if kind > 1 else ""
        if not _apply_to_call(node, kind):
            return ""
        if left_out:
            return f"{before} -> without {left_out}".replace("\n", " ")
    elif not _apply_to_one(node, kind):
        return ""
    after = ast.unparse(node)[:100]
    return f"{before} -> {after}".replace("\n", " ") if after != before else ""


def _apply_to_one(node: ast.AST, kind: int) -> bool:
    """An operator, a number, a condition turned round, a field taken for its sibling."""
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
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr in SIBLINGS:
        node.attr = SIBLINGS[node.attr]
    elif isinstance(node, ast.IfExp | ast.If | ast.While):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    else:
        return False
    return True


def _leave_out(node: ast.BoolOp, place: int) -> None:
    """One condition less. Where it stood, what changes nothing stands."""
    node.values[place] = ast.Constant(isinstance(node.op, ast.And))


def _apply_to_call(node: ast.Call, kind: int) -> bool:
    """Another function, two arguments swapped, or one left at its default."""
    if kind == 0 and isinstance(node.func, ast.Name) and node.func.id in NAMES:
        node.func.id = NAMES[node.func.id]
    elif kind == 1 and len(node.args) > 1 and not _takes_any_order(node):
        node.args[0], node.args[1] = node.args[1], node.args[0]
    elif kind > 1 and node.keywords[kind - 2].arg not in (None, "strict"):
        del node.keywords[kind - 2]
    else:
        return False
    return True


def _takes_any_order(node: ast.Call) -> bool:
    starred = any(isinstance(each, ast.Starred) for each in node.args)
    return starred or (isinstance(node.func, ast.Name) and node.func.id in {*NAMES, "isinstance", "zip"})
