"""What can be wrong with a simulated station, whatever version it speaks.

While they last: ``ignore`` accepts profiles and does not obey · ``reject`` refuses them · ``mute`` neither
speaks nor answers, the socket stays · ``late`` answers ``value`` seconds late · ``reboot`` loses supply,
transaction and profiles but the default · ``offline`` drops the link and keeps its profiles and what belongs
to transactions · ``duplicate`` says twice what belongs to a transaction · ``wrong_clock`` is ``value``
seconds ahead (below 0: behind) · ``wrong_sign`` charges where it should discharge · ``turned_meter`` shows
charging as discharging and the other way round · ``stuck_meter`` repeats its last sample · ``quiet_soc``
reports no SoC · ``flood`` sends ``value`` frames a second · ``nonsense`` sends what is no OCPP ·
``bad_firmware`` fails to install · ``lost_in_update`` does not come back from an installation · ``vanish``
drops the link in the middle of a frame · ``priority`` charges with full power whatever its profiles say, and
reports it (2.1) · ``der_alarm`` reports over-voltage (2.1) · ``reject_negative`` refuses limits below 0 ·
``wrong_soc`` reports ``value`` points too many ·
``noisy_soc`` up to ``value`` points to either side, another each time · ``stepped_soc`` in steps of ``value``
points, rounded down · ``half_open`` keeps the connection, of which nothing arrives
on either side · ``slow_link`` is ``value`` s late each way · ``overdraw`` draws ``value`` times its setpoint
· ``underdraw`` draws no more than ``value`` W · ``currents_only``, ``registers_only`` and ``quiet_power``
(1.6) tell nothing but amperes and volts, the import register, or what the vehicle says of its pack ·
``ghost`` never reports that a transaction is over.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from websockets.asyncio.client import ClientConnection

from sim.scenarios.fault import Fault, FaultKind
from sim.stations.outlet import Outlet, Sample
from sim.stations.version import Alone
from sim.virtual.pipe import Pipe
from v2g_edge.model.limits import ANY_W

NONSENSE: Final = (
    "{",
    "[2]",
    '[2,"x","NoSuchAction",{}]',
    "[9,9,9]",
    '[3,"never-asked",{}]',
    '[2,"y","Heartbeat",{"a":1}]',
    "\x00",
)

CUT_FRAME: Final = b"\x81\xfe\x04\x00\x01\x02\x03\x04[2,"
"""A text frame that announces 1,024 octets; four come."""

FLOOD: Final = 200.0
"""Frames a second where a flood does not say how many."""


def active(faults: tuple[Fault, ...], wall_s: float) -> frozenset[FaultKind]:
    """What is wrong at ``wall_s``."""
    return frozenset(fault.kind for fault in faults if fault.is_active(wall_s))


def value(faults: tuple[Fault, ...], kind: FaultKind, now: frozenset[FaultKind]) -> float:
    """The value of a fault that is active, 0 of one that is not."""
    return next((fault.value for fault in faults if fault.kind == kind), 0.0) if kind in now else 0.0


def end_wall_s(faults: tuple[Fault, ...], kind: FaultKind) -> float:
    """When the last fault of this kind is over."""
    return max(fault.start_wall_s + fault.duration_s for fault in faults if fault.kind == kind)


def late_s(faults: tuple[Fault, ...], now: frozenset[FaultKind], frame: bytes) -> float:
    """How late a frame goes out: answers are late; what the station says of its own accord is not."""
    return value(faults, "late", now) if frame.startswith((b"[3", b"[4")) else 0.0


def frames(faults: tuple[Fault, ...], now: frozenset[FaultKind], count: int) -> list[bytes]:
    """What is sent beside all sense; ``count`` numbers the seconds."""
    sent = [text.encode() for text in NONSENSE] if "nonsense" in now else []
    if "flood" in now:
        rate = int(value(faults, "flood", now) or FLOOD)
        sent += [f'[2,"f{count}-{n}","Heartbeat",{{}}]'.encode() for n in range(rate)]
    return sent


def twist(faults: tuple[Fault, ...], now: frozenset[FaultKind], outlets: Iterable[Outlet]) -> None:
    """What a station's outlets do to their setpoint and to what they report."""
    for outlet in outlets:
        outlet.factor = value(faults, "overdraw", now) or 1.0
        outlet.cap_w = value(faults, "underdraw", now) if "underdraw" in now else ANY_W
        outlet.soc_error_pct = value(faults, "wrong_soc", now)
        outlet.soc_noise_pct = value(faults, "noisy_soc", now)
        outlet.soc_step_pct = value(faults, "stepped_soc", now)


def disturb(faults: tuple[Fault, ...], now: frozenset[FaultKind], link: ClientConnection | None) -> None:
    """Make a link in memory late or half-open. A real network is not ours to disturb."""
    if link is not None and isinstance(link.transport, Pipe):
        link.transport.disturb(delay_s=value(faults, "slow_link", now), dead="half_open" in now)


def only(now: frozenset[FaultKind]) -> Alone:
    """What alone a station reports; "" where it reports all."""
    if "quiet_power" in now:
        return "vehicle"
    return "currents" if "currents_only" in now else "registers" if "registers_only" in now else ""


def turned(sample: Sample) -> Sample:
    """As a meter shows it that was wired the wrong way round."""
    on_l1, on_l2, on_l3 = sample.phase_w
    return replace(
        sample,
        power_w=-sample.power_w,
        import_wh=sample.export_wh,
        export_wh=sample.import_wh,
        phase_w=(-on_l1, -on_l2, -on_l3),
    )
