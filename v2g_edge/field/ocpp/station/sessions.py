"""The transactions of one station: they outlive links and restarts, and a repetition or late news changes
nothing.
"""

from collections.abc import Callable, Mapping
from typing import Final

import structlog
from msgspec.structs import replace

from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.station.outlet import Outlet, RemoteStart
from v2g_edge.field.ocpp.station.site_vehicles import SiteVehicles
from v2g_edge.field.ocpp.station.station_model import StationModel
from v2g_edge.field.ocpp.station.station_time import came_at, leaves_at_once
from v2g_edge.field.ocpp.station.store import TransactionStore
from v2g_edge.field.ocpp.vocabulary.facts import TEXT_MAX, Needs, Sample, Session, SessionEvent, readable
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import VehicleState

log = structlog.get_logger()

REGISTERS_S: Final = 10.0
"""Registers of a running transaction go to disk this often; the next reading carries them again, and the
end does too.
"""

SEEN_MAX: Final = 64
"""Transaction events remembered to recognise repetitions: a station repeats what was not answered, which
is its last few.
"""

OPEN_MAX: Final = 50
"""Transactions of a station that run at no outlet and have not ended, as queued news of a station that was
offline: so many are waited for. Older ones' ends are lost.
"""

FLOWS_W: Final = 500.0
FLOWS_S: Final = 15.0
"""Power above metering noise, in a reading so young (three reports at the interval that we ask for): a
vehicle is there.
"""

NOWHERE: Final = ""
"""The EVSE of a transaction that was begun by a card alone (2.x, TxStartPoint Authorized): it is reported
when the cable is in.
"""


class Sessions:
    """Which vehicles are plugged in at the outlets of one station (by OCPP evse number), kept on disk and
    put on the board.
    """

    def __init__(
        self,
        make: StationModel,
        outlets: Mapping[int, Outlet],
        site: Site,
        board: Board,
        clock: ClockPort,
        store: TransactionStore,
    ) -> None:
        self._model = make
        self._outlets = outlets
        self._board = board
        self._clock = clock
        self._store = store
        self._vehicles = SiteVehicles(site)
        self.elsewhere: Callable[[str, str], bool] = lambda _vehicle, _evse: False
        self.moved: Callable[[str, str, float], None] = self.leave
        self._seen: dict[tuple[str, int, str, float | None], None] = {}

    def take_site(self, site: Site) -> None:
        """Take another site of the same outlets: vehicles that plug in from now on are looked up there."""
        self._vehicles.take_site(site)

    def recall(self) -> None:
        """Sessions that were open go on until the station says otherwise."""
        for session in reversed(
            self._store.open_sessions(self._model.station)
        ):  # the newest is the one that runs
            outlet = next((o for o in self._outlets.values() if o.evse.id == session.evse), None)
            if outlet is not None and outlet.session is None:
                self._open(outlet, session)

    def took(self, event: SessionEvent) -> bool:
        """A transaction event. False when it was a repetition, which changes nothing. To be committed
        before it is answered.
        """
        if len(event.transaction) > TEXT_MAX:
            raise ValueError(
                f"the name of a transaction has at most {TEXT_MAX} signs, found {len(event.transaction)}"
            )
        key = (event.transaction, event.seq, event.phase, event.at_wall_s)
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        outlet = self._outlet_of(event)
        if outlet is None and event.ocpp_evse:
            log.warning("station_unknown_evse", station=self._model.station, evse=event.ocpp_evse)
            return True
        known = self._known(outlet, event.transaction)
        if known is not None and known.ended_wall_s is not None:
            known = self._again(known, event)
            if known is not None and known.ended_wall_s is not None:
                return True  # late news of a transaction that is over: history
        session = self._told(known, event, outlet.evse.id if outlet is not None else NOWHERE)
        if event.phase != "updated" or outlet is None or outlet.session is None:
            self._store.save(session, lasting=True)
        if outlet is None:
            self._end_forgotten()
            return True
        if event.phase == "ended":
            self._close(outlet, session)
            outlet.had_transaction()
        elif not self._is_past(outlet, session, event):
            self._supersede(outlet, session)
            self._open(outlet, session, plugged=event.plugged, begins=not event.offline)
        else:
            self._end_forgotten()
        return True

    def _again(self, known: Session, event: SessionEvent) -> Session | None:
        """A transaction that was over is reported again: as it goes on, None when its number is used anew,
        unchanged as history.

        One whose end was presumed goes on, or is given its true end. Another vehicle may have come, or this
        one be elsewhere.
        """
        told_wall_s = event.at_wall_s if event.at_wall_s is not None else event.told_wall_s
        later = (
            told_wall_s is not None and known.ended_wall_s is not None and told_wall_s > known.ended_wall_s
        )
        if known.presumed and event.phase == "ended":
            self._store.save(
                replace(known, ended_wall_s=event.at_wall_s or known.ended_wall_s, presumed=False),
                lasting=True,
            )
            return known
        if not later:
            return known
        if event.phase == "started":
            log.warning(
                "transaction_id_used_again", station=self._model.station, transaction=event.transaction
            )
            return None
        if not known.presumed or any(
            o.session is not None for o in self._outlets.values() if o.evse.id == known.evse
        ):
            return known
        log.warning(
            "transaction_goes_on", station=self._model.station, transaction=known.transaction, evse=known.evse
        )
        for outlet in self._outlets.values():
            if outlet.evse.id == known.evse:
                outlet.reported = replace(
                    outlet.reported, status="occupied"
                )  # until it says anew that it is free
        vehicle = "" if self.elsewhere(known.vehicle, known.evse) else known.vehicle
        return replace(known, ended_wall_s=None, presumed=False, vehicle=vehicle)

    def presume_over(self, outlet: Outlet, why: str, at_wall_s: float | None = None) -> None:
        """Another fact has refuted the transaction that was open here, though no end was reported: it is over
        (rule 15).

        To be committed, as a transaction event.
        """
        session = outlet.session
        if session is None:
            return
        # By a clock that is a guess any later message of the station might pass for an old one.
        skew = self._model.clock_skew
        guessed = not (skew.known or self._clock.synced())
        now_wall_s = session.started_wall_s if guessed else self._clock.wall_s() + skew.offset_s
        ended_wall_s = at_wall_s if at_wall_s is not None else now_wall_s
        over = replace(session, ended_wall_s=max(ended_wall_s, session.started_wall_s), presumed=True)
        self._store.save(over, lasting=True)
        log.warning(
            "transaction_presumed_over", evse=outlet.evse.id, transaction=session.transaction, why=why
        )
        self._close(outlet, over)

    def leave(self, vehicle: str, evse: str, came_wall_s: float) -> None:
        """A vehicle has come to outlet ``evse``, by our clock: it stands at none of these any more. Where
        power flows, another one does.
        """
        for outlet in self._outlets.values():
            session = outlet.session
            if outlet.evse.id == evse or session is None or session.vehicle != vehicle:
                continue
            if self._came_wall_s(session) > came_wall_s or self.draws_power(outlet):
                log.warning("vehicle_at_two_outlets", vehicle=vehicle, evse=outlet.evse.id, other=evse)
                outlet.session = replace(session, vehicle="")
                self._store.save(outlet.session, lasting=True)
                self._board.update_vehicle(outlet.evse.id, vehicle="")
            else:
                self.presume_over(outlet, f"vehicle {vehicle} has come to {evse}")

    def draws_power(self, outlet: Outlet) -> bool:
        """Whether the meter has just seen power at an outlet: a vehicle is there, whatever its status
        says.
        """
        power, now_s = self._board.evse(outlet.evse.id).power_w, self._clock.now_s()
        return (
            isinstance(power, Reading) and 0.0 <= now_s - power.at_s <= FLOWS_S and abs(power.value) > FLOWS_W
        )

    def _told(self, known: Session | None, event: SessionEvent, evse: str) -> Session:
        """The transaction with what an event adds to it."""
        at_wall_s = event.at_wall_s if event.at_wall_s is not None else self._clock.wall_s()
        if known is None:
            known = Session(self._model.station, event.transaction, evse, "", at_wall_s)
        vehicle, ended = self._vehicles.name(known.vehicle, event.vehicle), event.phase == "ended"
        session = replace(known, evse=evse or known.evse, vehicle=vehicle, seq=max(known.seq, event.seq))
        return replace(session, ended_wall_s=at_wall_s) if ended else session

    def commit(self) -> None:
        """Have what was found out between two messages written: no answer waits for it."""
        self._store.when_durable(lambda _: None)

    def not_stored(self) -> None:
        """What was taken did not reach the disk and was refused: sent again, it is no repetition."""
        self._seen.clear()

    def _is_past(self, outlet: Outlet, session: Session, event: SessionEvent) -> bool:
        """Whether it is queued news of an earlier vehicle: a station that was offline may report the
        present first (2.x).
        """
        return (
            event.offline
            and outlet.session is not None
            and session.started_wall_s < outlet.session.started_wall_s
        )

    def _supersede(self, outlet: Outlet, session: Session) -> None:
        """One outlet has one transaction: another one shows that the one before is over, though its end
        was lost.
        """
        old = outlet.session
        if old is not None and old.transaction != session.transaction:
            self._store.save(replace(old, ended_wall_s=session.started_wall_s), lasting=True)
            outlet.watch.new_session()
            log.warning(
                "transaction_end_lost",
                evse=outlet.evse.id,
                transaction=old.transaction,
                next=session.transaction,
            )

    def _end_forgotten(self) -> None:
        """The oldest transactions of no outlet, above ``OPEN_MAX``, are over."""
        running = {
            outlet.session.transaction for outlet in self._outlets.values() if outlet.session is not None
        }
        waiting = [
            each for each in self._store.open_sessions(self._model.station) if each.transaction not in running
        ]
        for each in waiting[:-OPEN_MAX]:
            self._store.save(replace(each, ended_wall_s=each.started_wall_s), lasting=True)
            log.warning("transaction_end_lost", evse=each.evse, transaction=each.transaction, next="")

    def on_needs(self, ocpp_evse: int, needs: Needs) -> bool:
        """What the vehicle at an outlet needs; it may come before its transaction. False for an outlet we
        do not have.
        """
        outlet = self._outlets.get(ocpp_evse)
        if outlet is None:
            return False
        if leaves_at_once(needs.departure_wall_s, self._model.clock_skew, self._clock):
            needs = replace(needs, departure_wall_s=None)
        if outlet.session is None:
            outlet.early_needs = needs
            return True
        outlet.session = replace(outlet.session, needs=needs)
        self._store.save(outlet.session, lasting=True)
        self._board.update_vehicle(outlet.evse.id, **self._needs(outlet, outlet.session))
        return True

    def evse_of(self, transaction: str) -> int:
        """The outlet number of an open transaction, 0 when it is not open here."""
        for number, outlet in self._outlets.items():
            if outlet.session is not None and outlet.session.transaction == transaction:
                return number
        return 0

    def transaction_id(self, ocpp_evse: int, token: str, at_wall_s: float | None, meter_wh: int) -> int:
        """The id of a 1.6 transaction: the one given before when a station repeats its start, else a new
        one.
        """
        place = (
            ocpp_evse if ocpp_evse in self._outlets else "elsewhere"
        )  # one row each, however many a station makes up
        key = f"start/{self._model.station}/{place}"
        start = f"{readable(token)}/{at_wall_s}/{readable(meter_wh)}"
        number, _, last = self._store.fact(key).partition(" ")
        if last == start:
            return int(number)
        given = self._store.next_transaction()
        while self._store.session(self._model.station, str(given)) is not None:
            given = (
                self._store.next_transaction()
            )  # the station has one of this number from before our state was lost
        self._store.remember(key, f"{given} {start}")
        return given

    def on_registers(self, outlet: Outlet, sample: Sample) -> None:
        """The meter's registers belong to the session too; they reach the disk every few seconds."""
        if outlet.session is None or (sample.import_wh is None and sample.export_wh is None):
            return
        outlet.session = replace(
            outlet.session,
            import_wh=sample.import_wh if sample.import_wh is not None else outlet.session.import_wh,
            export_wh=sample.export_wh if sample.export_wh is not None else outlet.session.export_wh,
        )
        now_s = self._clock.now_s()
        if now_s - outlet.saved_s >= REGISTERS_S:
            outlet.saved_s = now_s
            self._store.save(outlet.session, lasting=False)

    def _outlet_of(self, event: SessionEvent) -> Outlet | None:
        number = event.ocpp_evse or self.evse_of(event.transaction)
        if number:
            return self._outlets.get(number)
        stored = self._store.session(self._model.station, event.transaction)
        if stored is not None:
            return next((o for o in self._outlets.values() if o.evse.id == stored.evse), None)
        return next(iter(self._outlets.values())) if len(self._outlets) == 1 else None

    def _known(self, outlet: Outlet | None, transaction: str) -> Session | None:
        if outlet is not None and outlet.session is not None and outlet.session.transaction == transaction:
            return outlet.session
        return self._store.session(self._model.station, transaction)

    def _open(
        self, outlet: Outlet, session: Session, *, plugged: bool | None = None, begins: bool = False
    ) -> None:
        evse = outlet.evse.id
        if outlet.session is None and outlet.early_needs != Needs():
            session = replace(session, needs=outlet.early_needs)
            outlet.early_needs = Needs()
            self._store.save(session, lasting=True)
        present, before = self._board.evse(evse).vehicle, outlet.session
        outlet.session = session
        goes_on = before is not None and before.transaction == session.transaction
        if plugged is False or (
            plugged is None and goes_on and present is None
        ):  # 2.x reports a state only when it changes
            self._board.unplug(evse)
        elif present is None or present.session != session.transaction:
            vehicle = VehicleState(session.transaction, session.vehicle, self._came_wall_s(session))
            if begins and self._board.evse(evse).status == "available":  # said before the vehicle came
                outlet.reported = replace(outlet.reported, status="occupied")
                self._board.update_evse(evse, status="occupied")
            self._board.plug_in(evse, replace(vehicle, **self._needs(outlet, session)))
            log.info(
                "vehicle_plugged_in", evse=evse, vehicle=session.vehicle, transaction=session.transaction
            )
            self._came(session)
        elif present.vehicle != session.vehicle:
            self._board.update_vehicle(evse, vehicle=session.vehicle, **self._needs(outlet, session))
            self._came(session)

    def _came_wall_s(self, session: Session) -> float:
        return came_at(session.started_wall_s, self._model.clock_skew, self._clock)

    def _came(self, session: Session) -> None:
        """One vehicle is at one place: a card that no vehicle of the site file has may be many."""
        if self._vehicles.knows(session.vehicle):
            self.moved(session.vehicle, session.evse, self._came_wall_s(session))

    def _needs(self, outlet: Outlet, session: Session) -> dict[str, Measured]:
        said = self._vehicles.readings(outlet, session, self._model.version, self._clock.now_s())
        departure = said.get("departure_wall_s")
        if isinstance(departure, Reading):
            said["departure_wall_s"] = replace(departure, value=self._model.clock_skew.ours(departure.value))
        return said

    def clock_learnt(self) -> None:
        """The station's clock is another one than was known: so are the departures that it named."""
        for outlet in self._outlets.values():
            if outlet.session is not None and outlet.session.needs.departure_wall_s is not None:
                departure = self._needs(outlet, outlet.session)["departure_wall_s"]
                self._board.update_vehicle(outlet.evse.id, departure_wall_s=departure)

    def _close(self, outlet: Outlet, session: Session) -> None:
        if outlet.session is None or outlet.session.transaction == session.transaction:
            outlet.session, outlet.early_needs, outlet.doubts = None, Needs(), 0
            outlet.start = RemoteStart()
            outlet.watch.new_session()
            self._board.unplug(outlet.evse.id)
            log.info(
                "vehicle_left", evse=outlet.evse.id, vehicle=session.vehicle, transaction=session.transaction
            )
