"""What runs out is said once, and once more when it is over."""

import asyncio
import socket
from pathlib import Path

from msgspec.structs import replace

from tests.config.small import TEXT
from v2g_edge.api.monitoring.monitor import (
    BOX_HOT_C,
    CERTIFICATE_ENDS_S,
    DISK_LOW_BYTES,
    MEMORY_HIGH_BYTES,
    Monitor,
    troubles,
)
from v2g_edge.api.state import DepotState
from v2g_edge.config.load import loads
from v2g_edge.host.clock import LoopClock
from v2g_edge.host.health import Machine
from v2g_edge.model.event import Event

WELL = Machine(
    memory_bytes=MEMORY_HIGH_BYTES,
    disk_free_bytes=DISK_LOW_BYTES,
    temperature_c=BOX_HOT_C,
    certificates={"/a": CERTIFICATE_ENDS_S},
)


def test_a_machine_at_every_limit_is_well_and_one_step_further_is_not() -> None:
    assert list(troubles(WELL, 0.0)) == []
    assert list(troubles(Machine(), 0.0)) == [], "what is not known is no trouble"
    steps = (
        ("memory_high", replace(WELL, memory_bytes=MEMORY_HIGH_BYTES + 1)),
        ("disk_low", replace(WELL, disk_free_bytes=DISK_LOW_BYTES - 1)),
        ("box_hot", replace(WELL, temperature_c=BOX_HOT_C + 1.0)),
        ("certificate_ending", replace(WELL, certificates={"/a": CERTIFICATE_ENDS_S - 1.0, "/b": 1e12})),
    )
    for kind, machine in steps:
        assert [event.kind for event in troubles(machine, 0.0)] == [kind]


async def test_a_port_in_use_is_said_once_and_served_as_soon_as_it_is_free(tmp_path: Path) -> None:
    """It costs the page, never the daemon."""
    taken = socket.create_server(("127.0.0.1", 0))
    settings = loads(TEXT)
    listen = f"127.0.0.1:{taken.getsockname()[1]}"
    settings = replace(settings, host=replace(settings.host, state_dir=str(tmp_path), metrics=listen))
    told: list[str] = []
    changed = asyncio.Event()

    def tell(event: Event) -> None:
        told.append(event.kind)
        changed.set()

    clock = LoopClock(asyncio.get_running_loop(), 0.0, scale=1_000.0)
    watching = Monitor(DepotState(settings.site), settings, clock, lambda: 0, tell)
    await watching.start()
    async with asyncio.timeout(20):
        await changed.wait()
        changed.clear()
        taken.close()
        await changed.wait()
    await watching.stop()
    assert told == ["metrics_not_served", "trouble_over"]
