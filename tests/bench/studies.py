"""Studies: Monte Carlo of ten years, a year of fifty vehicles into the ledger, a counterfactual night, by the
rules too, a portfolio on one worker and on two; CPU seconds, for the machine is shared.
"""

import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from tests.depot import healthy, plugged, small_site
from v2g_edge.host.kept.packing import Record
from v2g_edge.host.kept.quarters import Quarter, Quarters
from v2g_edge.model.permit import Permit
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.study.insight.change import Change
from v2g_edge.study.insight.twin import play
from v2g_edge.study.insight.whatif import night_of
from v2g_edge.study.invest.assumptions import read_assumptions
from v2g_edge.study.invest.days import nights_of_curve, values_of
from v2g_edge.study.invest.finance import irr, npv, payback_years
from v2g_edge.study.invest.montecarlo import drawn, futures
from v2g_edge.study.invest.portfolio import client, solve, tasks_of
from v2g_edge.study.invest.study import wear_of
from v2g_edge.study.ledger.backfill import backfill
from v2g_edge.study.ledger.book import State
from v2g_edge.study.ledger.extend import extend, place_of
from v2g_edge.study.ledger.store import Store

EXAMPLE = Path(__file__).parents[2] / "examples" / "roi-50-vans.toml"
VEHICLES = 50
SHARE = 20
"""A twentieth of a year is measured, and counts twenty times."""
TICK_S = 900.0
WALL_S = 1_800_000_000.0


class Ticked(NamedTuple):
    run: int
    snapshot: Snapshot
    plan: Plan | None
    permits: tuple[Permit, ...] = ()


def _ticks(site: Site, days: float, tick_s: float = TICK_S) -> Iterator[Ticked]:
    """Fifty vehicles in from evening to morning, up and down by turns; a register for each."""
    wh, a_day = [0.0] * VEHICLES, round(86_400.0 / tick_s)
    for n in range(round(days * a_day)):
        now_s, wall_s = 100.0 + n * tick_s, WALL_S + n * tick_s
        there = n % a_day > a_day * 0.3
        outlets = []
        for place in range(VEHICLES):
            power_w = (20_000.0 if (n + place) % 6 else -15_000.0) if there else 0.0
            wh[place] += max(power_w, 0.0) * tick_s / 3_600.0
            state = plugged(
                f"bus-{place + 1}", now_s, wall_s, soc_pct=Reading(40.0 + (n + place) % 50, now_s)
            )
            outlets.append(
                replace(
                    state,
                    power_w=Reading(power_w, now_s),
                    energy_import_wh=Reading(wh[place], now_s),
                    energy_export_wh=Reading(n * 10.0, now_s),
                    vehicle=state.vehicle if there else None,
                )
            )
        base = healthy(site, now_s, wall_s)
        yield Ticked(1, replace(base, seq=n, evses=tuple(outlets)), None)


def _monte_carlo() -> float:
    found = read_assumptions(EXAMPLE)
    wear = wear_of(found)
    values = values_of(nights_of_curve(found), found, wear)
    begun = time.process_time()
    made = futures(drawn(values, found), found, found.scenarios["base"], wear)
    for flows in (made.v1g, made.v2g):
        npv(flows, 0.06)
        irr(flows)
        payback_years(flows)
    return time.process_time() - begun


def _decoding(ticks: list[Ticked]) -> float:
    """What msgspec alone takes for the same records, as the journal holds them."""
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Record)
    bodies = [
        encoder.encode(
            Record(t.snapshot.seq, t.snapshot.now_s, t.snapshot.wall_s, True, t.snapshot.operator, (),
                   tuple(enumerate(t.snapshot.evses)), (), (), (), (), (), False, None, None)
        )
        for t in ticks
    ]  # fmt: skip
    begun = time.process_time()
    for body in bodies:
        decoder.decode(body)
    return time.process_time() - begun


def _backfill(site: Site, folder: Path) -> float:
    """A year as the journal keeps it: a row of each outlet and meter a quarter hour."""
    rows = Quarters(site)
    kept = [row for t in _ticks(site, 365.0 / SHARE) if (row := rows.take(t.snapshot, ())) is not None]
    packed = [msgspec.msgpack.encode(row) for row in kept]
    decode = msgspec.msgpack.Decoder(Quarter).decode
    store = Store(folder / "quarters.db")
    begun = time.process_time()
    backfill(store, lambda _start: map(decode, packed), 1e12, place_of(site), State())
    return (time.process_time() - begun) * SHARE


def _replay(site: Site) -> float:
    """A night of fifty vehicles by the depot's own rules."""
    ticks = list(_ticks(site, 1.0, 300.0))
    prices = {WALL_S + 900.0 * n: 0.10 + 0.1 * ((n // 16) % 3) for n in range(-96, 400)}
    begun = time.process_time()
    assert play(ticks, lambda _run: site, Change(), prices, WALL_S, 96) is not None
    return time.process_time() - begun


def _portfolio(workers: int) -> float:
    """CPU seconds of the busiest of the workers, 24 depots in three scenarios over a year."""
    base = replace(read_assumptions(EXAMPLE), years=1)
    depots = [(f"d{n}", replace(base, fleet=replace(base.fleet, vehicles=20 + n))) for n in range(24)]
    nights = tuple(nights_of_curve(base))
    with tempfile.TemporaryDirectory() as folder, client(workers, "", processes=True) as cluster:
        tasks = tasks_of(depots, nights, Path(folder))
        before = cluster.run(time.process_time)
        for future in [cluster.submit(solve, task, key=task.file, pure=False) for task in tasks]:
            future.result()
        return max(float(used - before[name]) for name, used in cluster.run(time.process_time).items())


def rows() -> list[tuple[str, float, str, str, float, float, str]]:
    """One row each."""
    carlo = min(_monte_carlo() for _ in range(3))
    site = small_site(VEHICLES)
    with tempfile.TemporaryDirectory() as folder:
        ticks = list(_ticks(site, 365.0 / SHARE))
        store = Store(Path(folder) / "ledger.db")
        begun = time.process_time()
        extend(store, lambda _start: iter(ticks), lambda _run: site)
        into = (time.process_time() - begun) * SHARE
        decoding = _decoding(ticks) * SHARE
        filled = _backfill(site, Path(folder))
        prices = {WALL_S + 900.0 * n: 0.10 + 0.1 * ((n // 16) % 3) for n in range(-96, 400)}
        begun = time.process_time()
        night = night_of(store, WALL_S + 86_400.0, prices, Change())
        took = time.process_time() - begun
    replay = _replay(site)
    one, two = _portfolio(1), _portfolio(2)
    whole = into + decoding
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    year = f"a year of {VEHICLES} vehicles into the ledger, a tick a quarter hour"
    what_if = f"what-if night, {night.vehicles} vehicles, {len(night.ways)} ways"
    kept = f"a year of {VEHICLES} vehicles into the ledger, as the journal keeps years"
    by_rules = f"a night by the rules, {VEHICLES} vehicles, a tick each five minutes"
    depots = "portfolio, 24 depots × 3 scenarios × a year: CPU of the busier of two workers"
    return [
        ("Monte Carlo, 10,000 × 10 years of nights", carlo, "s", "goal", 0.5, 0.5 / carlo, "≤ 0.5 s"),
        (kept, filled, "s", "goal", 60.0, 60.0 / filled, "≤ 60 s"),
        (year, whole, "s", "decoding alone", decoding, decoding / whole, "≤ 60 s"),
        (what_if, took, "s", "goal", 5.0, 5.0 / took, "≤ 5 s"),
        (
            by_rules,
            replay,
            "s",
            "goal",
            5.0,
            5.0 / replay,
            "≤ 5 s",
        ),
        (
            depots,
            two,
            "s",
            "one worker",
            one,
            one / two,
            "≥ 1.8×",
        ),
        ("peak memory of this table", mib, "MiB", "goal", 500.0, 500.0 / mib, ""),
    ]
