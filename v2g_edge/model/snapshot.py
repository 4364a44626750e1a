"""One frozen picture of the depot, taken by ``field.board`` at the start of a tick. The tick sees nothing
else.

Tuples stand in the order of ``Site.evses``, ``Site.meters``, ``Site.contacts`` and ``Site.temperatures``. A
state that did not change since the last picture is the same object, so that the journal can write only what
moved.
"""

from typing import Literal

from msgspec import Struct

from v2g_edge.model.reading import NO_SAMPLE, Measured
from v2g_edge.model.service import CapacityLimit, Signal

EvseStatus = Literal["unknown", "available", "occupied", "faulted", "unavailable"]
PowerSource = Literal["", "currents", "register"]
VehiclePhases = Literal["", "L1", "L2", "L3", "L1L2", "L2L3", "L1L3", "L1L2L3"]
"""The charger's own phases on which a vehicle was seen to draw; "" while none was seen."""
Ack = Literal["none", "pending", "accepted", "withheld", "rejected", "silent"]


class Link(Struct, frozen=True, array_like=True, gc=False):
    """The way to a device. ``last_seen_s`` is monotonic, −inf is never used: ``ever_seen`` says so
    instead.
    """

    connected: bool = False
    ever_seen: bool = False
    last_seen_s: float = 0.0
    loss_pct: float = 0.0


class MeterState(Struct, frozen=True, array_like=True, gc=False):
    """A meter. ``power_w`` is the total, ``phase_power_w`` and ``phase_voltage_v`` go by grid phase L1, L2,
    L3.

    ``repeats`` counts how often in a row the whole tuple came back identical; ``energy_*_wh`` are its
    registers.
    """

    link: Link = Link()
    power_w: Measured = NO_SAMPLE
    phase_power_w: tuple[Measured, Measured, Measured] = (NO_SAMPLE, NO_SAMPLE, NO_SAMPLE)
    phase_voltage_v: tuple[Measured, Measured, Measured] = (NO_SAMPLE, NO_SAMPLE, NO_SAMPLE)
    frequency_hz: Measured = NO_SAMPLE
    energy_import_wh: Measured = NO_SAMPLE
    energy_export_wh: Measured = NO_SAMPLE
    repeats: int = 0


class ContactState(Struct, frozen=True, array_like=True, gc=False):
    """A relay or breaker contact, or a contactor's feedback: 1.0 closed (healthy), 0.0 open."""

    link: Link = Link()
    closed: Measured = NO_SAMPLE


class TemperatureState(Struct, frozen=True, array_like=True, gc=False):
    """A temperature sensor (cooling loop, cabinet), in °C."""

    link: Link = Link()
    value_c: Measured = NO_SAMPLE


class VehicleState(Struct, frozen=True, array_like=True, gc=False):
    """What is plugged in. Session facts do not age; SoC and temperature do.

    ``vehicle`` is the reported identity, "" while unknown. ``departure_wall_s`` (UTC) and ``target_soc_pct``
    are what the next mission needs, Unknown when it was not reported. ``max_charge_w``/``max_discharge_w``
    are the car's own present limits (≥ 0). ``discharge_authorised`` is the J3072 kind of permission, 1.0 with
    the time it was read back; Unknown is no. ``life_discharge_*`` is what this vehicle has fed back in all
    its life: Wh, hours of discharging, equivalent full cycles. ``phases``: on which of the charger's phases
    it was seen to draw in this session. Above ``ceiling_soc_pct`` depot management does not want it charged;
    Unknown where no system says so. ``charged_wh`` (grid side) is what a vehicle without a SoC was metered to
    take since it was plugged in: at least that is in it.
    """

    session: str
    vehicle: str
    plugged_wall_s: float
    soc_pct: Measured = NO_SAMPLE
    capacity_wh: Measured = NO_SAMPLE
    departure_wall_s: Measured = NO_SAMPLE
    target_soc_pct: Measured = NO_SAMPLE
    max_charge_w: Measured = NO_SAMPLE
    max_discharge_w: Measured = NO_SAMPLE
    pack_c: Measured = NO_SAMPLE
    discharge_authorised: Measured = NO_SAMPLE
    soh_pct: Measured = NO_SAMPLE
    life_discharge_wh: Measured = NO_SAMPLE
    life_discharge_h: Measured = NO_SAMPLE
    life_discharge_efc: Measured = NO_SAMPLE
    phases: VehiclePhases = ""
    ceiling_soc_pct: Measured = NO_SAMPLE
    charged_wh: Measured = NO_SAMPLE


class CommandState(Struct, frozen=True, array_like=True, gc=False):
    """The last setpoint handed to the charger and what became of it. Accepted is not obeyed: see
    ``EvseState.power_w``.

    ``sent_s`` is monotonic; the lease that was accepted last ends at ``lease_until_s``. ``droop_w``: see
    ``Permit``.
    """

    power_w: float = 0.0
    ack: Ack = "none"
    sent_s: float = 0.0
    lease_until_s: float = 0.0
    droop_w: float = 0.0


class EvseState(Struct, frozen=True, array_like=True, gc=False):
    """One outlet. ``fault`` is "" or our fault code. ``dead_man_ok`` is read back from the device, not hoped
    for.

    ``proven_discharge`` is true once metered export has followed a discharge command on this model and
    firmware. ``follows`` is false while the charger's compliance score says that it does not do what it
    accepts. ``priority``: it says that it charges with priority, whatever its lease says. ``no_discharge``
    says why its adapter commands 0 W for a permit below zero (refuted, refused, given up, not answered), ""
    where it does not. ``power_source``: where ``power_w`` was derived from, "" where it was metered as such.
    ``default_held`` false: nothing shows that the charger falls back to ``Evse.fallback_w`` by itself, so
    that its rating counts where it is silent.
    """

    link: Link = Link()
    status: EvseStatus = "unknown"
    fault: str = ""
    power_w: Measured = NO_SAMPLE
    energy_import_wh: Measured = NO_SAMPLE
    energy_export_wh: Measured = NO_SAMPLE
    dead_man_ok: bool = False
    proven_discharge: bool = False
    grid_code_ok: bool = True
    vehicle: VehicleState | None = None
    command: CommandState = CommandState()
    follows: bool = True
    priority: bool = False
    no_discharge: str = ""
    power_source: PowerSource = ""
    default_held: bool = True


class GridSample(Struct, frozen=True, array_like=True, gc=False):
    """One sample of the grid connection at ``at_s``: phase-to-neutral voltages L1, L2, L3 in V, and frequency
    in Hz.

    On a single-phase connection the adapter repeats its one voltage. The readings carry the same ``at_s`` or
    an older one.
    """

    at_s: float
    v: tuple[Measured, Measured, Measured]
    hz: Measured


class Order(Struct, frozen=True, gc=False):
    """One order for tonight (``model.orders``). ``subject`` is a vehicle, a feeder, or "row:subject" to
    mute. ``who`` and ``why`` are words. ``at_wall_s`` and ``soc_pct`` belong to a departure, ``limit_w``
    to a feeder. It ends at ``until_wall_s``.
    """

    number: int
    kind: str
    subject: str
    until_wall_s: float
    given_wall_s: float
    who: str = ""
    why: str = ""
    at_wall_s: float = 0.0
    soc_pct: float | None = None
    limit_w: float | None = None


class Operator(Struct, frozen=True, gc=False):
    """What people on site have ordered, through the control socket. ``acknowledged`` are event kinds cleared
    by hand.

    ``limits`` and ``signals`` (by service) are what programmes outside ask, through the same socket.
    ``orders``: for tonight. ``by`` and ``why``: who gave the last standing order, and the reason.
    ``closing``: the service is being stopped, which nobody ordered of the depot and no file keeps.
    """

    stop: bool = False
    export_hold: bool = False
    acknowledged: tuple[str, ...] = ()
    limits: tuple[CapacityLimit, ...] = ()
    signals: tuple[tuple[str, Signal], ...] = ()
    orders: tuple[Order, ...] = ()
    by: str = ""
    why: str = ""
    closing: bool = False


class Snapshot(Struct, frozen=True):
    """The picture. ``now_s`` monotonic; ``wall_s`` UTC epoch; ``clock_synced`` false means that wall time is
    a guess.

    ``grid_samples`` are all samples of the grid meter since the last picture, oldest first.
    """

    seq: int
    now_s: float
    wall_s: float
    clock_synced: bool
    evses: tuple[EvseState, ...]
    meters: tuple[MeterState, ...]
    contacts: tuple[ContactState, ...]
    temperatures: tuple[TemperatureState, ...]
    operator: Operator = Operator()
    grid_samples: tuple[GridSample, ...] = ()
