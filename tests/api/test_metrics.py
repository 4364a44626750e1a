"""The metrics page as a monitoring system reads it."""

import json
import re
from collections.abc import Iterable
from http import HTTPStatus

import pytest
from msgspec.structs import replace
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from tests.depot import healthy, plugged, small_site
from v2g_edge.api.monitoring.metrics import OUTLETS, SOON_S, MetricsApi, exports
from v2g_edge.api.state import DepotState, Tick
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.host.health import Health, Machine
from v2g_edge.model.event import Event
from v2g_edge.model.plan import Plan, Slot
from v2g_edge.model.reading import Reading

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
BASE_UNITS = ("watts", "joules", "seconds", "ratio", "bytes", "hertz", "volts", "celsius")


def openmetrics_families(text: str) -> list[Metric]:
    return list(openmetrics_parser.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def api(evses: int = 2, now_s: float = 100.0) -> tuple[MetricsApi, DepotState, Health]:
    """A depot after one tick, with a vehicle at the first outlet."""
    site = small_site(evses)
    snapshot = healthy(site, now_s)
    empty = [replace(state, vehicle=None) for state in snapshot.evses[1:]]
    first = replace(plugged("bus-1", now_s, snapshot.wall_s), energy_import_wh=Reading(1_000.0, now_s))
    snapshot = replace(snapshot, evses=(first, *empty))
    outcome = Cycle(site).tick(snapshot, None, Memory())
    state, health = DepotState(site), Health("1.2.3")
    state.tick = Tick(snapshot, None, outcome)
    health.record_tick(now_s - 0.004, now_s)
    health.record_events([Event("grid_trip", "trip", "grid", "", 0.0)])
    health.machine = Machine(1, 2, 3, 4, 55.0, {"/etc/depot.pem": 1e9})
    return MetricsApi(state, health, lambda: now_s, lambda: 7), state, health


def text_of(accept: str = "", evses: int = 2) -> str:
    return api(evses)[0].metrics(accept).body.decode()


def test_openmetrics_is_read_by_the_reference_parser() -> None:
    families = {family.name: family for family in openmetrics_families(text_of(OPENMETRICS))}
    assert families["v2g_edge_trips"].samples[0].labels == {"cause": "grid_trip"}
    assert families["v2g_edge_trips"].samples[0].value == 1
    assert families["v2g_edge_tick_duration_seconds"].type == "histogram"
    assert families["v2g_edge_soc_ratio"].samples[0].value == pytest.approx(0.5, abs=0.5)
    assert families["v2g_edge_link_up"].samples[0].labels["evse"]


def test_the_text_format_says_the_same() -> None:
    def samples(families: Iterable[Metric]) -> dict[object, float]:
        return {
            (each.name, tuple(sorted(each.labels.items()))): each.value
            for family in families
            for each in family.samples
        }

    assert samples(text_string_to_metric_families(text_of())) == samples(
        openmetrics_families(text_of(OPENMETRICS))
    )


def test_names_follow_the_rules_of_monitoring() -> None:
    """Prefix, base units, _total on counters and on nothing else; every family with help."""
    for family in openmetrics_families(text_of(OPENMETRICS)):
        assert re.fullmatch(r"v2g_edge_[a-z_]+", family.name)
        assert family.documentation.endswith("."), family.name
        assert not re.search(r"_(w|wh|kw|kwh|pct|ms|c|hz|v)$", family.name), family.name
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
    assert {"v2g_edge_power_watts", "v2g_edge_energy_joules_total"} <= {name for name, _, _ in OUTLETS}


def test_a_name_of_any_text_stays_one_label() -> None:
    """Subjects come from devices."""
    service, _state, health = api()
    health.record_events([Event('a"b\\c\nd', "info", "x", "", 0.0)])
    (family,) = [
        f
        for f in openmetrics_families(service.metrics(OPENMETRICS).body.decode())
        if f.name == "v2g_edge_events"
    ]
    assert 'a"b\\c\nd' in {sample.labels["kind"] for sample in family.samples}


def test_an_unknown_value_has_no_series() -> None:
    """A zero would be a lie."""
    found = {line.partition(" ")[0] for line in text_of().splitlines() if not line.startswith("#")}
    soc = [line for line in found if line.startswith("v2g_edge_soc_ratio")]
    assert len(soc) == 1, "only the outlet with a vehicle has one"


def test_before_the_first_tick_there_is_a_page_and_it_is_not_ready() -> None:
    service = MetricsApi(DepotState(small_site()), Health("1"), lambda: 5.0, lambda: 0)
    assert "v2g_edge_ready 0" in service.metrics("").body.decode()
    assert service.readyz("").status == HTTPStatus.SERVICE_UNAVAILABLE
    assert service.healthz("").status == HTTPStatus.SERVICE_UNAVAILABLE


def test_ready_says_what_an_updater_asks() -> None:
    service, _state, health = api()
    answer = service.readyz("")
    facts = json.loads(answer.body)
    assert answer.status == HTTPStatus.OK
    assert (facts["version"], facts["ready"], facts["links"], facts["journal_lost"]) == ("1.2.3", True, 2, 7)
    health.last_tick_s = -1_000.0
    assert service.readyz("").status == HTTPStatus.SERVICE_UNAVAILABLE


def test_a_scrape_of_200_chargers_has_bounded_series() -> None:
    """A dozen families an outlet, two of them in two directions."""
    lines = [line for line in text_of(evses=200).splitlines() if not line.startswith("#")]
    assert 1_500 < len(lines) < 200 * 20


@pytest.mark.parametrize(
    ("measured_w", "planned_w", "after_s", "found"),
    [
        (0.0, 0.0, 0.0, False),
        (-99.0, 0.0, 0.0, False),
        (-5_000.0, 0.0, 0.0, True),
        (0.0, -5_000.0, 0.0, True),
        (0.0, -5_000.0, SOON_S - 1.0, True),
        (0.0, -5_000.0, SOON_S + 1.0, False),
        (0.0, 5_000.0, 0.0, False),
    ],
)
def test_an_update_waits_for_export_that_flows_or_is_planned_soon(
    measured_w: float, planned_w: float, after_s: float, found: bool
) -> None:
    """Measured power counts whatever was permitted."""
    _, state, _ = api()
    tick = state.last_tick()
    begin_s = tick.snapshot.wall_s + after_s
    evse = replace(tick.snapshot.evses[0], power_w=Reading(measured_w, 100.0))
    slot = Slot(begin_s, begin_s + 600.0, ((state.site.evses[0].id, planned_w),))
    plan = Plan(1, "local", begin_s, begin_s, begin_s + 600.0, (slot,))
    permits = tuple(replace(permit, power_w=0.0) for permit in tick.outcome.permits)
    still = tick._replace(
        snapshot=replace(tick.snapshot, evses=(evse, *tick.snapshot.evses[1:])),
        plan=plan,
        outcome=replace(tick.outcome, permits=permits),
    )
    assert exports(still) is found
    exporting = replace(permits[0], power_w=-1.0)
    assert exports(still._replace(outcome=replace(still.outcome, permits=(exporting, *permits[1:]))))
