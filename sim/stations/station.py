"""A charging station that dials in: link, boot, transactions, reports, and the ways in which real ones
misbehave.

It speaks over the product's own message machine, playing the other side. ``step`` is called about once a
played second: it obeys the profiles, sends what is due, starts and ends faults. The link lives in ``run`` and
comes back after every loss.

What can go wrong with it: ``sim.stations.faults``.
"""

import asyncio
from collections import deque
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from sim.scenarios.fault import Fault, FaultKind
from sim.scenarios.visit import Visit
from sim.stations import faults, messages16
from sim.stations.firmware import Firmware
from sim.stations.keyring import Keyring
from sim.stations.outbox import Outbox, dial
from sim.stations.outlet import Outlet, Session
from sim.stations.profiles import ProfileStore
from sim.stations.station21 import Station21
from sim.stations.timetable import HEARTBEAT_S, REPORT_S, TEMPERATURE_S, Timetable
from sim.stations.version import Message, Shown, StationVersion
from sim.stations.version16 import Version16
from sim.stations.version20 import Version20
from sim.virtual.clock import LoopClock
from sim.world.physics import Battery
from v2g_edge.field.ocpp.wire.events import Answered, CallIn, Event, Expired, Refused
from v2g_edge.field.ocpp.wire.machine import Machine
from v2g_edge.field.ocpp.wire.messages import Version

RETRY_S: Final = 5.0
"""Seconds of played time before a lost link is dialled again (stations seen: at once, 2-3 s, 3 s, 30 s)."""

QUIET_S: Final = 2.0
"""A station looks this often whether a report is due."""

BACKLOG: Final = 8
"""Transaction events kept while offline, oldest dropped first (seen: 7-8 delivered after an outage)."""


class Station:
    """See the module. ``outlets`` by OCPP evse id. ``url`` is the central system's without the identity."""

    def __init__(
        self,
        identity: str,
        outlets: list[Outlet],
        profiles: ProfileStore,
        clock: LoopClock,
        url: str,
        version: Version = "2.0.1",
    ) -> None:
        self.identity, self.profiles = identity, profiles
        self.outlets = {outlet.number: outlet for outlet in outlets}
        self.variables: dict[tuple[str, str], str] = {}
        self.firmware, self.bidi = Firmware(), Station21()
        self.keyring = Keyring()
        self.faults: tuple[Fault, ...] = ()
        self.accepted = False
        self.heard_wall_s: float | None = None
        self._clock, self._url = clock, f"{url}/{identity}"
        self.version: Version = version
        self._voice: StationVersion = Version16() if version == "1.6" else Version20(version)
        self._starts: dict[str, tuple[Outlet, Session]] = {}
        self._machine = Machine(version, "station", prefix="s", strict=False)
        self._outbox = Outbox(clock)
        self._backlog: deque[Message] = deque(maxlen=BACKLOG)
        self._boot_id, self._boot_reason, self._booted = "", "PowerUp", False
        self._times = Timetable(self.variables)
        self._quiet_until_s = 0.0
        self._transactions = 0
        self._events_sent = 0
        self._was: frozenset[FaultKind] = frozenset()
        self._lasting: tuple[Fault, ...] = ()
        self._ahead_s = 0.0
        self._untold: list[tuple[Outlet, Session]] = []

    # What the dialect asks

    def wall_s(self) -> float:
        """The station's wall time, as its clock has it."""
        return self._clock.wall_s() + self._ahead_s

    def later(self, message: Message) -> None:
        """Say ``message`` after the present answer."""
        self._say(message)

    def ignores_profiles(self) -> bool:
        """Fault ``ignore``."""
        return "ignore" in self._was

    def rejects_profiles(self, least_w: float = 0.0) -> bool:
        """Faults ``reject`` and ``reject_negative``."""
        return "reject" in self._was or ("reject_negative" in self._was and least_w < 0.0)

    def reboot(self) -> None:
        """Restart for half a minute, beginning with the next step."""
        self.faults = (*self.faults, Fault("reboot", self.identity, self._clock.wall_s(), 30.0))

    def redial(self) -> None:
        """Come back in a second, with what is on the keyring by then."""
        asyncio.get_running_loop().call_later(1.0 / self._clock.scale, self._drop)

    # What the world does to it

    def plug(self, number: int, battery: Battery, visit: Visit) -> None:
        """A vehicle is connected at an outlet."""
        outlet, wall_s = self.outlets[number], self.wall_s()
        self._transactions += 1
        outlet.plug(battery, visit, self._voice.transaction(self.identity, self._transactions), wall_s)
        self._begin(outlet)

    def unplug(self, number: int) -> Battery | None:
        """The vehicle leaves."""
        outlet, wall_s = self.outlets[number], self.wall_s()
        if outlet.session is not None:
            if "ghost" not in self._was:
                self._say_all(self._voice.ended(outlet, self._shown(outlet), power_loss=False))
            outlet.session.left = wall_s, outlet.charger.import_wh
            if not outlet.transaction and not outlet.session.stopped and not self._is_starting(outlet):
                self._untold.append((outlet, outlet.session))
        battery = outlet.unplug()
        self._say(self._voice.status(outlet, wall_s))
        return battery

    def step(self, wall_s: float) -> None:
        """Obey, report, misbehave. Call it about once a second."""
        self._lasting = (
            tuple(fault for fault in self.faults if fault.is_active(wall_s)) if self.faults else ()
        )
        active = faults.active(self._lasting, wall_s)
        if active or self._was:
            self._change_faults(active)
        now_wall_s, wrong_sign, dead = self.wall_s(), "wrong_sign" in active, "reboot" in active
        for outlet in self.outlets.values():
            outlet.command(now_wall_s, wrong_sign=wrong_sign, dead=dead)
        if self.firmware.is_wanted:
            self._update_firmware(wall_s)
        if self._link is None:
            self.profiles.lost_link(self._clock.now_s() - self.bidi.alone_s)
            return
        if "mute" in active:
            return
        deadline_s = self._machine.next_deadline_s()
        if deadline_s is not None and self._clock.now_s() >= deadline_s:
            self._machine.tick(self._clock.now_s())
            self._take_events()
        if self.accepted:
            if wall_s >= self._quiet_until_s:
                self._report(wall_s)
            if self.bidi.streams:
                for message in self.bidi.due(self.wall_s(), lambda n: self.outlets[n].charger.power_w):
                    self._machine.send(*message)
        elif not self._boot_id and self._times.is_due("boot", wall_s, RETRY_S):
            self._boot()
        self._flush()

    # Link

    async def run(self) -> None:
        """Dial, serve, dial again, until cancelled."""
        try:
            while True:
                if not self._was & {"reboot", "offline", "vanish"}:
                    await self._serve_once()
                await self._clock.sleep_s(RETRY_S)
        finally:
            await self._outbox.stop()

    async def _serve_once(self) -> None:
        link = await dial(self._url, self.version, self.keyring.options(self.identity))
        if link is None:
            return
        self._outbox.link = link
        faults.disturb(self._lasting, self._was, link)
        try:
            self._on_link()
            async for frame in link:
                self._on_frame(frame)
        except ConnectionClosed:
            pass
        finally:
            self.accepted, self._boot_id = False, ""
            self.bidi.alone_s = self._clock.now_s()
            self._outbox.lost()
            self._untold += [
                (outlet, session)
                for outlet, session in self._starts.values()
                if outlet.session is not session
            ]
            self._starts.clear()
            self._machine.lost()
            self._machine.events()
            await link.close()

    def _on_link(self) -> None:
        if self._booted:
            self.accepted = True
            self._catch_up()
            self._say_all(self.bidi.open_again())
            self._flush()
        else:
            self._boot()

    def _boot(self) -> None:
        self._boot_id = self._machine.call(
            *self._voice.boot(self.identity, self._boot_reason, self.firmware.version), self._clock.now_s()
        )
        self._flush()

    def _on_frame(self, frame: str | bytes) -> None:
        if "mute" in self._was:
            return
        self.heard_wall_s = self._clock.wall_s()
        self._machine.receive(frame, self._clock.now_s())
        self._take_events()
        self._flush()

    @property
    def _link(self) -> ClientConnection | None:
        return self._outbox.link

    def _drop(self) -> None:
        if self._link is not None:
            self._link.transport.abort()

    def _flush(self) -> None:
        """Hand frames to the link; a ``late`` station keeps its answers for a while."""
        frames = self._machine.frames()
        if frames or self._outbox.is_holding:
            self._outbox.put([(faults.late_s(self._lasting, self._was, frame), frame) for frame in frames])

    # Messages

    def _take_events(self) -> None:
        for event in self._machine.events():
            self._on_event(event)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, CallIn):
            answer = None if event.problems else self._voice.answer(self, event.action, event.payload)
            if answer is None:
                self._machine.refuse(
                    event.id, "NotSupported" if not event.problems else event.problems[0].code
                )
            else:
                self._machine.answer(event.id, answer)
                for outlet in self.outlets.values():
                    outlet.command(
                        self.wall_s(), wrong_sign="wrong_sign" in self._was, dead="reboot" in self._was
                    )
        elif isinstance(event, Answered) and event.action == "OpenPeriodicEventStream":
            self.bidi.opened(event.payload["status"] == "Accepted")
        elif isinstance(event, Answered | Expired) and event.id == self._boot_id:
            self._on_boot(event.payload if isinstance(event, Answered) else {})
        elif isinstance(event, Answered | Refused | Expired) and event.id in self._starts:
            self._on_start(*self._starts.pop(event.id), event.payload if isinstance(event, Answered) else {})

    def _on_start(self, outlet: Outlet, session: Session, payload: dict[str, Any]) -> None:
        """The central system gave the transaction its id (1.6), perhaps when the vehicle has left; refused
        or lost: ask again.
        """
        if "transactionId" not in payload:
            return
        session.transaction = str(payload["transactionId"])
        if outlet.session is session:
            self._say(self._voice.status(outlet, self.wall_s()))
        else:
            wall_s, meter_wh = session.left or (self.wall_s(), outlet.charger.import_wh)
            self._say(messages16.stop(session.transaction, wall_s, meter_wh, "EVDisconnected"))

    def _on_boot(self, payload: dict[str, Any]) -> None:
        self._boot_id = ""
        if payload.get("status") != "Accepted":
            wait_s = max(float(payload.get("interval", 0)), RETRY_S)
            self._times.set("boot", self._clock.wall_s() + wait_s)
            self.accepted = False
            return
        self._booted = self.accepted = True
        if payload["interval"] > 0:
            self.variables[self._voice.heartbeat_key] = str(payload["interval"])
        for outlet in self.outlets.values():
            self._say(self._voice.status(outlet, self.wall_s()))
        self._catch_up()

    def _catch_up(self) -> None:
        """After an outage: history first."""
        while self._backlog:
            self._machine.call(*self._voice.caught_up(self._backlog.popleft()), self._clock.now_s())
        while self._untold:
            outlet, session = self._untold.pop(0)
            start = messages16.start_of(outlet.number, session)
            self._starts[self._machine.call(*start, self._clock.now_s())] = outlet, session

    def _say(self, message: Message) -> None:
        """Call out, or keep what belongs to a transaction for later."""
        if self._link is not None and self.accepted:
            twice = "duplicate" in self._was and message[0] in {
                *self._voice.kept,
                "StartTransaction",
                "MeterValues",
            }
            for _ in range(2 if twice else 1):
                call_id = self._machine.call(*message, self._clock.now_s())
                if message[0] == "StartTransaction":
                    outlet = self.outlets[message[1]["connectorId"]]
                    if outlet.session is not None:
                        self._starts[call_id] = outlet, outlet.session
            self._flush()
        elif message[0] in self._voice.kept:
            self._backlog.append(message)

    def _say_all(self, messages: list[Message]) -> None:
        for message in messages:
            self._say(message)

    def _begin(self, outlet: Outlet) -> None:
        wall_s = self._clock.wall_s()
        self._say_all(self._voice.began(outlet, self._shown(outlet)))
        self._times.set(f"report{outlet.number}", wall_s + REPORT_S)
        self._times.set(f"temperature{outlet.number}", wall_s)

    def _shown(self, outlet: Outlet) -> Shown:
        sample = outlet.sample(stuck="stuck_meter" in self._was)
        shown = faults.turned(sample) if "turned_meter" in self._was else sample
        return Shown(self.wall_s(), shown, "quiet_soc" not in self._was, faults.only(self._was))

    def _report(self, wall_s: float) -> None:
        if self._times.is_due(
            "heartbeat", wall_s, self._times.interval_s(self._voice.heartbeat_key, HEARTBEAT_S)
        ):
            self._say(self._voice.heartbeat())
        interval_s = self._times.interval_s(self._voice.report_key, REPORT_S)
        for number, outlet in self.outlets.items():
            if outlet.session is not None:
                if not outlet.transaction and not outlet.session.stopped and not self._is_starting(outlet):
                    self._say(self._voice.start(outlet))
                if self._times.is_due(f"report{number}", wall_s, interval_s):
                    self._say_all(self._voice.reported(outlet, self._shown(outlet)))
                if self._times.is_due(f"temperature{number}", wall_s, TEMPERATURE_S):
                    self._events_sent += 1
                    self._say_all(self._voice.temperature(outlet, self._shown(outlet), self._events_sent))
        self._quiet_until_s = wall_s + QUIET_S

    def _is_starting(self, outlet: Outlet) -> bool:
        return any(session is outlet.session for _, session in self._starts.values())

    # Faults

    def _update_firmware(self, wall_s: float) -> None:
        idle = all(outlet.session is None for outlet in self.outlets.values())
        before = self.firmware.version
        status = self.firmware.step(wall_s, idle=idle, fails="bad_firmware" in self._was)
        if status:
            self._say(self.firmware.told(self.version, status))
        if status == "Installing" and "lost_in_update" in self._was:
            lasts_s = faults.end_wall_s(self.faults, "lost_in_update") - wall_s
            self.faults = (*self.faults, Fault("offline", self.identity, wall_s, lasts_s))
        if self.firmware.version != before:
            self.reboot()

    def _change_faults(self, active: frozenset[FaultKind]) -> None:
        began, ended, self._was = active - self._was, self._was - active, active
        ahead_s, self._ahead_s = self._ahead_s, faults.value(self._lasting, "wrong_clock", active)
        if ahead_s != self._ahead_s:
            self.profiles.clock_changed()
        self._say_all(self.bidi.changed(began, ended, self.outlets, self.wall_s()))
        faults.twist(self._lasting, active, self.outlets.values())
        faults.disturb(self._lasting, active, self._link)
        if began & {"offline", "reboot"} or "half_open" in ended:
            self._drop()
        if "vanish" in began and self._link is not None:
            self._link.transport.write(faults.CUT_FRAME)
            self._drop()
        if "reboot" in began:
            self._booted, self._boot_reason = False, "PowerUp"
            self.profiles.clear(purpose="tx")
            self._backlog.clear()
        if "reboot" in ended:
            self._restart_sessions()
        if self._link is not None and active & {"nonsense", "flood"}:
            self._raw(faults.frames(self._lasting, active, self._events_sent))

    def _raw(self, frames: list[bytes]) -> None:
        self._outbox.put([(0.0, frame) for frame in frames])
        self._events_sent += 1

    def _restart_sessions(self) -> None:
        for outlet in self.outlets.values():
            if outlet.session is not None:
                self._say_all(self._voice.ended(outlet, self._shown(outlet), power_loss=True))
                self._transactions += 1
                outlet.restart(self._voice.transaction(self.identity, self._transactions), self.wall_s())
                self._begin(outlet)
