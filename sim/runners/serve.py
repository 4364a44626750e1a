"""The simulator alone, over real sockets: the depot for a daemon in another process."""

import json
from pathlib import Path

from sim.modbus.rtu import RtuServer
from sim.runners.report import physical_report
from sim.runners.world import World
from sim.scenarios.scenario import Scenario
from sim.virtual.clock import LoopClock


async def serve(
    scenario: Scenario, clock: LoopClock, url: str, meter_port: int, relay_port: int, report: Path | None
) -> None:
    """Play ``scenario`` on ``clock`` to its end; the physical part of the report goes to ``report``, also
    when cut short.
    """
    world = World(scenario, clock, meter_port=meter_port, relay_port=relay_port)
    await world.start()
    if isinstance(world.meter, RtuServer):
        print(
            f"grid meter on serial port {world.meter.path}", flush=True
        )  # the kernel chose it: the site file must name it
    world.join(url)
    try:
        await world.play(scenario.end_wall_s)
    finally:
        if report is not None:
            report.write_text(json.dumps(physical_report(world), indent=2) + "\n")  # noqa: ASYNC240 - at the very end
        await world.stop()
