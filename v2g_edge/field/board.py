"""The board: adapters write the latest state of each device, the tick freezes one picture of all of them."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from v2g_edge.field.fleet_overlay import FleetOverlay
from v2g_edge.field.sentinel_values import as_meant, is_meant
from v2g_edge.field.session_energy import SessionEnergy
from v2g_edge.field.timetable import OVER_S, Timetable
from v2g_edge.model.event import Event
from v2g_edge.model.mission import FleetPort
from v2g_edge.model.reading import NO_SAMPLE, Reading, is_fresh
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import (
    ContactState,
    EvseState,
    GridSample,
    MeterState,
    Operator,
    Snapshot,
    TemperatureState,
    VehicleState,
)

GRID_SAMPLES_KEPT: Final = 512
"""Samples of the grid meter between two ticks: 10 s at 50 Hz. More means that ticks have stopped, and then
nothing helps.
"""


NEWS_KEPT: Final = 256
"""Events of adapters between two ticks: a storm of them says no more than its first ones."""


WAKES_MAX: Final = 3.0
WAKES_PER_S: Final = 0.5
ALL_WAKES_MAX: Final = 20.0
ALL_WAKES_PER_S: Final = 4.0
"""Times that one outlet, and all together, may wake the tick early: in a row, and as a rate for ever. What
a charger says costs a whole tick then; one that flaps 25 times a second counts at the next regular tick,
like anything that is not urgent.
"""


LOOK_S: Final = 60.0
"""How often it is looked at whether a vehicle has stayed beyond its departure."""


class Wakes:
    """Early ticks that are still allowed."""

    __slots__ = ("_at_s", "_left", "_most", "_per_s")

    def __init__(self, most: float, per_s: float) -> None:
        self._left = self._most = most
        self._per_s = per_s
        self._at_s = 0.0

    def take(self, now_s: float) -> bool:
        """Whether one more is allowed; it is counted then."""
        self._left = min(self._left + (now_s - self._at_s) * self._per_s, self._most)
        self._at_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Board:
    """Latest state by device id. Runs on the event loop's thread; nothing here waits.

    ``wake`` is called when something happened that should not wait for the next tick (a relay opened, a fault
    came up).
    """

    def __init__(self, site: Site, wake: Callable[[], None], fleet: FleetPort | None = None) -> None:
        self._wake = wake
        self._evses = {evse.id: EvseState() for evse in site.evses}
        self._meters = {meter: MeterState() for meter in site.meters}
        self._contacts = {contact: ContactState() for contact in site.contacts}
        self._temperatures = {sensor: TemperatureState() for sensor in site.temperatures}
        self._grid_meter = site.grid.meter
        self._window = site.grid.profile.enter_service if site.grid.profile else None
        self._nominal_v = site.grid.nominal_v
        self._grid_samples: deque[GridSample] = deque(maxlen=GRID_SAMPLES_KEPT)
        self._timetable = Timetable(site)
        self._overlay = FleetOverlay(fleet) if fleet is not None else None
        self._to_time: dict[str, None] = {}
        self._timed: dict[str, dict[str, Reading]] = {}
        self._wall_s = self._looked_wall_s = 0.0
        self._charged = SessionEnergy(site.evses)
        self._seq = 0
        self._frozen_s = 0.0
        self._wakes = {evse.id: Wakes(WAKES_MAX, WAKES_PER_S) for evse in site.evses}
        self._all_wakes = Wakes(ALL_WAKES_MAX, ALL_WAKES_PER_S)
        self._news: deque[Event] = deque(maxlen=NEWS_KEPT)

    def take_site(self, site: Site) -> None:
        """Another site of the same outlets, meters and contacts: its vehicles' timetable counts from now
        on.
        """
        self._timetable = Timetable(site)

    def announce(self, event: Event) -> None:
        """Something that an adapter found out and that people should know; the next tick reports it, with
        its own time.
        """
        self._news.append(event)

    def take_news(self, wall_s: float) -> tuple[Event, ...]:
        """What adapters announced since the last call, oldest first, as of ``wall_s``."""
        news = tuple(replace(event, wall_s=wall_s) for event in self._news)
        self._news.clear()
        return news

    def evse(self, evse_id: str) -> EvseState:
        """The present state of one outlet; KeyError for an id that the site does not have."""
        return self._evses[evse_id]

    def meter(self, meter_id: str) -> MeterState:
        """The present state of one meter; KeyError for an id that the site does not have."""
        return self._meters[meter_id]

    def contact(self, contact_id: str) -> ContactState:
        """The present state of one contact; KeyError for an id that the site does not have."""
        return self._contacts[contact_id]

    def update_evse(self, evse_id: str, *, urgent: bool = False, **changes: Any) -> None:
        """Replace fields of ``EvseState``; ``urgent`` wakes the tick at once, at a bounded rate (times are
        those of pictures).
        """
        self._evses[evse_id] = replace(self._evses[evse_id], **changes)
        if urgent and self._wakes[evse_id].take(self._frozen_s) and self._all_wakes.take(self._frozen_s):
            self._wake()

    def update_vehicle(self, evse_id: str, **changes: Any) -> None:
        """Replace fields of the plugged-in ``VehicleState``; without a vehicle there is nothing to change.
        What cannot be meant (``sentinel_values``) changes nothing.
        """
        state = self._evses[evse_id]
        if state.vehicle is not None:
            vehicle = state.vehicle
            if changes.get("vehicle", vehicle.vehicle) != vehicle.vehicle:
                of_another = self._timed.pop(evse_id, {})
                gone = {
                    name: NO_SAMPLE for name, value in of_another.items() if getattr(vehicle, name) is value
                }
                vehicle = replace(vehicle, **gone)
                self._to_time[evse_id] = None
            plugged_wall_s = vehicle.plugged_wall_s
            words = {
                name: said
                for name, said in changes.items()
                if is_meant(name, said, plugged_wall_s, self._wall_s)
            }
            self._evses[evse_id] = replace(state, vehicle=replace(vehicle, **words))

    def plug_in(self, evse_id: str, vehicle: VehicleState) -> None:
        """A new session begins; whatever was known of the last vehicle is gone. The timetable says what
        the charger does not.
        """
        self._timed.pop(evse_id, None)
        self._to_time[evse_id] = None
        self._evses[evse_id] = replace(self._evses[evse_id], vehicle=as_meant(vehicle, self._wall_s))

    def unplug(self, evse_id: str) -> None:
        """The vehicle has left."""
        self._evses[evse_id] = replace(self._evses[evse_id], vehicle=None)

    def update_meter(self, meter_id: str, **changes: Any) -> None:
        """Replace fields of ``MeterState``. Every sample of the grid is kept for the next picture; a bad one
        wakes the tick.

        A sample is a frequency or, on a dead grid where many meters give none, any phase voltage.
        """
        state = self._meters[meter_id] = replace(self._meters[meter_id], **changes)
        if meter_id != self._grid_meter or not ("frequency_hz" in changes or "phase_voltage_v" in changes):
            return
        at_s = max(
            (r.at_s for r in (state.frequency_hz, *state.phase_voltage_v) if isinstance(r, Reading)),
            default=None,
        )
        if at_s is None:
            return
        self._grid_samples.append(GridSample(at_s, state.phase_voltage_v, state.frequency_hz))
        if self._is_off(state):
            self._wake()

    def _is_off(self, state: MeterState) -> bool:
        """Outside the window in which export may begin, or not fully known: nothing that should wait for
        the next tick.
        """
        if self._window is None:
            return False
        window, nominal_v = self._window, self._nominal_v
        hz = state.frequency_hz
        if not isinstance(hz, Reading) or not window.f_lo_hz <= hz.value <= window.f_hi_hz:
            return True
        low_v, high_v = window.v_lo_pu * nominal_v, window.v_hi_pu * nominal_v
        return any(
            not isinstance(v, Reading) or not low_v <= v.value <= high_v for v in state.phase_voltage_v
        )

    def is_grid_off(self, now_s: float, max_age_s: float) -> bool:
        """Whether a complete sample of the grid meter, no older than ``max_age_s``, is outside the window
        for export.
        """
        if not self._grid_meter:
            return False
        state = self._meters[self._grid_meter]
        values = (state.frequency_hz, *state.phase_voltage_v)
        return all(is_fresh(value, now_s, max_age_s) for value in values) and self._is_off(state)

    def update_contact(self, contact_id: str, *, urgent: bool = False, **changes: Any) -> None:
        """Replace fields of ``ContactState``; an opening contact is ``urgent``."""
        self._contacts[contact_id] = replace(self._contacts[contact_id], **changes)
        if urgent:
            self._wake()

    def update_temperature(self, sensor_id: str, **changes: Any) -> None:
        """Replace fields of ``TemperatureState``."""
        self._temperatures[sensor_id] = replace(self._temperatures[sensor_id], **changes)

    def freeze(self, now_s: float, wall_s: float, *, clock_synced: bool, operator: Operator) -> Snapshot:
        """One picture of everything, numbered. Unchanged states are the same objects as in the last
        picture.
        """
        self._seq += 1
        self._frozen_s, self._wall_s = now_s, wall_s
        if clock_synced:
            self._look_for_stayers(wall_s)
        if self._to_time and clock_synced:
            self._consult_timetable(now_s, wall_s)
        self._evses = {evse: self._charged.counted(evse, state) for evse, state in self._evses.items()}
        if self._overlay is not None and clock_synced:
            self._lay_over(self._overlay, now_s, wall_s)
        samples = tuple(self._grid_samples)
        self._grid_samples.clear()
        return Snapshot(
            seq=self._seq,
            now_s=now_s,
            wall_s=wall_s,
            clock_synced=clock_synced,
            evses=tuple(self._evses.values()),
            meters=tuple(self._meters.values()),
            contacts=tuple(self._contacts.values()),
            temperatures=tuple(self._temperatures.values()),
            operator=operator,
            grid_samples=samples,
        )

    def _look_for_stayers(self, wall_s: float) -> None:
        """A vehicle that stands there long after its departure refutes it, whatever named it (rule 15)."""
        if abs(wall_s - self._looked_wall_s) < LOOK_S:
            return
        self._looked_wall_s = wall_s
        for evse_id, state in self._evses.items():
            departure = state.vehicle.departure_wall_s if state.vehicle is not None else NO_SAMPLE
            if isinstance(departure, Reading) and departure.value < wall_s - OVER_S:
                self._to_time[evse_id] = None

    def _consult_timetable(self, now_s: float, wall_s: float) -> None:
        """Once a session, in the first picture with a clock that can be trusted, and again where the vehicle
        has stayed.
        """
        for evse_id in self._to_time:
            vehicle = self._evses[evse_id].vehicle
            if vehicle is not None:
                told = self._timetable.says(
                    self._without_what_is_over(evse_id, vehicle, wall_s), now_s, wall_s
                )
                if told or evse_id not in self._timed:
                    self._timed[evse_id] = told
                self.update_vehicle(evse_id, **told)
        self._to_time.clear()

    def _without_what_is_over(self, evse_id: str, vehicle: VehicleState, wall_s: float) -> VehicleState:
        """The vehicle without a departure that is over, and without the target that the timetable named for
        it.
        """
        departure, timed = vehicle.departure_wall_s, self._timed.get(evse_id, {})
        if not isinstance(departure, Reading) or departure.value >= wall_s - OVER_S:
            return vehicle
        for_it = timed.get("target_soc_pct") is vehicle.target_soc_pct
        target = NO_SAMPLE if for_it else vehicle.target_soc_pct
        return replace(vehicle, departure_wall_s=NO_SAMPLE, target_soc_pct=target)

    def _lay_over(self, overlay: FleetOverlay, now_s: float, wall_s: float) -> None:
        overlay.begin()
        for evse_id, state in self._evses.items():
            if state.vehicle is not None:
                seen = overlay.apply(evse_id, state.vehicle, now_s, wall_s)
                if seen is not state.vehicle:
                    self._evses[evse_id] = replace(state, vehicle=seen)
