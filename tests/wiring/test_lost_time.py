"""Lost time: the tick waits for fresh readings after a gap of its own, says so once, and waits for nothing
that is urgent.
"""

from typing import Any

from msgspec.structs import replace

from tests.depot import healthy, small_site
from v2g_edge.field.board import Board
from v2g_edge.model.event import Event
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import Operator, Snapshot
from v2g_edge.wiring.lost_time import SETTLE_S, TELL_EVERY_S, LostTime

SITE = small_site()


class SteppedClock:
    """Goes on where it is asked to wait; then ``read`` says what adapters read at that time."""

    def __init__(self) -> None:
        self.at_s = 100.0
        self.waits = 0
        self.read: Any = lambda: None

    def now_s(self) -> float:
        return self.at_s

    def wall_s(self) -> float:
        return 1_000_000.0 + self.at_s

    def synced(self) -> bool:
        return True

    async def sleep_s(self, duration_s: float) -> None:
        self.waits += 1
        self.at_s += duration_s
        self.read()


class Scene:
    """A board on which everything is fresh, and what stands before its ticks."""

    def __init__(self) -> None:
        self.clock, self.board, self.told = SteppedClock(), Board(SITE, lambda: None), list[Event]()
        self.lost = LostTime(self.board, self.clock, lambda: SITE, 1.0, self.told.append)
        self.read_all()

    def read_all(self, **contact: Any) -> None:
        seen: Snapshot = healthy(SITE, now_s=self.clock.at_s)
        for name, evse in zip((e.id for e in SITE.evses), seen.evses, strict=True):
            self.board.update_evse(name, link=evse.link)
        for name, meter in zip(SITE.meters, seen.meters, strict=True):
            self.board.update_meter(name, power_w=meter.power_w, phase_voltage_v=meter.phase_voltage_v,
                                    frequency_hz=meter.frequency_hz)  # fmt: skip
        for name, state in zip(SITE.contacts, seen.contacts, strict=True):
            self.board.update_contact(name, closed=contact.get("closed", state.closed))

    async def tick(self, after_s: float) -> int:
        """How often the tick waited that comes ``after_s`` later."""
        self.clock.at_s, self.clock.waits = self.clock.at_s + after_s, 0
        await self.lost.settle()
        return self.clock.waits


async def test_a2_a_tick_in_time_or_one_tick_late_waits_for_nothing() -> None:
    scene = Scene()
    assert [await scene.tick(after_s) for after_s in (0.0, 1.0, 0.02, 2.0, 3.0)] == [0] * 5
    assert scene.told == []


async def test_a2_after_lost_time_the_tick_comes_when_everything_has_been_read_again() -> None:
    scene = Scene()
    await scene.tick(0.0)
    scene.clock.read = lambda: scene.read_all() if scene.clock.waits == 3 else None
    assert await scene.tick(41.0) == 3
    seen = scene.board.freeze(scene.clock.at_s, 0.0, clock_synced=True, operator=Operator())
    assert all(isinstance(meter.power_w, Reading) and meter.power_w.at_s > 141.0 for meter in seen.meters)
    assert [(event.kind, event.severity) for event in scene.told] == [("time_lost", "warning")]
    assert "40.0 s" in scene.told[0].text


async def test_a2_what_was_read_after_the_last_tick_and_before_the_gap_is_waited_for_too() -> None:
    scene = Scene()
    await scene.tick(0.0)
    scene.clock.at_s += 0.5
    scene.read_all()
    scene.clock.read = lambda: scene.read_all() if scene.clock.waits == 3 else None
    assert await scene.tick(41.0) == 3


async def test_a2_a_device_that_is_truly_gone_is_waited_for_a_moment_only() -> None:
    scene = Scene()
    await scene.tick(0.0)
    begun_s = scene.clock.at_s + 41.0
    assert await scene.tick(41.0) > 0
    assert scene.clock.at_s - begun_s <= SETTLE_S + 0.1
    assert await scene.tick(1.0) == 0, "once"


async def test_a2_what_was_silent_before_the_gap_is_not_waited_for() -> None:
    scene = Scene()
    await scene.tick(60.0)
    assert await scene.tick(41.0) == 0


async def test_a2_an_open_contact_and_a_grid_outside_its_window_wait_for_nothing() -> None:
    for urgent in ("contact", "grid"):
        scene = Scene()
        await scene.tick(0.0)

        def read(scene: Scene = scene, urgent: str = urgent) -> None:
            if urgent == "contact":
                scene.board.update_contact(SITE.contacts[0], closed=Reading(0.0, scene.clock.at_s))
            else:
                scene.read_all()
                scene.board.update_meter(SITE.grid.meter, frequency_hz=Reading(40.0, scene.clock.at_s))
                name = SITE.evses[0].id
                link = replace(scene.board.evse(name).link, last_seen_s=0.0)
                scene.board.update_evse(name, link=link)

        scene.clock.read = read
        assert await scene.tick(41.0) == 1, urgent


async def test_a2_a_machine_that_is_always_late_is_told_once_a_minute_with_the_sum() -> None:
    scene = Scene()
    await scene.tick(0.0)
    scene.clock.read = scene.read_all
    for _ in range(int(TELL_EVERY_S // 5.0) + 1):
        await scene.tick(5.0)
    assert len(scene.told) == 2
    assert "4.0 s" in scene.told[0].text
