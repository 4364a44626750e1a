"""Many depots × scenarios on Dask: the same code on this machine or on a cluster, with results in Parquet
that a later run goes on from.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from dask.distributed import Client, LocalCluster, as_completed
from msgspec.structs import replace

from v2g_edge.study.invest.assumptions import Assumptions, Scenario
from v2g_edge.study.invest.days import Night
from v2g_edge.study.invest.study import Result, result_of

COLUMNS: Final = ("depot", "vehicles", "need_kwh", "charge_kw", "discharge_kw", "connection_kw")
OPTIONAL: Final = frozenset(COLUMNS[2:])
"""Columns that may be left empty: the assumptions' own then."""


class PortfolioError(Exception):
    """The list of depots cannot be used; the message names each line."""


class Task(NamedTuple):
    """One depot in one scenario."""

    depot: str
    scenario: str
    found: Assumptions
    nights: tuple[Night, ...]

    @property
    def file(self) -> str:
        """The name of its results."""
        plain = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in self.depot)
        return f"{plain}.{self.scenario}.parquet"


def read_depots(path: Path, base: Assumptions) -> list[tuple[str, Assumptions]]:
    """Depots of a CSV on the base's assumptions. Raises ``PortfolioError``."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PortfolioError(f"{path}: cannot be read ({error})") from error
    found, faults, seen = [], [], dict[str, int]()
    for number, row in enumerate(rows, start=2):
        name = row.get("depot") or ""
        if not name or name in seen:
            first = f"; line {seen[name]} has it already" if name in seen else ""
            faults.append(f"{path}:{number}: depot {name!r}{first or '; a name is needed'}")
            continue
        seen[name] = number
        try:
            changes = {key: _number(key, row[key]) for key in COLUMNS[1:] if row.get(key)}
        except ValueError as error:
            faults.append(f"{path}:{number}: {error}; expected {', '.join(COLUMNS)}")
            continue
        found.append((name, replace(base, name=name, fleet=replace(base.fleet, **changes))))
    if faults or not found:
        raise PortfolioError("\n".join(faults[:12]) or f"{path}: no depots; expected {', '.join(COLUMNS)}")
    return found


def _number(key: str, text: str) -> float:
    value = float(text)
    least = 1.0 if key in {"vehicles", "charge_kw"} else 0.0
    if not least <= value <= 1e6:
        raise ValueError(f"{key} is {text}; allowed are {least:g} to 1000000")
    return int(value) if key == "vehicles" else value


def tasks_of(
    depots: Iterable[tuple[str, Assumptions]], nights: tuple[Night, ...], folder: Path
) -> list[Task]:
    """What is not done yet."""
    tasks = [Task(name, scenario, found, nights) for name, found in depots for scenario in found.scenarios]
    return [task for task in tasks if not (folder / task.file).exists()]


def solve(task: Task) -> list[dict[str, Any]]:
    """One depot in one scenario, on whatever machine."""
    scenario: Scenario = task.found.scenarios[task.scenario]
    results = result_of(task.found, list(task.nights), task.scenario, scenario)
    return [_row(task.depot, result) for result in results]


def _row(depot: str, result: Result) -> dict[str, Any]:
    irr = result.irr_pct[1] if result.irr_pct else None
    return {
        "depot": depot, "scenario": result.scenario, "way": result.way, "npv_p10": result.npv[0],
        "npv_p50": result.npv[1], "npv_p90": result.npv[2], "npv_mean": result.npv_mean,
        "positive": result.positive, "irr_pct_p50": irr, "payback_years_p50": result.payback_years[1],
        "cash_year": result.cash_year,
    }  # fmt: skip


SCHEMA: Final = pa.schema(
    [(name, pa.string()) for name in ("depot", "scenario", "way")]
    + [
        (name, pa.float64())
        for name in (
            "npv_p10", "npv_p50", "npv_p90", "npv_mean", "positive", "irr_pct_p50", "payback_years_p50",
            "cash_year",
        )
    ]
)  # fmt: skip


def run(
    tasks: list[Task],
    folder: Path,
    *,
    workers: int = 2,
    address: str = "",
    processes: bool = True,
    told: Callable[[int, int], None],
) -> None:
    """Solve what is to be done and write each result at once, whole or not at all. ``told``: (done, of)."""
    folder.mkdir(parents=True, exist_ok=True)
    if not tasks:
        return
    with client(workers, address, processes=processes) as cluster:
        by_future = {cluster.submit(solve, task, key=task.file, pure=False): task for task in tasks}
        finished = as_completed(list(by_future))  # type: ignore[no-untyped-call]
        for done, future in enumerate(finished, start=1):
            path = folder / by_future[future].file
            fresh = path.with_suffix(".new")
            pq.write_table(pa.Table.from_pylist(future.result(), SCHEMA), fresh)
            fresh.replace(path)
            told(done, len(tasks))


@contextmanager
def client(workers: int, address: str, *, processes: bool) -> Iterator[Any]:
    """A cluster by its address, or one of this machine that ends with the work."""
    if address:
        with Client(address) as joined:  # type: ignore[no-untyped-call]
            yield joined
        return
    cluster = LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=workers, threads_per_worker=1, processes=processes, dashboard_address=None
    )
    with cluster, Client(cluster) as joined:  # type: ignore[no-untyped-call]
        yield joined


def results(folder: Path) -> Iterator[dict[str, Any]]:
    """All that is done, by depot, scenario and way."""
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.parquet")):
        rows += pq.read_table(path).to_pylist()
    yield from sorted(rows, key=lambda row: (row["depot"], row["scenario"], row["way"]))


def fingerprint(found: Assumptions, nights: tuple[Night, ...]) -> bytes:
    """What a folder's results were made from: another one must not be gone on with."""
    return msgspec.json.encode([found, nights])
