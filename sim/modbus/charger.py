"""A charger without OCPP: registers of its make on one side, the depot's physics on the other."""

from typing import Final

from sim.modbus.der import SunSpecDer
from sim.modbus.mapped import MappedCharger
from sim.modbus.server import ModbusServer, Unit
from sim.scenarios.scenario import Visit, Wired
from sim.virtual.clock import LoopClock
from sim.world.physics import Battery, Charger
from v2g_edge.field.modbus.map_parser import load_map

FREE, CHARGING, PAUSED, DISCHARGING = 0.0, 1.0, 4.0, 11.0
"""States of the Quasar 1 (source: its register map)."""

FLOW_W: Final = 100.0
"""Below this the Quasar's state is paused, and it knows no state of charge (note of its register map)."""


class WiredCharger:
    """See the module. The vehicle's electronics obey the registers; the plug is moved by the world."""

    def __init__(self, wired: Wired, charger: Charger, clock: LoopClock, *, port: int) -> None:
        self.evse = wired.evse
        self.heard_wall_s: float | None = None
        self._charger = charger
        self._asked = 0
        self._registers: MappedCharger | SunSpecDer
        if wired.map == "sunspec":
            self._registers = SunSpecDer(self._der_values, self._apply, clock.now_s)
        else:
            self._registers = MappedCharger(
                load_map(wired.map), self._quasar_values, self._apply, clock.now_s
            )
        self._unit = Unit(1, self._registers)
        self.server = ModbusServer([self._unit], port=port)

    def plug(self, number: int, battery: Battery, visit: Visit) -> None:
        """A vehicle is connected; there is one outlet."""
        self._charger.plug(battery)

    def unplug(self, number: int) -> Battery | None:
        """The vehicle leaves."""
        return self._charger.unplug()

    def step(self, wall_s: float) -> None:
        """Let the watchdog run out; note whether anybody asked since the last step."""
        asked = self._unit.reads + self._unit.writes
        if asked != self._asked:
            self._asked, self.heard_wall_s = asked, wall_s
        self._registers.check_watchdog()

    def _apply(self, power_w: float) -> None:
        self._charger.command_w = power_w

    def _quasar_values(self) -> dict[str, float]:
        battery, power_w = self._charger.battery, self._charger.power_w
        flows = abs(power_w) >= FLOW_W
        state = (
            FREE if battery is None else PAUSED if not flows else CHARGING if power_w > 0.0 else DISCHARGING
        )
        return {"power_w": power_w, "state": state, "soc_pct": battery.soc_pct if battery and flows else 0.0}

    def _der_values(self) -> dict[str, float]:
        battery = self._charger.battery
        return {
            "power_w": self._charger.power_w,
            "connection": float(battery is not None),
            "soc_pct": battery.soc_pct if battery else 0.0,
            "energy_import_wh": self._charger.import_wh,
            "energy_export_wh": self._charger.export_wh,
        }
