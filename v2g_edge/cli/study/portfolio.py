"""``v2g-edge portfolio``: the return on investment of many depots in every scenario, on Dask."""

import argparse
import hashlib
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError
from v2g_edge.cli.screen import table
from v2g_edge.cli.study.roi import nights_for
from v2g_edge.cli.study.sources import study
from v2g_edge.market.rows import BadPrices
from v2g_edge.study.invest.assumptions import AssumptionError, read_assumptions
from v2g_edge.study.wear.model import WearError


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = study(subparsers, "portfolio", "the return on investment of many depots, on Dask")
    parser.add_argument(
        "--assumptions", type=Path, required=True, metavar="FILE", help="as for `v2g-edge roi`"
    )
    parser.add_argument(
        "--depots",
        type=Path,
        required=True,
        metavar="FILE",
        help="CSV with depot, vehicles, need_kwh, charge_kw, discharge_kw, connection_kw",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="Parquet files; a later run goes on"
    )
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="processes on this machine (default 2)"
    )
    parser.add_argument(
        "--scheduler", default="", metavar="ADDRESS", help="a Dask cluster instead, like tcp://HOST:8786"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what is not done, then show the sums."""
    try:
        from v2g_edge.study.invest import portfolio  # noqa: PLC0415 - Dask and pyarrow are an extra
    except ImportError as error:
        raise CommandError("a portfolio needs Dask and pyarrow: pip install 'v2g-edge[studies]'") from error
    folder: Path = arguments.output
    try:
        base = read_assumptions(arguments.assumptions)
        nights, _notes = nights_for(base, ZoneInfo("UTC"))
        depots = portfolio.read_depots(arguments.depots, base)
    except (AssumptionError, WearError, BadPrices, portfolio.PortfolioError) as error:
        raise CommandError(str(error), BAD_INPUT) from error
    _same(folder, hashlib.sha256(portfolio.fingerprint(base, tuple(nights))).hexdigest())
    tasks = portfolio.tasks_of(depots, tuple(nights), folder)
    whole = sum(len(found.scenarios) for _, found in depots)
    print(f"{whole - len(tasks)} of {whole} are done already")
    portfolio.run(tasks, folder, workers=arguments.workers, address=arguments.scheduler, told=_progress)
    print(_text(list(portfolio.results(folder)), base.currency))
    return DONE


def _same(folder: Path, mark: str) -> None:
    """Results of other assumptions are not mixed in."""
    path = folder / "assumptions.sha256"
    if path.exists() and path.read_text(encoding="utf-8") != mark:
        raise CommandError(
            f"{folder}: holds results of other assumptions; name another folder, or empty it", BAD_INPUT
        )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(mark, encoding="utf-8")


def _progress(done: int, of: int) -> None:
    if done == of or done % max(of // 10, 1) == 0:
        print(f"{done} of {of} done", flush=True)


def _text(rows: list[dict[str, Any]], currency: str) -> str:
    sums: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        total = sums.setdefault((row["scenario"], row["way"]), [0.0, 0.0, 0.0])
        total[0] += 1.0
        total[1] += row["npv_mean"]
        total[2] += row["npv_p50"] > 0.0
    lines: list[tuple[str, ...]] = [
        (*name, f"{total[0]:.0f}", f"{total[1] / 1e3:,.0f}", f"{total[2]:.0f}")
        for name, total in sorted(sums.items())
    ]
    return "\n".join(
        table(("scenario", "way", "depots", f"mean NPV, 1,000 {currency}", "pay"), lines, frozenset({0, 1}))
    )
