"""``v2g-edge wear``: what a kWh out of a battery costs by depth, and what vehicles have lost."""

import argparse
import json
from typing import Any, Final

from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError
from v2g_edge.cli.screen import table, wrapped
from v2g_edge.cli.study.sources import add_sources, hand_out, ledger, span, study
from v2g_edge.study.ledger.statement import statement_of
from v2g_edge.study.ledger.store import Store
from v2g_edge.study.wear.cost import AGE_YEARS, DEPTHS, END_OF_LIFE, Loss, blended, fleet_loss, per_kwh
from v2g_edge.study.wear.model import SHIPPED, WearError, WearModel, read_model

DAY_S: Final = 86_400.0
MODEL_ERROR: Final = 0.02
MEASURED_ERROR: Final = 0.01
"""Standard errors of a modelled and of a reported loss: models spread by 2 points over ten years of use
(BLAST-Lite's own fits), vehicles report whole percents.
"""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = study(subparsers, "wear", "what a kWh out of a battery costs by depth; what vehicles have lost")
    add_sources(parser)
    shipped = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.toml")))
    parser.add_argument(
        "--model", default="lfp-250ah", metavar="NAME|FILE", help=f"a TOML file, or one of: {shipped}"
    )
    parser.add_argument(
        "--pack-price", type=float, default=120.0, metavar="MONEY", help="a new pack's price per kWh"
    )
    parser.add_argument(
        "--pack-c", type=float, default=25.0, metavar="C", help="temperature of the table by depth"
    )
    parser.add_argument(
        "--age", type=float, default=AGE_YEARS, metavar="YEARS", help="age of the vehicles' packs"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """The table by depth, then the vehicles where there is a ledger."""
    try:
        model = read_model(arguments.model)
    except WearError as error:
        raise CommandError(str(error), BAD_INPUT) from error
    costs = [
        (depth, per_kwh(model, depth, arguments.pack_price, pack_c=arguments.pack_c)) for depth in DEPTHS
    ]
    rows: list[dict[str, Any]] = []
    if arguments.ledger or arguments.journal:
        with ledger(arguments) as store:
            rows = _vehicles(store, model, arguments, *span(arguments, store))
    hand_out(
        _text(model, costs, rows) if arguments.format == "text" else _json(model, costs, rows), arguments
    )
    return DONE


def _vehicles(
    store: Store, model: WearModel, arguments: argparse.Namespace, from_s: float, until_s: float
) -> list[dict[str, Any]]:
    turns = store.turns(from_s, until_s)
    rows = []
    for row in statement_of(store, from_s, until_s).vehicles:
        if row.life is None:
            continue
        name = row.energy.name
        mine = [turn for turn in turns if turn.vehicle == name]
        loss = fleet_loss(model, row.life, mine, (until_s - from_s) / DAY_S, arguments.age)
        measured = None if row.life.soh_pct is None else 1.0 - row.life.soh_pct / 100.0
        since_new = blended(loss.since_new, MODEL_ERROR, measured, MEASURED_ERROR)
        rows.append(
            {
                "vehicle": name,
                "efc": loss.efc,
                "lost_pct": 100.0 * loss.used,
                "rested_pct": 100.0 * loss.rested,
                "since_new_pct": 100.0 * since_new,
                "told_pct": None if measured is None else 100.0 * measured,
                "per_kwh": _per_kwh(loss, arguments.pack_price),
                "assumed": loss.assumed,
            }
        )  # fmt: skip
    return rows


def _per_kwh(loss: Loss, price: float) -> float | None:
    """What cycling cost beyond rest, by the energy cycled: rides and giving wear alike."""
    if not loss.efc:
        return None
    return max(loss.used - loss.rested, 0.0) / (1.0 - END_OF_LIFE) * price / loss.efc


def _text(model: WearModel, costs: list[tuple[float, float]], rows: list[dict[str, Any]]) -> str:
    lines = [f"{model.title}: one cycle a day for ten years, over rest at the same mean SoC"]
    low, high = model.depth_range
    shown: list[tuple[str, ...]] = [
        (f"{100 * depth:.0f} %", f"{cost:.4f}", "" if low <= depth <= high else "extrapolated")
        for depth, cost in costs
    ]
    lines += table(("depth", "per kWh out", ""), shown, frozenset({2}))
    if rows:
        lines += [
            "",
            *table(
                ("vehicle", "EFC", "lost %", "at rest %", "since new %", "told %", "per kWh out"),
                [_row(r) for r in rows],
                frozenset({0}),
            ),
        ]
        cycled = sum(row["efc"] for row in rows if row["per_kwh"] is not None)
        if cycled:
            cost = sum(row["efc"] * row["per_kwh"] for row in rows if row["per_kwh"] is not None) / cycled
            lines += [
                "",
                *wrapped(f"for the day plan, in [prices] of the site file: wear_per_kwh = {cost:.4f}"),
            ]
    for text in sorted({row["assumed"] for row in rows if row["assumed"]}):
        lines += wrapped(f"assumed where it was not told: {text}", "! ", "  ")
    return "\n".join(lines)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    told, cost = row["told_pct"], row["per_kwh"]
    return (
        row["vehicle"],
        f"{row['efc']:.1f}",
        f"{row['lost_pct']:.3f}",
        f"{row['rested_pct']:.3f}",
        f"{row['since_new_pct']:.1f}",
        "-" if told is None else f"{told:.1f}",
        "-" if cost is None else f"{cost:.4f}",
    )


def _json(model: WearModel, costs: list[tuple[float, float]], rows: list[dict[str, Any]]) -> str:
    by_depth = [{"depth": depth, "per_kwh": cost} for depth, cost in costs]
    return json.dumps({"model": model.title, "by_depth": by_depth, "vehicles": rows}, indent=2)
