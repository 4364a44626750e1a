"""What OCPP 2.1 adds to a station: DER alarms and controls, streams, priority charging, and which energy
transfer is allowed.

All of it can only narrow what the outlets may do: an alarm is a fault, a running control that ends discharge
is one for the discharge, settings that differ from the grid code deny export, and one that charges with
priority is counted at its maximum.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog

from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.station.outlet import Outlet
from v2g_edge.field.ocpp.vocabulary.der_settings import ENDS_DISCHARGE, FIELDS, LISTS, audit, type_of
from v2g_edge.field.ocpp.vocabulary.dynamic_profiles import droop_period
from v2g_edge.field.ocpp.vocabulary.facts import TEXT_MAX, readable
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.site import Site

log = structlog.get_logger()

CEASED: Final = "DERControlCeased"
"""Our fault code for a control that has ended the discharge (``model.fault``)."""

AUDITED: Final = frozenset({"curve", FIELDS["EnterService"]})
"""What a report must carry to say anything of the grid code."""

ALARMS_MAX: Final = 32
RUNNING_MAX: Final = 256
SETTINGS_MAX: Final = 256
SETTING_MAX: Final = 8 << 10
PRIORITY_MAX: Final = 64
STREAMS_MAX: Final = 64
"""What is kept of one station, so that none fills the memory: 2.1 has 21 types of control, each with a
default and a few that are scheduled; a curve of ten points takes about 1 KiB (octets as JSON). What is
beyond counts as the worst of its kind.
"""

MORE: Final = "\n"
"""Stands for all alarms, or controls, beyond these numbers: until the next boot, for no name of a
station's is like this.
"""

_encode = msgspec.json.Encoder().encode


class Station21:
    """See the module. All by the station's ids: ``streams``, the monitor of each; ``power_monitors``, the
    OCPP evse number whose power it watches. ``asking``: a monitor was asked for, and its stream may come
    before we have read the answer.
    """

    def __init__(
        self, identity: str, outlets: Mapping[int, Outlet], site: Site, board: Board, clock: ClockPort
    ) -> None:
        self.identity = identity
        self.streams: dict[int, int] = {}
        self.power_monitors: dict[int, int] = {}
        self.asking = False
        self.site = site
        self._outlets = outlets
        self._board = board
        self._clock = clock
        self._settings: dict[tuple[str, str], dict[str, Any]] = {}
        self._alarms: dict[str, str] = {}
        self._running: set[str] = set()
        self._priority: dict[str, None] = {}
        self._too_much = False

    def link_up(self) -> None:
        """A new link: which streams go on, it will say."""
        self.streams.clear()
        self.asking = False

    def booted(self) -> None:
        """The station starts anew: it reports again what alarms, and nothing runs."""
        self._alarms.clear()
        self._running.clear()
        self._priority.clear()
        self.send_priority()
        self.streams.clear()
        self.power_monitors.clear()

    # DER

    def fault(self) -> str:
        """The fault that the station's DER functions make, "" for none."""
        alarm = next(iter(self._alarms.values()), "")
        return alarm or (CEASED if any(map(self._ceases, self._running)) else "")

    def on_alarm(self, control: str, fault: str, *, ended: bool) -> None:
        """The charger's own protection speaks: its outlets are faulted until every alarm has ended."""
        control, fault = readable(control), readable(fault)
        log.warning("der_alarm", station=self.identity, control=control, fault=fault, ended=ended)
        if ended:
            self._alarms.pop(control, None)
        else:
            known = control in self._alarms or len(self._alarms) < ALARMS_MAX
            self._alarms[control if known else MORE] = f"DER {fault}"
        self._tell_fault()

    def on_start_stop(self, control_id: str, superseded: list[str], *, started: bool) -> None:
        """A control began or ended. An unknown one counts as the worst kind."""
        control_id = readable(control_id)
        self._running.difference_update(map(readable, superseded))
        if started:
            known = control_id in self._running or len(self._running) < RUNNING_MAX
            self._running.add(control_id if known else MORE)
        else:
            self._running.discard(control_id)
        log.info(
            "der_control",
            station=self.identity,
            control=control_id,
            started=started,
            ceases=self._ceases(control_id),
        )
        self._tell_fault()

    def on_report(self, report: dict[str, Any]) -> None:
        """Grid-code settings, perhaps a part of them: what differs from the site's code denies export."""
        for name in LISTS:
            for entry in report.get(name, ()):
                self._keep((readable(type_of(entry, name)), readable(entry["id"])), {"list": name, **entry})
        if self._too_much or not AUDITED.isdisjoint(report):
            self._audit()

    def _keep(self, key: tuple[str, str], entry: dict[str, Any]) -> None:
        room = key in self._settings or len(self._settings) < SETTINGS_MAX
        if room and len(_encode(entry)) <= SETTING_MAX:
            self._settings[key] = entry
        else:
            self._too_much = True

    def on_all(self, parts: list[dict[str, Any]]) -> None:
        """A whole report of everything: what is not in it any more is gone."""
        self._settings.clear()
        self._too_much = False
        for part in parts:
            self.on_report(part)

    def report(self) -> dict[str, Any]:
        """All that is known of the settings, as one report."""
        told: dict[str, Any] = {}
        for entry in self._settings.values():
            told.setdefault(entry["list"], []).append(entry)
        return told

    def _audit(self) -> None:
        code = self.site.grid.profile
        differs = audit(self.report(), code) if code is not None else []
        if self._too_much and code is not None:
            differs.append(
                f"more is set than can be held against the code: {SETTINGS_MAX} settings, of {SETTING_MAX}"
                " octets each"
            )
        for text in differs:
            log.error("grid_code_differs", station=self.identity, what=text)
        for outlet in self._outlets.values():
            self._board.update_evse(outlet.evse.id, grid_code_ok=not differs)

    def _ceases(self, control_id: str) -> bool:
        kinds = {kind for kind, known in self._settings if known == control_id}
        return not kinds or not kinds.isdisjoint(ENDS_DISCHARGE)

    def _tell_fault(self) -> None:
        for outlet in self._outlets.values():
            fault = outlet.reported.fault or self.fault()
            urgent = bool(fault) and fault != self._board.evse(outlet.evse.id).fault
            self._board.update_evse(outlet.evse.id, urgent=urgent, fault=fault)

    # Priority charging

    def on_priority(self, transaction: str, *, activated: bool) -> None:
        """A person at the station, or its owner, has it charge whatever our leases say."""
        if len(transaction) > TEXT_MAX:
            raise ValueError(
                f"the name of a transaction has at most {TEXT_MAX} signs, found {len(transaction)}"
            )
        if activated:
            self._priority[transaction] = None
            self._forget_priority()
        else:
            self._priority.pop(transaction, None)
        log.warning("priority_charging", station=self.identity, transaction=transaction, activated=activated)
        self.send_priority()

    def _forget_priority(self) -> None:
        """The oldest that runs at no outlet: it may be reported before its transaction, and none says that it
        is over.
        """
        if len(self._priority) > PRIORITY_MAX:
            running = {
                outlet.session.transaction for outlet in self._outlets.values() if outlet.session is not None
            }
            spare = next((each for each in self._priority if each not in running), None)
            if spare is not None:
                del self._priority[spare]

    def send_priority(self) -> None:
        """Which outlets charge with priority; a transaction that is over does no more."""
        for outlet in self._outlets.values():
            priority = outlet.session is not None and outlet.session.transaction in self._priority
            if priority != self._board.evse(outlet.evse.id).priority:
                self._board.update_evse(outlet.evse.id, urgent=priority, priority=priority)

    # Leases and streams

    def droop_period(self, power_w: float, droop_w: float) -> dict[str, Any]:
        """The site's frequency response around a setpoint."""
        return droop_period(power_w, droop_w, self.site.grid.nominal_hz, self.site.response)

    def pulled(self, ocpp_evse: int) -> dict[str, Any]:
        """The answer to a station that asks what its lease says now."""
        outlet = self._outlets.get(ocpp_evse)
        if outlet is None or outlet.session is None:
            return {"status": "Rejected"}
        return outlet.dynamic.pulled(outlet.session.transaction, self._clock.now_s())

    def open_stream(self, stream: int, monitor: int) -> bool:
        """A stream of a monitored value; only power that we asked for is of use."""
        if monitor not in self.power_monitors and not self.asking:
            return False
        if stream not in self.streams and len(self.streams) >= STREAMS_MAX:
            return False
        self.streams[stream] = monitor
        return True

    def evse_of_stream(self, stream: int) -> int:
        """The OCPP evse number whose power a stream carries, 0 for one that is not ours."""
        return self.power_monitors.get(self.streams.get(stream, -1), 0)
