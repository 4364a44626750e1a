"""``/metrics``, ``/healthz``, ``/readyz`` and the control socket's ``health``: the daemon as monitoring
sees it.
"""

import platform
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from v2g_edge.api.monitoring.exposition import Exposition, Kind, escaped, labels
from v2g_edge.api.monitoring.money import Money
from v2g_edge.api.state import DepotState, Tick
from v2g_edge.host.health import Health
from v2g_edge.host.http import Answer, Page
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import EvseState
from v2g_edge.security_events import SECURITY_EVENTS, SEEN

JOULES_PER_WH: Final = 3_600.0
"""Monitoring counts in base units."""
IDLE_W: Final = 100.0
"""A charger's own noise around zero is no export."""
SOON_S: Final = 900.0
"""An update that begins now is over by then."""


class MetricsApi:
    """Reads the depot's state and the program's health. It changes nothing. ``now_s`` is the daemon's
    monotonic clock.
    """

    def __init__(
        self, state: DepotState, health: Health, now_s: Callable[[], float], journal_lost: Callable[[], int]
    ) -> None:
        self._state = state
        self._health = health
        self._now_s = now_s
        self._journal_lost = journal_lost
        self.money: Money | None = None
        """What was sold and bought; None where nobody counts it."""

    def pages(self) -> Mapping[str, Page]:
        """What the HTTP server answers."""
        return {"/metrics": self.metrics, "/healthz": self.healthz, "/readyz": self.readyz}

    def metrics(self, accept: str) -> Answer:
        """Every number, in the format that is asked for."""
        page = Exposition(openmetrics="application/openmetrics-text" in accept)
        self._add_program(page)
        self._add_machine(page)
        tick = self._state.tick
        if tick is not None:
            add_site(page, self._state.site, tick)
            add_outlets(page, self._state.site, tick)
            if self.money is not None:
                self.money.add(page, tick)
        return Answer(HTTPStatus.OK, page.content_type, page.body())

    def healthz(self, _accept: str) -> Answer:
        """200 while ticks end, 503 otherwise."""
        return self._verdict(self._health.is_alive(self._now_s()))

    def readyz(self, _accept: str) -> Answer:
        """200 once the first whole tick is done and while ticks end; the body has the links that are up."""
        return self._verdict(self._health.is_alive(self._now_s()) and self._state.tick is not None)

    async def health(self, _params: dict[str, Any]) -> dict[str, Any]:
        """The same for people and for the updater."""
        return self._facts()

    def _verdict(self, ok: bool) -> Answer:
        status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer(status, "application/json", msgspec.json.encode(self._facts()) + b"\n")

    def _facts(self) -> dict[str, Any]:
        tick, last_s = self._state.tick, self._health.last_tick_s
        now_s = self._now_s()
        return {
            "ready": tick is not None and self._health.is_alive(now_s),
            "version": self._health.version,
            "tick_age_s": None if last_s is None else round(now_s - last_s, 3),
            "links_up": sum(state.link.connected for state in tick.snapshot.evses) if tick else 0,
            "links": len(self._state.site.evses),
            "exporting": exports(tick) if tick else False,
            "clock_synchronised": tick.snapshot.clock_synced if tick else False,
            "acting": sorted({latch.row for latch in tick.outcome.memory.envelope.latches if latch.active})
            if tick
            else [],
            "journal_lost": self._journal_lost(),
            "machine": msgspec.to_builtins(self._health.machine),
        }

    def _add_program(self, page: Exposition) -> None:
        health = self._health
        build = labels(version=health.version, python=platform.python_version())
        page.add("v2g_edge_build_info", "gauge", "The program that answers; always 1.", {build: 1})
        ready = self._state.tick is not None and health.is_alive(self._now_s())
        page.add("v2g_edge_ready", "gauge", "1 while whole ticks end.", {"": int(ready)})
        page.add_histogram("v2g_edge_tick_duration_seconds", "Time of a whole tick.", health.ticks)
        page.add_histogram(
            "v2g_edge_tick_late_seconds", "How much later than planned a tick began.", health.late
        )
        counted = {
            labels(kind=kind, severity=severity): count
            for (kind, severity), count in sorted(health.events.items())
        }
        page.add("v2g_edge_events_total", "counter", "Events by kind and severity since the start.", counted)
        trips = {
            labels(cause=kind): count
            for (kind, severity), count in sorted(health.events.items())
            if severity == "trip"
        }
        page.add("v2g_edge_trips_total", "counter", "Trips by cause since the start.", trips)
        seen = {
            labels(event=name, category=SECURITY_EVENTS[name]): count
            for name, count in sorted(SEEN.counts.items())
        }
        page.add("v2g_edge_security_events_total", "counter", "Security events since the start.", seen)
        slowest_s = {labels(event=name): after_s for name, after_s in sorted(SEEN.slowest_s.items())}
        page.add(
            "v2g_edge_security_detection_seconds",
            "gauge",
            "Longest time from the first of such acts to the line that tells it.",
            slowest_s,
        )
        lost = {"": self._journal_lost()}
        page.add("v2g_edge_journal_lost_total", "counter", "Ticks that the journal could not take.", lost)

    def _add_machine(self, page: Exposition) -> None:
        machine = self._health.machine
        for name, text, value in (
            ("v2g_edge_resident_memory_bytes", "Memory of the daemon.", machine.memory_bytes),
            (
                "v2g_edge_state_disk_free_bytes",
                "Free space where the state folder lies.",
                machine.disk_free_bytes,
            ),
            (
                "v2g_edge_state_disk_size_bytes",
                "Size of the file system of the state folder.",
                machine.disk_total_bytes,
            ),
            (
                "v2g_edge_state_bytes",
                "Size of journal, ledgers and all else in the state folder.",
                machine.state_bytes,
            ),
            ("v2g_edge_box_temperature_celsius", "Warmest sensor of the machine.", machine.temperature_c),
        ):
            if value is not None:
                page.add(name, "gauge", text, {"": value})
        ends = {labels(file=file): end_s for file, end_s in sorted(machine.certificates.items())}
        page.add("v2g_edge_certificate_expiry_timestamp_seconds", "gauge", "When a certificate ends.", ends)


def _value(measured: Measured) -> float | None:
    return measured.value if isinstance(measured, Reading) else None


def _known(values: Mapping[str, float | None]) -> dict[str, float]:
    return {at: value for at, value in values.items() if value is not None}


def add_site(page: Exposition, site: Site, tick: Tick) -> None:
    """The clock, feeders, meters and contacts; then what was decided."""
    snapshot = tick.snapshot
    page.add(
        "v2g_edge_clock_synchronised",
        "gauge",
        "1 while wall time can be trusted.",
        {"": int(snapshot.clock_synced)},
    )
    meters = dict(zip(site.meters, snapshot.meters, strict=True))
    power_w = {labels(meter=name): _value(state.power_w) for name, state in meters.items()}
    page.add("v2g_edge_meter_power_watts", "gauge", "Power at a meter; positive is drawn.", _known(power_w))
    up = {labels(meter=name): int(state.link.connected) for name, state in meters.items()}
    page.add("v2g_edge_meter_link_up", "gauge", "1 while a meter answers.", up)
    if site.grid.meter:
        grid = meters[site.grid.meter]
        page.add(
            "v2g_edge_grid_frequency_hertz",
            "gauge",
            "Grid frequency.",
            _known({"": _value(grid.frequency_hz)}),
        )
        volts = {labels(phase=f"L{i}"): _value(v) for i, v in enumerate(grid.phase_voltage_v, 1)}
        page.add("v2g_edge_grid_voltage_volts", "gauge", "Voltage to neutral.", _known(volts))
    headroom: dict[str, float] = {}
    for feeder in site.feeders:
        drawn_w = _value(meters[feeder.meter].power_w) if feeder.meter else None
        if drawn_w is not None:
            headroom[labels(feeder=feeder.id, direction="import")] = feeder.import_limit_w - drawn_w
            headroom[labels(feeder=feeder.id, direction="export")] = feeder.export_limit_w + drawn_w
    page.add(
        "v2g_edge_feeder_headroom_watts", "gauge", "Limit less measured power of a metered feeder.", headroom
    )
    closed = {
        labels(contact=n): _value(s.closed) for n, s in zip(site.contacts, snapshot.contacts, strict=True)
    }
    page.add("v2g_edge_contact_closed", "gauge", "1 while a contact is closed.", _known(closed))
    _add_decisions(page, tick)


def _add_decisions(page: Exposition, tick: Tick) -> None:
    """Standing orders, rows of the safety table that act, departures in danger, the plan."""
    snapshot, outcome = tick.snapshot, tick.outcome
    orders = {
        labels(order="stop"): int(snapshot.operator.stop),
        labels(order="hold"): int(snapshot.operator.export_hold),
    }
    page.add("v2g_edge_operator_order", "gauge", "1 while an order of a person stands.", orders)
    acting = {
        labels(row=each.row, subject=each.subject): 1.0
        for each in outcome.memory.envelope.latches
        if each.active
    }
    page.add("v2g_edge_safety_row_active", "gauge", "1 for each row of the safety table that acts.", acting)
    told = outcome.memory.envelope.departures
    risks = {
        labels(risk="impossible"): len(told.hopeless),
        labels(risk="short"): len(told.short),
        labels(risk="not_charging"): len(told.idle),
    }
    page.add(
        "v2g_edge_departures_at_risk",
        "gauge",
        "Vehicles that may leave without their charge, by reason.",
        risks,
    )
    plan = {labels(source=tick.plan.source if tick.plan else "none"): 1.0}
    page.add("v2g_edge_plan_source_info", "gauge", "Whose plan is followed.", plan)


OUTLETS: Final[tuple[tuple[str, Kind, str], ...]] = (
    ("v2g_edge_power_watts", "gauge", "Measured power; positive is into the vehicle."),
    ("v2g_edge_permit_watts", "gauge", "Permitted setpoint."),
    ("v2g_edge_wish_watts", "gauge", "What the rules would like."),
    ("v2g_edge_limit_watts", "gauge", "The most that all limits leave, by direction."),
    ("v2g_edge_limit_rule", "gauge", "1 for the rule that binds now."),
    ("v2g_edge_soc_ratio", "gauge", "State of charge, 0 to 1."),
    ("v2g_edge_energy_joules_total", "counter", "The charger's own energy register, by direction."),
    ("v2g_edge_lease_remaining_seconds", "gauge", "How long the accepted setpoint still stands."),
    ("v2g_edge_link_up", "gauge", "1 while the charger is connected."),
    ("v2g_edge_link_loss_ratio", "gauge", "Lost requests, 0 to 1."),
    ("v2g_edge_vehicle_plugged", "gauge", "1 while a vehicle is plugged in."),
    ("v2g_edge_follows_setpoint", "gauge", "0 while the charger does not do what it accepts."),
)


def add_outlets(page: Exposition, site: Site, tick: Tick) -> None:
    """A dozen series an outlet, in the order of ``OUTLETS``."""
    columns: tuple[dict[str, float], ...] = tuple({} for _ in OUTLETS)
    for evse, state, permit in zip(site.evses, tick.snapshot.evses, tick.outcome.permits, strict=True):
        _add_outlet(columns, escaped(evse.id), state, permit, tick.snapshot.now_s)
    for (family, kind, text), samples in zip(OUTLETS, columns, strict=True):
        page.add(family, kind, text, samples)


def _add_outlet(
    columns: tuple[dict[str, float], ...], name: str, state: EvseState, permit: Permit, now_s: float
) -> None:
    power, permitted, wish, limit, rule, soc, energy, lease, link, loss, plugged, follows = columns
    at, charge, discharge = (
        f'{{evse="{name}"}}',
        f'{{evse="{name}",direction="charge"}}',
        f'{{evse="{name}",direction="discharge"}}',
    )
    permitted[at], wish[at] = permit.power_w, permit.wish_w
    rule[f'{{evse="{name}",rule="{permit.bound_by.rule}"}}'] = 1
    if permit.max_w < ANY_W:
        limit[charge] = permit.max_w
    if permit.min_w > -ANY_W:
        limit[discharge] = -permit.min_w
    if isinstance(state.power_w, Reading):
        power[at] = state.power_w.value
    if isinstance(state.energy_import_wh, Reading):
        energy[charge] = state.energy_import_wh.value * JOULES_PER_WH
    if isinstance(state.energy_export_wh, Reading):
        energy[discharge] = state.energy_export_wh.value * JOULES_PER_WH
    if state.vehicle is not None and isinstance(state.vehicle.soc_pct, Reading):
        soc[at] = state.vehicle.soc_pct.value / 100.0
    lease[at] = max(state.command.lease_until_s - now_s, 0.0)
    link[at], loss[at] = int(state.link.connected), state.link.loss_pct / 100.0
    plugged[at], follows[at] = int(state.vehicle is not None), int(state.follows)


def exports(tick: Tick) -> bool:
    """Whether a vehicle gives power now, may give it, or is to give it within ``SOON_S``."""
    measured = (state.power_w for state in tick.snapshot.evses)
    if any(isinstance(power, Reading) and power.value < -IDLE_W for power in measured):
        return True
    if any(permit.power_w < 0.0 for permit in tick.outcome.permits):
        return True
    wall_s = tick.snapshot.wall_s
    slots = tick.plan.slots if tick.plan else ()
    soon = (s for s in slots if s.start_wall_s < wall_s + SOON_S and s.end_wall_s > wall_s)
    return any((s.site_w or 0.0) < 0.0 or any(w < 0.0 for _, w in s.evse_w) for s in soon)
