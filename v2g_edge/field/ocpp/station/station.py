"""What one station means to the depot: its sessions, readings and status go to the board, whatever version it
speaks.

It outlives its links: a station that reconnects without a word is recovered from what is remembered here and
on disk.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import structlog
from msgspec.structs import replace

from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.station.measured_power import measured_power
from v2g_edge.field.ocpp.station.outlet import Outlet, RemoteStart
from v2g_edge.field.ocpp.station.sessions import Sessions
from v2g_edge.field.ocpp.station.sign_certificate import SigningRequests
from v2g_edge.field.ocpp.station.station21 import Station21
from v2g_edge.field.ocpp.station.station_model import StationModel
from v2g_edge.field.ocpp.station.store import TransactionStore
from v2g_edge.field.ocpp.trust.tokens import Token, Tokens
from v2g_edge.field.ocpp.vocabulary.clock_skew import AGREE_S, ClockSkew
from v2g_edge.field.ocpp.vocabulary.facts import Identity, Needs, Sample, SessionEvent, StatusReport
from v2g_edge.field.ocpp.vocabulary.last_messages import LastMessages
from v2g_edge.field.ocpp.vocabulary.reports import Reports
from v2g_edge.field.ocpp.wire.boot_throttle import BootThrottle
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.model.event import Event
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.settings import StationSettings
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import CommandState, Link
from v2g_edge.model.tree import spreads_evenly

log = structlog.get_logger()

ALIVE_STEP_S: Final = 0.2
"""The board gets signs of life this often at most: silence is judged in seconds, and stations send many
frames in one.
"""

UNKNOWN_OUTLETS_MAX: Final = 8
"""Outlets of one station that the site file does not name, and that are told: no more have one housing."""

ROUTINE_TALK: Final = frozenset({"Heartbeat", "MeterValues", "TransactionEvent", "Authorize"})


class Station:
    """One configured station. Runs on the loop's thread; nothing here waits."""

    def __init__(
        self, settings: StationSettings, site: Site, board: Board, clock: ClockPort, store: TransactionStore
    ) -> None:
        evses = {evse.id: evse for evse in site.evses}
        self.settings = settings
        self.outlets = {wire.ocpp_evse: Outlet(evses[wire.evse], wire) for wire in settings.outlets}
        self.model = StationModel(settings, self.outlets, board, store)
        self.sessions = Sessions(self.model, self.outlets, site, board, clock, store)
        for outlet in self.outlets.values():
            self.model.recall_default(outlet)
        self._site = site
        self._board = board
        self._clock = clock
        self._alive_s = -math.inf
        self.reports = Reports(settings.identity)
        self.v21 = Station21(settings.identity, self.outlets, site, board, clock)
        self.tokens = Tokens(None)
        self.boot_throttle = BootThrottle()
        self.requests = SigningRequests(settings.identity, clock)
        self.last_messages = LastMessages()
        self.on_doubt: Callable[[], None] = lambda: None
        self._unknown_outlets: set[int] = set()
        self.unstamped_s: float | None = None
        """Since when its readings have had no time that can be read."""

    @property
    def asks_currents(self) -> bool:
        """Whether it matters on which phases a vehicle draws: a feeder has limits per phase, and an outlet
        does not load its phases alike.
        """
        limited = any(feeder.current is not None for feeder in self._site.feeders)
        return limited and not all(spreads_evenly(outlet.evse) for outlet in self.outlets.values())

    def take_site(self, site: Site) -> None:
        """Another site of the same outlets."""
        self._site = self.v21.site = site
        self.sessions.take_site(site)

    @property
    def identity(self) -> Identity:
        """The identity that it reported."""
        return self.model.identity

    @property
    def clock_skew(self) -> ClockSkew:
        """How far its clock is from ours."""
        return self.model.clock_skew

    @property
    def version(self) -> Version | None:
        """What it spoke last, None before its first link."""
        return self.model.version

    # The link

    def link_up(self, version: Version) -> None:
        """A link stands. Sessions that were open go on until the station says otherwise."""
        self.model.version = version
        self.v21.link_up()
        self.model.recall()
        self.sessions.recall()
        for outlet in self.outlets.values():
            outlet.unconfirmed = outlet.session is not None
        self.alive()

    def link_down(self) -> None:
        """The link is gone. The tick must know at once: from now on the worst case counts."""
        self._alive_s = -math.inf
        for outlet in self.outlets.values():
            link = self._board.evse(outlet.evse.id).link
            self._board.update_evse(
                outlet.evse.id, urgent=True, link=replace(link, connected=False), dead_man_ok=False
            )

    def alive(self, loss_pct: float | None = None) -> None:
        """Something arrived from the station."""
        now_s = self._clock.now_s()
        if loss_pct is None and 0.0 <= now_s - self._alive_s < ALIVE_STEP_S:
            return
        self._alive_s = now_s
        for outlet in self.outlets.values():
            old = self._board.evse(outlet.evse.id).link
            link = Link(True, True, now_s, old.loss_pct if loss_pct is None else loss_pct)
            if link != old:
                self._board.update_evse(outlet.evse.id, link=link)

    # What it says

    def on_boot(self, identity: Identity) -> None:
        """The station started. What was set in it may be gone."""
        self.model.on_identity(identity)
        self.v21.booted()
        for outlet in self.outlets.values():
            outlet.started_anew()
            outlet.unconfirmed = outlet.session is not None
            outlet.watch.restarted(self._clock.now_s())
            # Nothing that was sent to it counts any more: the writer sends it again at once.
            self._board.update_evse(outlet.evse.id, dead_man_ok=False, command=CommandState())
        log.info(
            "station_booted",
            station=self.settings.identity,
            vendor=identity.vendor,
            model=identity.model,
            firmware=identity.firmware,
        )

    def on_status(self, report: StatusReport) -> None:
        """A status; evse 0 speaks for all outlets, and only of faults and availability: well again, each
        is what it said last.
        """
        for number, outlet in self.outlets.items():
            shown: StatusReport | None = None
            if report.ocpp_evse == number and report.ocpp_connector in (0, outlet.wire.ocpp_connector):
                shown = outlet.reported = report
            elif report.ocpp_evse == 0:
                shown = report if report.status in ("faulted", "unavailable") else outlet.reported
            if shown is not None:
                before = self._board.evse(outlet.evse.id)
                fault = shown.fault or self.v21.fault()
                urgent = bool(fault) and fault != before.fault
                self._board.update_evse(outlet.evse.id, urgent=urgent, status=shown.status, fault=fault)
                if shown is report and report.ocpp_evse == number:
                    self._heed(outlet, report)

    def _heed(self, outlet: Outlet, report: StatusReport) -> None:
        """What an outlet's own status says of the transaction that we take to be open there (rule 15).

        Free, finishing, or preparing after a start of the station: it is over, though no end was reported.
        Running: it goes on.
        """
        session = outlet.session
        if report.stage != "preparing" and report.status != "occupied":
            outlet.start = RemoteStart()
        if session is None or (report.at_wall_s is not None and report.at_wall_s < session.started_wall_s):
            return
        if report.stage == "running":
            outlet.unconfirmed = False
        elif report.stage == "finishing":
            self.sessions.presume_over(outlet, "the station is finishing", report.at_wall_s)
        elif report.stage == "preparing" and outlet.unconfirmed:
            self.sessions.presume_over(outlet, "the station prepares another one", report.at_wall_s)
        elif report.status == "available":
            self.settle(outlet)
        elif report.status == "occupied" and outlet.unconfirmed and self.version != "1.6":
            self.doubt_transaction(outlet)  # it cannot say more in a status

    def settle(self, outlet: Outlet) -> None:
        """A plugged-in vehicle at an outlet that is called free has left; while power flows, the meter is
        believed.
        """
        present = outlet.session is not None and self._board.evse(outlet.evse.id).vehicle is not None
        if present and outlet.reported.status == "available" and not self.sessions.draws_power(outlet):
            self.sessions.presume_over(
                outlet, "the station says that the outlet is free", outlet.reported.at_wall_s
            )

    def confirm(self, transaction: str) -> None:
        """The station named a transaction as one that runs."""
        for outlet in self.outlets.values():
            if outlet.session is not None and outlet.session.transaction == transaction:
                outlet.unconfirmed, outlet.doubts = False, 0

    def unknown_end(self, transaction: str) -> None:
        """The end of a transaction that is not open here: acknowledged, and written down."""
        open_here = [
            outlet.session.transaction for outlet in self.outlets.values() if outlet.session is not None
        ]
        log.warning(
            "unknown_transaction_ended",
            station=self.settings.identity,
            transaction=transaction[:64],
            open=open_here,
        )

    def doubt_transaction(self, outlet: Outlet) -> None:
        """The station says that the transaction at an outlet is not running: its link asks it, and then it
        is over.
        """
        outlet.doubts += 1
        self.on_doubt()

    def waiting(self) -> list[int]:
        """The outlets at which a vehicle waits for a remote start that is due now."""
        if not self.model.quirk.remote_start:
            return []
        now_s = self._clock.now_s()
        return [
            number
            for number, outlet in self.outlets.items()
            if self._waits(outlet) and now_s >= outlet.start.due_s
        ]

    def _waits(self, outlet: Outlet) -> bool:
        occupied = outlet.reported.status == "occupied" and outlet.reported.stage in ("", "preparing")
        return outlet.session is None and occupied

    def on_samples(
        self, ocpp_evse: int, samples: list[Sample], *, offline: bool = False, last: bool = False
    ) -> None:
        """Meter values of an outlet. Only what is newer than what we have is the present; the rest is
        history.

        ``last``: taken at the end of the transaction, whose registers they are whenever they come.
        """
        outlet = self.outlets.get(ocpp_evse)
        if outlet is None:
            return
        now_s, wall_s = self._clock.now_s(), self._clock.wall_s()
        newest_wall_s = max(
            (sample.at_wall_s for sample in samples if sample.at_wall_s is not None), default=None
        )
        if samples and not last:
            since_s = now_s if self.unstamped_s is None else self.unstamped_s
            self.unstamped_s = since_s if newest_wall_s is None else None
        if newest_wall_s is not None and not offline:
            before_s = self.clock_skew.offset_s
            self.clock_skew.learn(newest_wall_s, wall_s, now_s, ocpp_evse)
            self.model.keep_clock()
            if abs(self.clock_skew.offset_s - before_s) > AGREE_S:
                self.sessions.clock_learnt()
        for told in samples:
            sample = told.registers_times(self.model.quirk.energy_factor)
            if last:
                self.sessions.on_registers(outlet, sample)
            if sample.at_wall_s is None:
                continue
            at_s = self.clock_skew.sampled_s(sample.at_wall_s, wall_s, now_s)
            if at_s is not None:
                self._measured(outlet, sample, at_s)

    def on_session(self, event: SessionEvent) -> bool:
        """A transaction event. False when it was a repetition, which changes nothing. To be committed
        before it is answered.
        """
        if event.at_wall_s is not None and not event.offline:
            self.clock_skew.saw(event.at_wall_s, self._clock.wall_s())
            self.model.keep_clock()
        if event.ocpp_evse and event.ocpp_evse not in self.outlets:
            self._tell_unknown_outlet(event.ocpp_evse)
        return self.sessions.took(event)

    def _tell_unknown_outlet(self, number: int) -> None:
        """What flows at an outlet that the site file does not name has no limit of ours, and is not counted
        there.
        """
        if number in self._unknown_outlets or len(self._unknown_outlets) >= UNKNOWN_OUTLETS_MAX:
            return
        self._unknown_outlets.add(number)
        text = (
            f"a transaction at outlet {number} of station {self.settings.identity}, which the site file does"
            " not name: what is charged there has no limit and counts as base load. Mend: add it to"
            " stations.outlets, or lock it"
        )
        self._board.announce(Event("outlet_unknown", "warning", "site", text, 0.0))

    def on_needs(self, ocpp_evse: int, needs: Needs) -> bool:
        """What the vehicle at an outlet needs. False for an outlet we do not have."""
        return self.sessions.on_needs(ocpp_evse, needs)

    def remember_told(self, action: str, payload: dict[str, Any]) -> None:
        """Keep the last reports, events and notifications for people to read."""
        if action not in ROUTINE_TALK:
            self.last_messages.add(self._clock.wall_s(), action, payload)

    def now_s(self) -> float:
        """Monotonic time, for the parts that attend to it."""
        return self._clock.now_s()

    def pending_s(self) -> int:
        """0 when a boot is accepted now, else how long the station shall wait."""
        return self.boot_throttle.pending_s(self.settings.identity, self._clock.now_s())

    def authorise(self, identifier: str) -> Token:
        """Whether an identifier may charge, until when, and the group it belongs to."""
        return self.tokens.find(identifier, self._clock.wall_s())

    # Inside

    def _measured(self, outlet: Outlet, sample: Sample, at_s: float) -> None:
        evse = outlet.evse.id
        state = self._board.evse(evse)
        changes: dict[str, Any] = {}
        power_w, since_s, source = measured_power(outlet, sample, at_s)
        if power_w is not None and _newer(at_s, state.power_w):
            changes |= {"power_w": Reading(power_w, at_s), "power_source": source}
        if sample.import_wh is not None and _newer(at_s, state.energy_import_wh):
            changes["energy_import_wh"] = Reading(sample.import_wh, at_s)
        if sample.export_wh is not None and _newer(at_s, state.energy_export_wh):
            changes["energy_export_wh"] = Reading(sample.export_wh, at_s)
        if changes:
            self._board.update_evse(evse, **changes)
        if "power_w" in changes and power_w is not None:
            before = outlet.watch.proof
            outlet.watch.measured(power_w, at_s, since_s=since_s, proves=source != "currents")
            self.model.judged(outlet, before)
        vehicle = state.vehicle
        if vehicle is not None:
            facts: dict[str, Any] = {}
            if sample.soc_pct is not None and _newer(at_s, vehicle.soc_pct):
                facts["soc_pct"] = Reading(sample.soc_pct, at_s)
            if sample.pack_c is not None and _newer(at_s, vehicle.pack_c):
                facts["pack_c"] = Reading(sample.pack_c, at_s)
            if sample.phase_w is not None and "power_w" in changes:
                seen = outlet.seen_phases.add(vehicle.session, sample.phase_w)
                if seen != vehicle.phases:
                    facts["phases"] = seen
            if facts:
                self._board.update_vehicle(evse, **facts)
        self.sessions.on_registers(outlet, sample)


def _newer(at_s: float, old: Measured) -> bool:
    return not isinstance(old, Reading) or at_s >= old.at_s
