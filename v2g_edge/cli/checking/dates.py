"""Days of the site file that are over: they change nothing, and are mostly a year that was typed wrong."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from v2g_edge.config.plausibility.warning import odd
from v2g_edge.config.problems import Problem
from v2g_edge.model.settings import Settings

DAY: Final = re.compile(r"^(\d{4}-\d{2}-\d{2}) ")


def date_problems(settings: Settings, file: str, wall_s: float) -> Iterator[Problem]:
    """Warnings alone: a file may be kept for years."""
    site = settings.site
    today = f"{datetime.fromtimestamp(wall_s, UTC).astimezone(ZoneInfo(site.timezone)):%Y-%m-%d}"
    lines = [(f"vehicles.{v.id}.departures", line) for v in site.vehicles for line in v.departures]
    lines += [(f"windows.{w.id}.when", line) for w in site.windows for line in w.when]
    for key, line in lines:
        day = DAY.match(line)
        if day is not None and day[1] < today:
            found = f'"{line}", a day that is over'
            yield odd(file, key, found, "a day to come", "Correct it, or remove it.")
    if site.holidays and max(site.holidays) < today:
        found = f"none after {max(site.holidays)}"
        yield odd(file, "site.holidays", found, "holidays to come", "Add those of this year and the next.")
