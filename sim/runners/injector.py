"""Plays the faults that are no station's: at meters and contacts, at the controller, in the cloud, in packs
and in the building.

One look a played second: a fault that has begun is put in place, one that has ended is taken away.
"""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from sim.modbus import server as modbus
from sim.modbus.devices import MeterTruth
from sim.runners.cloud import plan_of
from sim.runners.controller import Controller
from sim.runners.world import World
from sim.scenarios.aggregator import Dispatcher
from sim.scenarios.fault import CLOUD, CONTROLLER, METER, STATION, Fault

AT_THE_WIRE: Final[dict[str, modbus.FaultKind]] = {
    "meter_silent": "silent",
    "meter_stuck": "stuck",
    "meter_nan": "nan",
    "meter_swapped": "swapped",
    "meter_garbage": "garbage",
    "meter_slow": "slow",
    "meter_busy": "exception",
    "meter_reset": "reset",
}
"""Faults of a meter that its server plays, by the server's names."""

BUSY: Final = 6
"""Modbus exception SERVER DEVICE BUSY, where a busy meter does not say another."""

CLOUD_AGAIN_S: Final = 60.0
"""A cloud that wants something says so anew each minute."""


class Injector:
    """Give ``look`` to the world's watchers. ``controller`` is the daemon's machine; without one its
    faults are not played.
    """

    def __init__(self, world: World, controller: Controller | None) -> None:
        self._world = world
        self._controller = controller
        self._to_come = sorted(
            (fault for fault in world.scenario.faults if fault.kind not in STATION),
            key=lambda fault: fault.start_wall_s,
        )
        self._lasting: list[Fault] = []
        self._said_wall_s = 0.0
        aggregator = world.scenario.aggregator
        self._dispatcher = Dispatcher(aggregator) if aggregator else None

    def look(self, wall_s: float) -> None:
        """Begin and end what is due; go on with what goes on."""
        if self._dispatcher is not None and self._controller is not None:
            self._controller.dispatch(self._dispatcher.asked(wall_s), wall_s)
        changed = False
        while self._to_come and self._to_come[0].start_wall_s <= wall_s:
            fault = self._to_come.pop(0)
            self._lasting.append(fault)
            self._begin(fault)
            changed = True
        for fault in [fault for fault in self._lasting if fault.end_wall_s <= wall_s]:
            self._lasting.remove(fault)
            self._end(fault)
            changed = True
        if changed:
            self._set_orders()
            self._set_meter()
            self._set_contact()
            self._set_loads()
        if self._lasting:
            self._go_on(wall_s)

    def _begin(self, fault: Fault) -> None:
        if fault.kind in CONTROLLER and self._controller is not None:
            self._controller.begin(fault)

    def _end(self, fault: Fault) -> None:
        if fault.kind in CONTROLLER and self._controller is not None:
            self._controller.end(fault)

    def _set_orders(self) -> None:
        kinds = {fault.kind for fault in self._lasting}
        if self._controller is not None:
            self._controller.order(stop="operator_stop" in kinds, export_hold="operator_hold" in kinds)

    def _set_meter(self) -> None:
        wire = [fault for fault in self._lasting if fault.kind in AT_THE_WIRE]
        if wire:
            fault = wire[-1]
            code = int(fault.value) or BUSY
            played = modbus.Fault(
                AT_THE_WIRE[fault.kind], delay_s=fault.value, code=code, seed=int(fault.start_wall_s)
            )
        self._world.meter_unit.inject_fault(played if wire else modbus.HEALTHY)
        self._world.relay_unit.inject_fault(
            modbus.Fault("silent")
            if any(fault.kind == "contact_silent" for fault in self._lasting)
            else modbus.HEALTHY
        )
        bends = [
            BENDS[fault.kind](fault.value)
            for fault in self._lasting
            if fault.kind in METER and fault.kind in BENDS
        ]

        def distort(truth: MeterTruth) -> MeterTruth:
            for bend in bends:
                truth = bend(truth)
            return truth

        self._world.distort = distort

    def _set_contact(self) -> None:
        kinds = {fault.kind for fault in self._lasting}
        self._world.contact = (
            False if "contact_open" in kinds else True if "contact_welded" in kinds else None
        )

    def _set_loads(self) -> None:
        extra_w: dict[str, float] = {}
        for fault in self._lasting:
            if fault.kind == "load":
                extra_w[fault.target] = extra_w.get(fault.target, 0.0) + fault.value
        self._world.depot.extra_w = extra_w

    def _go_on(self, wall_s: float) -> None:
        for fault in self._lasting:
            if (
                fault.kind == "pack_c"
                and (battery := self._world.depot.chargers[fault.target].battery) is not None
            ):
                battery.pack_c = fault.value
            if (
                fault.kind in CLOUD
                and self._controller is not None
                and wall_s - self._said_wall_s >= CLOUD_AGAIN_S
            ):
                self._said_wall_s = wall_s
                self._controller.take_plan(plan_of(fault, self._world.scenario, wall_s))


Bend = Callable[[MeterTruth], MeterTruth]


def _spike(power_w: float) -> Bend:
    return lambda truth: replace(truth, phase_power_w=(power_w, *truth.phase_power_w[1:]))


def _scaled(factor: float) -> Bend:
    return lambda truth: replace(
        truth, phase_power_w=tuple(factor * power_w for power_w in truth.phase_power_w)
    )


def _shifted(more_w: float) -> Bend:
    return lambda truth: replace(
        truth, phase_power_w=tuple(power_w + more_w / 3.0 for power_w in truth.phase_power_w)
    )


BENDS: Final[dict[str, Callable[[float], Bend]]] = {
    "meter_spike": _spike,
    "meter_scaled": _scaled,
    "meter_shifted": _shifted,
}
"""Faults of a meter whose registers are right in form and wrong in power."""
