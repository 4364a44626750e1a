"""Studies: Monte Carlo of ten years, a year of fifty vehicles into the ledger, a counterfactual night; CPU
seconds of one core.
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
from v2g_edge.model.permit import Permit
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.study.insight.change import Change
from v2g_edge.study.insight.whatif import night_of
from v2g_edge.study.invest.assumptions import read_assumptions
from v2g_edge.study.invest.days import nights_of_curve, values_of
from v2g_edge.study.invest.finance import irr, npv, payback_years
from v2g_edge.study.invest.montecarlo import drawn, futures
from v2g_edge.study.invest.study import wear_of
from v2g_edge.study.ledger.extend import extend
from v2g_edge.study.ledger.store import Store

EXAMPLE = Path(__file__).parents[2] / "examples" / "roi-50-vans.toml"
VEHICLES = 50
SHARE = 20
"""A twentieth of a year is measured, and counts twenty times."""
TICK_S = 900.0
WALL_S = 1_800_000_000.0
DAY_TICKS = round(86_400.0 / TICK_S)


class Ticked(NamedTuple):
    run: int
    snapshot: Snapshot
    plan: Plan | None
    permits: tuple[Permit, ...] = ()


def _ticks(site: Site, days: float) -> Iterator[Ticked]:
    """Fifty vehicles in from evening to morning, up and down by turns; a register for each."""
    wh = [0.0] * VEHICLES
    for n in range(round(days * DAY_TICKS)):
        now_s, wall_s = 100.0 + n * TICK_S, WALL_S + n * TICK_S
        there = n % DAY_TICKS > DAY_TICKS * 0.3
        outlets = []
        for place in range(VEHICLES):
            power_w = (20_000.0 if (n + place) % 6 else -15_000.0) if there else 0.0
            wh[place] += max(power_w, 0.0) * TICK_S / 3_600.0
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
        prices = {WALL_S + 900.0 * n: 0.10 + 0.1 * ((n // 16) % 3) for n in range(-96, 400)}
        begun = time.process_time()
        night = night_of(store, WALL_S + 86_400.0, prices, Change())
        took = time.process_time() - begun
    whole = into + decoding
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    year = f"a year of {VEHICLES} vehicles into the ledger, a tick a quarter hour"
    what_if = f"what-if night, {night.vehicles} vehicles, {len(night.ways)} ways"
    return [
        ("Monte Carlo, 10,000 × 10 years of nights", carlo, "s", "goal", 0.5, 0.5 / carlo, "≤ 0.5 s"),
        (year, whole, "s", "decoding alone", decoding, decoding / whole, "≤ 60 s"),
        (what_if, took, "s", "goal", 5.0, 5.0 / took, "≤ 5 s"),
        ("peak memory of this table", mib, "MiB", "goal", 500.0, 500.0 / mib, ""),
    ]
