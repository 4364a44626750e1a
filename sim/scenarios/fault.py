"""What can go wrong in a depot, as data: one list of faults for stations, meters, contacts, controller,
cloud, packs.

``target`` names the device. "*" stands for every station. ``sim.stations.faults`` plays those of stations,
and ``sim.runners.injector`` all others.
"""

from collections.abc import Iterable
from typing import Final, Literal, get_args

from msgspec import Struct

StationFault = Literal[
    "ignore",
    "reject",
    "reject_negative",
    "mute",
    "late",
    "reboot",
    "offline",
    "duplicate",
    "wrong_clock",
    "wrong_sign",
    "wrong_soc",
    "noisy_soc",
    "stepped_soc",
    "turned_meter",
    "stuck_meter",
    "flood",
    "nonsense",
    "vanish",
    "half_open",
    "slow_link",
    "overdraw",
    "underdraw",
    "quiet_soc",
    "quiet_phases",
    "currents_only",
    "registers_only",
    "quiet_power",
    "ghost",
    "bad_firmware",
    "lost_in_update",
    "priority",
    "der_alarm",
]
"""What can be wrong with a station; see ``sim.stations.faults``."""

MeterFault = Literal[
    "meter_silent",
    "meter_stuck",
    "meter_nan",
    "meter_swapped",
    "meter_garbage",
    "meter_slow",
    "meter_busy",
    "meter_reset",
    "meter_spike",
    "meter_scaled",
    "meter_shifted",
]
"""At the grid meter: no answer, the same answer for ever, sentinels, words swapped, random registers,
answers ``value`` s late, exception ``value`` (6: busy), connections reset, L1 and so the total at
``value`` W, power × ``value``, power + ``value`` W. Its energy counters are true in the last three.
"""

ContactFault = Literal["contact_silent", "contact_welded", "contact_open"]
"""At the grid relay's contact: not read, shown closed whatever the relay does, shown open though it is
closed.
"""

ControllerFault = Literal[
    "stall",
    "suspend",
    "restart",
    "reboot_host",
    "disk_full",
    "clock_step",
    "clock_drift",
    "clock_unsynced",
    "bad_site_file",
]
"""At the controller: stopped for the time (SIGSTOP, starved), the machine asleep, killed and started again
after the time with its state folder as it stood at the kill, the same with a machine that boots, no room
on its disk, wall time wrong by ``value`` s, wall time that gains ``value`` millionths, no time service, a
site file that cannot be used and is reloaded.
"""

CloudFault = Literal["cloud_discharge", "cloud_charge", "cloud_idle", "cloud_flap"]
"""A plan that wants all out, all in, or nothing at every charger; or the first two by turns, anew each
minute.
"""

SiteFault = Literal["load", "pack_c"]
"""``value`` W more of base load on the feeder ``target``; the pack at outlet ``target`` at ``value`` °C."""

Order = Literal["operator_stop", "operator_hold"]
"""A person on site orders a stop, or a hold of all export, and releases it again. No fault, but it happens
in the same nights.
"""

FaultKind = Literal[StationFault, MeterFault, ContactFault, ControllerFault, CloudFault, SiteFault, Order]

STATION: Final[frozenset[FaultKind]] = frozenset(get_args(StationFault))
METER: Final[frozenset[FaultKind]] = frozenset(get_args(MeterFault))
CONTACT: Final[frozenset[FaultKind]] = frozenset(get_args(ContactFault))
CONTROLLER: Final[frozenset[FaultKind]] = frozenset(get_args(ControllerFault))
CLOUD: Final[frozenset[FaultKind]] = frozenset(get_args(CloudFault))
ORDER: Final[frozenset[FaultKind]] = frozenset(get_args(Order))

EVERYBODY: Final = "*"


class Fault(Struct, frozen=True):
    """From ``start_wall_s`` for ``duration_s``. ``value`` means what the kind says (seconds late, frames a
    second).
    """

    kind: FaultKind
    target: str
    start_wall_s: float
    duration_s: float
    value: float = 0.0

    @property
    def end_wall_s(self) -> float:
        """When it is over."""
        return self.start_wall_s + self.duration_s

    def is_active(self, wall_s: float) -> bool:
        """Whether it lasts at ``wall_s``."""
        return self.start_wall_s <= wall_s < self.end_wall_s


def targets_of(
    kind: FaultKind, stations: Iterable[str], evses: Iterable[str], feeders: Iterable[str]
) -> list[str]:
    """What a fault of this kind may name in a depot with these stations, outlets and feeders."""
    if kind in STATION:
        return [*stations, EVERYBODY]
    if kind == "pack_c":
        return [*evses]
    if kind == "load":
        return [*feeders]
    part = {True: "grid_meter"}.get(kind in METER) or ("grid_relay" if kind in CONTACT else "")
    return [part or ("cloud" if kind in CLOUD else "operator" if kind in ORDER else "controller")]
