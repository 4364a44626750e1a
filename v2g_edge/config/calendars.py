"""What must fit together in calendars: dates that exist, windows that narrow something that is there."""

import re
from collections.abc import Iterator
from datetime import date

from v2g_edge.config.layout import SiteFile
from v2g_edge.config.problems import Problem
from v2g_edge.config.references import twice, unknown
from v2g_edge.model.site import Window


def check_calendars(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Every date that is none, every name that does not exist, every window that says nothing."""
    for text in plan.site.holidays:
        yield from _date(text, "site.holidays", file)
    for vehicle in plan.vehicles:
        for line in vehicle.departures:
            yield from _date(line, f"vehicles.{vehicle.id}.departures", file)
    yield from twice("time_of_use", (band.id for band in plan.time_of_use), file)
    for band in plan.time_of_use:
        for line in band.when:
            yield from _date(line, f"time_of_use.{band.id}.when", file)
        if not band.when:
            path = f"time_of_use.{band.id}.when"
            yield Problem(file, path, "no line", "at least one line", "Say when it holds.")
    yield from twice("windows", (window.id for window in plan.windows), file)
    for window in plan.windows:
        yield from _window(plan, window, file)


def _date(text: str, key: str, file: str) -> Iterator[Problem]:
    for found in re.findall(r"\d{4}-\d{2}-\d{2}", text):
        try:
            date.fromisoformat(found)
        except ValueError:
            yield Problem(file, key, f'"{found}"', "a day that exists", "Correct the date.")


def _window(plan: SiteFile, window: Window, file: str) -> Iterator[Problem]:
    path = f"windows.{window.id}"
    limits = (window.import_limit_w, window.export_limit_w)
    for line in window.when:
        yield from _date(line, f"{path}.when", file)
    if not window.when:
        yield Problem(file, f"{path}.when", "no line", "at least one line", "Say when it holds.")
    if window.feeder:
        yield from unknown(
            f"{path}.feeder", window.feeder, (each.id for each in plan.feeders), "a feeder", file
        )
    if window.vehicle_type:
        kinds = (each.id for each in plan.vehicle_types)
        yield from unknown(f"{path}.vehicle_type", window.vehicle_type, kinds, "a vehicle type", file)
    if bool(window.feeder) != any(limit is not None for limit in limits):
        found = "a feeder without a limit" if window.feeder else "a limit without a feeder"
        yield Problem(
            file, f"{path}.feeder", found, "a feeder with import_limit_w or export_limit_w", "Add the other."
        )
    if bool(window.vehicle_type) != (window.min_soc_pct is not None):
        found = "a type without min_soc_pct" if window.vehicle_type else "min_soc_pct without a type"
        yield Problem(
            file, f"{path}.vehicle_type", found, "a vehicle_type with min_soc_pct", "Add the other."
        )
    if (
        not window.feeder
        and not window.vehicle_type
        and all(limit is None for limit in (*limits, window.min_soc_pct))
    ):
        yield Problem(
            file, path, "nothing that it narrows", "a feeder or a vehicle_type", "Say what is less then."
        )
