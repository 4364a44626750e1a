"""The fleet's systems together: vehicle records, the VDV 463 server, and a timetable file that is read again
when it changes.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from v2g_edge.fleet.lifetime_throughput import has_caps, read_lives, readings_of
from v2g_edge.fleet.telematics_in import Telematics
from v2g_edge.fleet.timetable_file import OCTETS_MAX, BadTimetable, read_timetable
from v2g_edge.fleet.vdv_server import Inform, VdvServer
from v2g_edge.fleet.vehicle_records import VehicleRecords
from v2g_edge.model.event import Event
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import FleetSettings, TelematicsSettings
from v2g_edge.model.site import Site
from v2g_edge.tasks import end, keep

log = structlog.get_logger()

LOOK_S: Final = 30.0
"""How often it is looked at whether the file has changed."""
ANEW_S: Final = 86_400.0
"""Recurring departures are laid out for eight days, so the file is read at least once a day."""


class Fleet:
    """``start`` and ``stop``; ``run`` is one of its tasks. ``records`` answers what is known of a vehicle."""

    def __init__(
        self,
        settings: FleetSettings,
        site: Site,
        clock: ClockPort,
        *,
        inform: Inform,
        tell: Callable[[Event], None],
        telematics: TelematicsSettings | None = None,
        lives: Path | None = None,
    ) -> None:
        self._settings = settings
        self._site = site
        self._clock = clock
        self._tell = tell
        self.records = VehicleRecords(site)
        self.server = (
            VdvServer(settings, self.records, clock, inform=inform, tell=tell) if settings.port else None
        )
        told = telematics or TelematicsSettings()
        self.telematics = (
            Telematics(told, site, self.records, clock, tell) if told.port or told.mqtt_host else None
        )
        self._mqtt = bool(told.mqtt_host)
        self._tasks: list[asyncio.Task[None]] = []
        self._path = Path(settings.timetable_file) if settings.timetable_file else None
        self._seen: tuple[int, int] | None = (0, 0)
        self._read_s = -ANEW_S
        self._lives = lives if lives is not None and has_caps(site) else None
        self._lives_seen: tuple[int, int] | None = None

    @property
    def is_used(self) -> bool:
        """Whether the site names any of them."""
        return bool(self.server or self.telematics or self._path or self._lives)

    async def start(self) -> None:
        """Read the timetable and listen. What cannot be used is an event; the depot runs without it."""
        if not self.is_used:
            return
        await self._read_if_changed()
        await self._read_lives_if_changed()
        for part, words in (
            (self.server, "depot management cannot dial in: {}; see [fleet] in the site file"),
            (self.telematics, "telematics cannot report: {}; see [telematics] in the site file"),
        ):
            try:
                if part is not None:
                    await part.start()
            except OSError as fault:
                text = words.format(fault)
                self._tell(Event("fleet_unusable", "alarm", "site", text, self._clock.wall_s()))
        self._tasks.append(keep("timetable file", self.run))
        if self.server is not None:
            self._tasks.append(keep("vdv463", self.server.run))
        if self.telematics is not None and self._mqtt:
            self._tasks.append(keep("telematics mqtt", self.telematics.run_mqtt))

    async def stop(self) -> None:
        """End what runs and close the ports."""
        await end(*self._tasks)
        self._tasks.clear()
        if self.telematics is not None:
            await self.telematics.stop()
        if self.server is not None:
            await self.server.stop()

    async def run(self) -> None:
        """Look at the file from time to time, until cancelled."""
        while True:
            await self._clock.sleep_s(LOOK_S)
            await self._read_if_changed()
            await self._read_lives_if_changed()

    async def _read_lives_if_changed(self) -> None:
        """What the vehicles have given, where a warranty caps it."""
        if self._lives is None:
            return
        signature = await asyncio.to_thread(_signature, self._lives)
        if signature == self._lives_seen:
            return
        self._lives_seen = signature
        lives = await asyncio.to_thread(read_lives, self._lives, self._clock.wall_s())
        if lives is None:
            log.warning("lives_unusable", path=str(self._lives))
            return
        for vehicle, readings in readings_of(
            self._site, self.records.ids, lives, self._clock.now_s()
        ).items():
            self.records.update_readings(vehicle, readings)

    async def _read_if_changed(self) -> None:
        if self._path is None:
            return
        signature = await asyncio.to_thread(_signature, self._path)
        now_s = self._clock.now_s()
        if signature == self._seen and now_s - self._read_s < ANEW_S:
            return
        self._seen, self._read_s = signature, now_s
        wall_s = self._clock.wall_s()
        try:
            data = await asyncio.to_thread(_read, self._path)
            table = await asyncio.to_thread(
                read_timetable, data, str(self._path), self.records.ids, self._site.timezone, wall_s
            )
        except (OSError, BadTimetable) as fault:
            text = f"the timetable cannot be used: {fault}; departures that were known stay"
            self._tell(Event("fleet_unusable", "alarm", "site", text, wall_s))
            return
        source = f"timetable:{self._path}"
        new = {(each.vehicle, each.departure_wall_s) for each in table.missions}
        stay = tuple(
            each
            for each in self.records.missions()
            if each.source == source
            and each.vehicle in table.doubtful
            and (each.vehicle, each.departure_wall_s) not in new
        )
        self.records.replace_missions(source, table.missions + stay)
        if table.faults:
            text = f"lines of the timetable cannot be used: {'; '.join(table.faults)}"
            kept = "the other lines count, and departures of their vehicles that were known stay"
            self._tell(Event("fleet_unusable", "alarm", "site", f"{text}; {kept}", wall_s))


def _signature(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(OCTETS_MAX + 1)
