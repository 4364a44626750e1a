"""One outlet of a simulated station: which vehicle is plugged in, which profile rules, what its meter
shows.
"""

from dataclasses import dataclass

from sim.scenarios.visit import Visit
from sim.stations.profiles import ProfileStore
from sim.world.physics import Battery, Charger, noise_pct, shown_soc_pct
from v2g_edge.model.limits import ANY_W


@dataclass
class Session:
    """A vehicle's stay. ``transaction`` is its id, "" until the central system gives one (1.6); ``seq``
    counts its events.

    ``start_wh`` is the import register when it began; ``stopped``: ended from afar, the vehicle still there;
    ``left``: the time and the register when it left.
    """

    visit: Visit
    transaction: str
    plugged_wall_s: float
    seq: int = 0
    charging: str = "EVConnected"
    start_wh: float = 0.0
    stopped: bool = False
    left: tuple[float, float] | None = None


@dataclass(frozen=True)
class Sample:
    """What the outlet's meter shows: + into the vehicle, registers in Wh, SoC in %, pack temperature in
    °C, power on each of the outlet's own phases.
    """

    power_w: float
    import_wh: float
    export_wh: float
    soc_pct: float
    pack_c: float
    phase_w: tuple[float, float, float]


class Outlet:
    """``number`` is its OCPP evse id. ``command`` turns the ruling profile into the electronics' setpoint.

    Wrong with it may be: it draws ``factor`` times its setpoint, no more than ``cap_w``, and reports a wrong
    charge.
    """

    def __init__(self, evse: str, number: int, charger: Charger, profiles: ProfileStore) -> None:
        self.evse = evse
        self.number = number
        self.charger = charger
        self.profiles = profiles
        self.session: Session | None = None
        self.priority = False
        self.factor = 1.0
        self.cap_w = ANY_W
        self.soc_error_pct = self.soc_noise_pct = self.soc_step_pct = 0.0
        self._looks = 0
        self._stuck: Sample | None = None

    @property
    def transaction(self) -> str:
        """The running transaction's id, "" without one."""
        return self.session.transaction if self.session else ""

    def plug(self, battery: Battery, visit: Visit, transaction: str, wall_s: float) -> None:
        """A vehicle arrives."""
        self.charger.plug(battery)
        self.session = Session(visit, transaction, wall_s, start_wh=self.charger.import_wh)

    def restart(self, transaction: str, wall_s: float) -> None:
        """The station had no supply: the same vehicle is in a transaction that begins now."""
        if self.session is not None:
            self.session.transaction, self.session.seq = transaction, 0
            self.session.plugged_wall_s, self.session.start_wh = wall_s, self.charger.import_wh

    def unplug(self) -> Battery | None:
        """The vehicle leaves; its transaction's profiles go with it (a TxProfile ends with its
        transaction).
        """
        self.session, self.charger.droop = None, ()
        self.profiles.clear(purpose="tx", outlet=self.number)
        return self.charger.unplug()

    def command(self, wall_s: float, *, wrong_sign: bool = False, dead: bool = False) -> None:
        """Set the electronics to what the profiles say; without any, full charge power. ``dead``: no
        supply, nothing flows.
        """
        if dead:
            self.charger.command_w = self.charger.power_w = 0.0
            return
        if self.session is None:
            return
        if self.session.stopped:
            self.charger.command_w, self.charger.droop = 0.0, ()
            return
        if self.priority:
            self.charger.command_w, self.charger.droop = self.charger.evse.max_charge_w, ()
            return
        limit_w = self.profiles.limit_w(self.number, self.session.transaction, wall_s)
        power_w = self.charger.evse.max_charge_w if limit_w is None else limit_w
        power_w = abs(power_w) if wrong_sign else power_w
        self.charger.command_w = min(power_w * self.factor, self.cap_w) if power_w > 0.0 else power_w
        self.charger.droop = self.profiles.curve(self.number, self.session.transaction, wall_s)

    def told_soc_pct(self, battery: Battery) -> float:
        """The charge that the vehicle reports, its error included."""
        self._looks += 1
        error_pct = self.soc_error_pct + noise_pct(self.soc_noise_pct, self._looks)
        return shown_soc_pct(battery.soc_pct, error_pct, self.soc_step_pct)

    def sample(self, *, stuck: bool = False) -> Sample:
        """What the meter shows now; ``stuck``: what it showed when it got stuck."""
        if stuck and self._stuck is not None:
            return self._stuck
        battery = self.charger.battery
        now = Sample(
            power_w=self.charger.power_w,
            import_wh=self.charger.import_wh,
            export_wh=self.charger.export_wh,
            soc_pct=self.told_soc_pct(battery) if battery else 0.0,
            pack_c=battery.pack_c if battery else 0.0,
            phase_w=self.charger.own_phase_w(),
        )
        self._stuck = now if stuck else None
        return now
