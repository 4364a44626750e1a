"""What one station means to the depot: its sessions, readings and status go to the board, whatever version it speaks.

It outlives its links: a station that reconnects without a word is recovered from what is remembered here and on disk.
"""

import math
from collections import deque
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import replace

from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.compliance import Proof
from v2g_edge.field.ocpp.der import audit
from v2g_edge.field.ocpp.facts import Identity, Needs, Sample, Session, SessionEvent, StatusReport
from v2g_edge.field.ocpp.leases import Shape
from v2g_edge.field.ocpp.messages import Version
from v2g_edge.field.ocpp.outlet import Outlet
from v2g_edge.field.ocpp.pki import SiteCa
from v2g_edge.field.ocpp.reports import Reports
from v2g_edge.field.ocpp.skew import Skew
from v2g_edge.field.ocpp.store import TransactionStore
from v2g_edge.field.ocpp.storm import Storm
from v2g_edge.field.ocpp.tokens import Status, Tokens
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.reading import NO_SAMPLE, Measured, Reading
from v2g_edge.model.settings import Station as StationSettings
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Link, VehicleState

log = structlog.get_logger()

ALIVE_STEP_S: Final = 0.2
"""The board is told of life this often at most: silence is judged in seconds, and stations send many frames in one."""

REGISTERS_S: Final = 10.0
"""Registers of a running transaction go to disk this often; the next reading carries them again, and the end does too."""

TOLD_MAX: Final = 20
"""Messages of one station kept for people to read; a device model report is one to a few of them."""
ROUTINE_TALK: Final = frozenset({"Heartbeat", "MeterValues", "TransactionEvent", "Authorize"})

SEEN_MAX: Final = 64
"""Transaction events remembered to tell repetitions: a station repeats what was not answered, which is its last few."""


class Station:
    """One configured station. Runs on the loop's thread; nothing here waits."""

    def __init__(self, settings: StationSettings, site: Site, board: Board, clock: ClockPort, store: TransactionStore) -> None:
        evses = {evse.id: evse for evse in site.evses}
        self.settings = settings
        self.outlets = {wire.ocpp_evse: Outlet(evses[wire.evse], wire) for wire in settings.outlets}
        self.identity = Identity()
        self.version: Version | None = None
        self.skew = Skew()
        self._site = site
        self._board = board
        self._clock = clock
        self._store = store
        self._alive_s = -math.inf
        self.reports = Reports()
        self.streams: dict[int, int] = {}
        self.power_monitors: dict[int, int] = {}
        self.tokens = Tokens(None)
        self.storm = Storm()
        self.authority: SiteCa | None = None
        self.encrypted = False
        self.signed = ""
        self.told: deque[dict[str, Any]] = deque(maxlen=TOLD_MAX)
        self._seen: deque[tuple[str, int, str, float | None]] = deque(maxlen=SEEN_MAX)

    # The link

    def link_up(self, version: Version) -> None:
        """A link stands. Sessions that were open go on until the station says otherwise."""
        self.version = version
        self._recall()
        for session in self._store.open_sessions(self.settings.identity):
            outlet = next((o for o in self.outlets.values() if o.evse.id == session.evse), None)
            if outlet is not None and outlet.session is None:
                self._open(outlet, session)
        self.alive()

    def link_down(self) -> None:
        """The link is gone. The tick must know at once: from now on the worst case counts."""
        self._alive_s = -math.inf
        for outlet in self.outlets.values():
            link = self._board.evse(outlet.evse.id).link
            self._board.update_evse(outlet.evse.id, urgent=True, link=replace(link, connected=False), dead_man_ok=False)

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

    def took_boot(self, identity: Identity) -> None:
        """The station started. What was set in it may be gone."""
        self.identity = identity
        self._store.remember(f"identity/{self.settings.identity}", msgspec.json.encode(identity).decode())
        self._recall()
        for outlet in self.outlets.values():
            outlet.shape = Shape()
            self._board.update_evse(outlet.evse.id, dead_man_ok=False)
        log.info(
            "station_booted",
            station=self.settings.identity,
            vendor=identity.vendor,
            model=identity.model,
            firmware=identity.firmware,
        )

    def took_status(self, report: StatusReport) -> None:
        """A status; evse 0 speaks for all outlets, and only of faults and availability."""
        for number, outlet in self.outlets.items():
            if report.ocpp_evse in (0, number):
                if report.ocpp_evse == 0 and report.status not in ("faulted", "unavailable"):
                    continue
                old = self._board.evse(outlet.evse.id)
                urgent = bool(report.fault) and report.fault != old.fault
                self._board.update_evse(outlet.evse.id, urgent=urgent, status=report.status, fault=report.fault)

    def took_session(self, event: SessionEvent) -> bool:
        """A transaction event. False when it was a repetition, which changes nothing. To be committed before it is answered."""
        key = (event.transaction, event.seq, event.phase, event.at_wall_s)
        if key in self._seen:
            return False
        self._seen.append(key)
        outlet = self._outlet_of(event)
        known = self._known(outlet, event.transaction)
        if outlet is None:
            log.warning("station_unknown_evse", station=self.settings.identity, evse=event.ocpp_evse)
            return True
        if known is not None and known.ended_wall_s is not None:
            return True  # late news of a transaction that is over: history
        wall_s = self._clock.wall_s()
        if known is None:
            started_s = event.at_wall_s if event.at_wall_s is not None else wall_s
            known = Session(self.settings.identity, event.transaction, outlet.evse.id, event.vehicle, started_s)
        session = replace(known, vehicle=event.vehicle or known.vehicle, seq=max(known.seq, event.seq))
        if event.phase == "ended":
            session = replace(session, ended_wall_s=event.at_wall_s if event.at_wall_s is not None else wall_s)
        if event.phase != "updated" or outlet.session is None:
            self._store.save(session, lasting=True)
        if event.phase == "ended":
            self._close(outlet, session)
        else:
            self._open(outlet, session, plugged=event.plugged)
        return True

    def took_samples(self, ocpp_evse: int, samples: list[Sample], *, offline: bool = False) -> None:
        """Meter values of an outlet. Only what is newer than what we have is the present; the rest is history."""
        outlet = self.outlets.get(ocpp_evse)
        if outlet is None:
            return
        now_s, wall_s = self._clock.now_s(), self._clock.wall_s()
        for sample in samples:
            if sample.at_wall_s is None:
                continue
            if not offline:
                self.skew.learn(sample.at_wall_s, wall_s, now_s)
            at_s = self.skew.sampled_s(sample.at_wall_s, wall_s, now_s)
            if at_s is not None:
                self._measured(outlet, sample, at_s)

    def took_needs(self, ocpp_evse: int, needs: Needs) -> bool:
        """What the vehicle at an outlet needs; it may come before its transaction. False for an outlet we do not have."""
        outlet = self.outlets.get(ocpp_evse)
        if outlet is None:
            return False
        if outlet.session is None:
            outlet.early_needs = needs
            return True
        outlet.session = replace(outlet.session, needs=needs)
        self._store.save(outlet.session, lasting=True)
        self._board.update_vehicle(outlet.evse.id, **self._readings(outlet, outlet.session))
        return True

    def transaction_at(self, ocpp_evse: int) -> str:
        """The open transaction at an outlet, "" when there is none."""
        outlet = self.outlets.get(ocpp_evse)
        return outlet.session.transaction if outlet is not None and outlet.session is not None else ""

    def evse_of(self, transaction: str) -> int:
        """The outlet number of an open transaction, 0 when it is not open here."""
        for number, outlet in self.outlets.items():
            if outlet.session is not None and outlet.session.transaction == transaction:
                return number
        return 0

    def transaction_id(self, ocpp_evse: int, token: str, at_wall_s: float | None, meter_wh: int) -> int:
        """The id of a 1.6 transaction: the one given before when a station repeats its start, else a new one."""
        key = f"start/{self.settings.identity}/{ocpp_evse}"
        start = f"{token}/{at_wall_s}/{meter_wh}"
        number, _, last = self._store.fact(key).partition(" ")
        if last == start:
            return int(number)
        given = self._store.next_transaction()
        self._store.remember(key, f"{given} {start}")
        return given

    def remember_told(self, action: str, payload: dict[str, Any]) -> None:
        """Keep the last reports, events and notifications for people to read."""
        if action not in ROUTINE_TALK:
            self.told.append({"wall_s": self._clock.wall_s(), "action": action, "payload": payload})

    def pending_s(self) -> int:
        """0 when a boot is accepted now, else how long the station shall wait."""
        return self.storm.pending_s(self.settings.identity, self._clock.now_s())

    def authorise(self, identifier: str) -> Status:
        """Whether an identifier may charge."""
        return self.tokens.status(identifier, self._clock.wall_s())

    def took_der_alarm(self, fault: str, *, ended: bool) -> None:
        """The charger's own protection speaks (2.1): its outlets are faulted until the alarm ends."""
        log.warning("der_alarm", station=self.settings.identity, fault=fault, ended=ended)
        for outlet in self.outlets.values():
            self._board.update_evse(outlet.evse.id, urgent=not ended, fault="" if ended else f"DER {fault}")

    def took_der_report(self, report: dict[str, Any]) -> None:
        """Grid-code settings as the charger has them; what differs from the site's denies export (design 4.7)."""
        code = self._site.grid.profile
        differs = audit(report, code) if code is not None else []
        for text in differs:
            log.error("grid_code_differs", station=self.settings.identity, what=text)
        for outlet in self.outlets.values():
            if differs or report.get("curve") or report.get("enterService"):
                self._board.update_evse(outlet.evse.id, grid_code_ok=not differs)

    def open_stream(self, stream: int, monitor: int) -> bool:
        """A stream of a monitored value; only power that we asked for is of use."""
        evse = self.power_monitors.get(monitor)
        if evse is not None:
            self.streams[stream] = evse
        return evse is not None

    def took_request(self, csr_pem: str) -> bool:
        """A request for a certificate. The chain waits in ``signed`` until it is sent. Refused over a link without TLS."""
        if self.authority is None or not self.encrypted:
            log.warning("certificate_request_refused", station=self.settings.identity, why="no site authority, or no TLS")
            return False
        try:
            self.signed = self.authority.sign_request(csr_pem, self.settings.identity, self._clock.wall_s())
        except ValueError as fault:
            log.warning("certificate_request_refused", station=self.settings.identity, why=str(fault))
            return False
        return True

    # What is learnt of its make

    def proof_changed(self, outlet: Outlet) -> None:
        """Remember for all stations of this make whether it discharges."""
        proof, kind = outlet.watch.proof, self.identity.kind()
        self._store.remember(f"discharge/{self.version}/{kind}", proof)
        self._board.update_evse(outlet.evse.id, urgent=proof == "refuted", proven_discharge=proof == "proven")
        if proof == "refuted":
            log.error("discharge_refuted", evse=outlet.evse.id, make=kind, why="it charged while discharge was commanded")
        else:
            log.info("discharge_proven", evse=outlet.evse.id, make=kind)

    def forget_proof(self) -> None:
        """A person wants the make tried again (new cabling, new firmware under the old name)."""
        self._store.remember(f"discharge/{self.version}/{self.identity.kind()}", "unknown")
        self._recall()

    def make_proof(self) -> Proof:
        """What is known of this make; a sibling may have proven it meanwhile."""
        known = self._store.fact(f"discharge/{self.version}/{self.identity.kind()}")
        return "proven" if known == "proven" else "refuted" if known == "refuted" else "unknown"

    def _recall(self) -> None:
        known = self._store.fact(f"identity/{self.settings.identity}")
        if known and self.identity == Identity():
            self.identity = msgspec.json.decode(known, type=Identity)
        for outlet in self.outlets.values():
            outlet.watch.proof = self.make_proof()
            self._board.update_evse(outlet.evse.id, proven_discharge=outlet.watch.proof == "proven")

    # Inside

    def _outlet_of(self, event: SessionEvent) -> Outlet | None:
        number = event.ocpp_evse or self.evse_of(event.transaction)
        if number:
            return self.outlets.get(number)
        stored = self._store.session(self.settings.identity, event.transaction)
        if stored is not None:
            return next((o for o in self.outlets.values() if o.evse.id == stored.evse), None)
        return next(iter(self.outlets.values())) if len(self.outlets) == 1 else None

    def _known(self, outlet: Outlet | None, transaction: str) -> Session | None:
        if outlet is not None and outlet.session is not None and outlet.session.transaction == transaction:
            return outlet.session
        return self._store.session(self.settings.identity, transaction)

    def _open(self, outlet: Outlet, session: Session, *, plugged: bool | None = None) -> None:
        evse = outlet.evse.id
        if outlet.session is None and outlet.early_needs != Needs():
            session = replace(session, needs=outlet.early_needs)
            outlet.early_needs = Needs()
            self._store.save(session, lasting=True)
        outlet.session = session
        present = self._board.evse(evse).vehicle
        if plugged is False:
            self._board.unplug(evse)
        elif present is None or present.session != session.transaction:
            vehicle = VehicleState(session.transaction, session.vehicle, session.started_wall_s)
            self._board.plug_in(evse, replace(vehicle, **self._readings(outlet, session)))
            log.info("vehicle_plugged_in", evse=evse, vehicle=session.vehicle, transaction=session.transaction)
        elif present.vehicle != session.vehicle:
            self._board.update_vehicle(evse, vehicle=session.vehicle, **self._readings(outlet, session))

    def _close(self, outlet: Outlet, session: Session) -> None:
        if outlet.session is None or outlet.session.transaction == session.transaction:
            outlet.session, outlet.early_needs = None, Needs()
            outlet.watch.new_session()
            self._board.unplug(outlet.evse.id)
            log.info("vehicle_left", evse=outlet.evse.id, vehicle=session.vehicle, transaction=session.transaction)

    def _readings(self, outlet: Outlet, session: Session) -> dict[str, Measured]:
        """The needs as readings of now. What a wire cannot say at all, the site file says (1.6 and 2.0.1: discharge power)."""
        needs, now_s = session.needs, self._clock.now_s()
        gives_w = needs.max_discharge_w
        if gives_w is None and self.version != "2.1":
            types = {kind.id: kind for kind in self._site.vehicle_types}
            vehicle = next((v for v in self._site.vehicles if v.id == session.vehicle), None)
            kind = types.get(vehicle.type) if vehicle else None
            gives_w = min(kind.max_discharge_w, outlet.evse.max_discharge_w) if kind else None
        said = {
            "departure_wall_s": needs.departure_wall_s,
            "target_soc_pct": needs.target_soc_pct,
            "soc_pct": needs.soc_pct,
            "capacity_wh": needs.capacity_wh,
            "max_charge_w": needs.max_charge_w,
            "max_discharge_w": gives_w,
        }
        return {name: Reading(value, now_s) for name, value in said.items() if value is not None}

    def _measured(self, outlet: Outlet, sample: Sample, at_s: float) -> None:
        evse = outlet.evse.id
        state = self._board.evse(evse)
        values = (("power_w", sample.power_w), ("energy_import_wh", sample.import_wh), ("energy_export_wh", sample.export_wh))
        changes: dict[str, Any] = {
            name: Reading(value, at_s) for name, value in values if value is not None and _newer(at_s, getattr(state, name))
        }
        if changes:
            self._board.update_evse(evse, **changes)
        if sample.power_w is not None and "power_w" in changes:
            before = outlet.watch.proof
            if outlet.watch.measured(sample.power_w, at_s) != before:
                self.proof_changed(outlet)
        vehicle = state.vehicle
        if vehicle is not None:
            facts = {
                name: Reading(value, at_s)
                for name, value, old in (("soc_pct", sample.soc_pct, vehicle.soc_pct), ("pack_c", sample.pack_c, vehicle.pack_c))
                if value is not None and _newer(at_s, old)
            }
            if facts:
                self._board.update_vehicle(evse, **facts)
        if outlet.session is not None and (sample.import_wh is not None or sample.export_wh is not None):
            outlet.session = replace(
                outlet.session,
                import_wh=sample.import_wh if sample.import_wh is not None else outlet.session.import_wh,
                export_wh=sample.export_wh if sample.export_wh is not None else outlet.session.export_wh,
            )
            now_s = self._clock.now_s()
            if now_s - outlet.saved_s >= REGISTERS_S:
                outlet.saved_s = now_s
                self._store.save(outlet.session, lasting=False)


def _newer(at_s: float, old: Measured) -> bool:
    return old is NO_SAMPLE or not isinstance(old, Reading) or at_s >= old.at_s
