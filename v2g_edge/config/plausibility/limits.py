"""Numbers of the safety table, of the host and of the clock that are allowed and seldom wise."""

from collections.abc import Iterator
from typing import Final

from v2g_edge.config.layout import SiteFile
from v2g_edge.config.plausibility.warning import odd
from v2g_edge.config.problems import Problem

USUAL: Final[dict[str, tuple[float, float, str]]] = {
    "safety.meter_max_age_s": (0.5, 10.0, "An old sample hides what happens now."),
    "safety.contact_max_age_s": (0.2, 5.0, "An old sample hides an open relay."),
    "safety.charger_max_age_s": (5.0, 120.0, "It decides how long a silent charger counts as present."),
    "safety.soc_max_age_s": (30.0, 1_800.0, "The SoC moves on while it is not reported."),
    "safety.temperature_max_age_s": (5.0, 600.0, "A pack heats up within minutes."),
    "safety.frozen_reads": (10.0, 1_000.0, "Few reads convict a steady meter, many acquit a frozen one."),
    "safety.lease_s": (10.0, 120.0, "So long chargers go on when the daemon has died."),
    "safety.ramp_up_w_per_s": (200.0, 5e6, "It is in W a second, for each charger."),
    "safety.export_start_window_hz": (0.02, 0.5, "Grid codes give 0.05 to 0.2 Hz."),
    "safety.obey_tolerance_w": (100.0, 20_000.0, "A charger this far off counts as obedient."),
    "safety.obey_within_s": (5.0, 120.0, "So long a charger may do otherwise unnoticed."),
    "safety.feeder_margin_pct": (0.0, 15.0, "It is lost to charging."),
    "safety.max_link_loss_pct": (0.5, 20.0, "Above it no change of direction starts."),
    "safety.authorisation_max_age_s": (10.0, 600.0, "An old permission is none."),
    "safety.balance_within_s": (5.0, 300.0, "So long a meter may contradict its chargers."),
    "safety.cooling_derate_c": (20.0, 90.0, "Is it in °F?"),
    "safety.cooling_max_c": (25.0, 100.0, "Is it in °F?"),
    "safety.sustained_pct": (30.0, 100.0, "It bounds the mean power of outlets with a cooling loop."),
    "safety.thermal_time_s": (60.0, 14_400.0, "Chargers warm up within minutes to an hour."),
    "safety.late_after_s": (2.0, 60.0, "Beyond it time counts as lost by the controller itself."),
    "response.deadband_hz": (0.0, 0.1, "Is it in mHz?"),
    "response.full_hz": (0.05, 1.0, "Is it in mHz?"),
    "host.tick_s": (0.1, 2.0, "Slow ticks make slow answers to a trip."),
    "host.journal_keep_days": (2.0, 400.0, "The disk fills, or the night cannot be replayed."),
    "cloud.telemetry_s": (1.0, 600.0, "Is it in minutes?"),
    "ocpp.renew_days": (7.0, 180.0, "Late renewals leave no time for a visit."),
}
"""Key, the usual range, and what an unusual value does. The ranges are wider than any site of this
project's tests.
"""
FIXED_ZONES: Final = (
    "UTC",
    "GMT",
    "Etc/",
    "EST",
    "MST",
    "HST",
    "CET",
    "MET",
    "EET",
    "WET",
    "Zulu",
    "UCT",
    "Universal",
)
CODE_ZONES: Final = {
    "vde_ar_n_4105_2018": ("Europe/", "Atlantic/"),
    "g99": (
        "Europe/London",
        "Europe/Belfast",
        "Europe/Jersey",
        "Europe/Guernsey",
        "Europe/Isle_of_Man",
        "GB",
    ),
    "en50549_example": ("Europe/", "Atlantic/", "Asia/Nicosia"),
    "ieee1547_2018_cat1": ("America/", "US/", "Canada/", "Pacific/"),
    "ieee1547_2018_cat2": ("America/", "US/", "Canada/", "Pacific/"),
    "ieee1547_2018_cat3": ("America/", "US/", "Canada/", "Pacific/"),
    "rule21": ("America/Los_Angeles", "US/Pacific"),
}
"""Where each grid code is in force, by the beginning of the time zone's name."""


def odd_times(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Numbers out of their usual range, and what they do together."""
    for key, (low, high, why) in USUAL.items():
        table, _, name = key.partition(".")
        value = getattr(getattr(plan, table), name)
        if not low <= value <= high:
            yield odd(file, key, f"{value:g}", f"{low:g} to {high:g}", why)
    yield from _obey(plan, file)
    yield from _zone(plan, file)
    yield from _host(plan, file)


def _obey(plan: SiteFile, file: str) -> Iterator[Problem]:
    safety = plan.safety
    slow = [station.identity for station in plan.stations if station.meter_interval_s > safety.obey_within_s]
    if slow:
        usual = f"above the reports of {', '.join(slow[:3])}"
        mend = "Obedience is judged before the charger has reported once."
        yield odd(file, "safety.obey_within_s", f"{safety.obey_within_s:g} s", usual, mend)
    most_w = min((evse.max_charge_w for evse in plan.evses if evse.max_charge_w > 0.0), default=0.0)
    if 0.0 < most_w < safety.obey_tolerance_w:
        usual = f"below the smallest outlet's {most_w:.0f} W"
        yield odd(
            file,
            "safety.obey_tolerance_w",
            f"{safety.obey_tolerance_w:g} W",
            usual,
            "It would always count as obedient.",
        )


def _zone(plan: SiteFile, file: str) -> Iterator[Problem]:
    zone = plan.site.timezone
    if zone.startswith(FIXED_ZONES):
        mend = 'Departures would not follow summer time. Name a city, like "Europe/Berlin".'
        yield odd(file, "site.timezone", f'"{zone}"', "a city of the region", mend)
        return
    places = CODE_ZONES.get(plan.grid.code, ())
    if places and not zone.startswith(places):
        usual = f"a zone like {', '.join(places)}"
        yield odd(file, "grid.code", f"{plan.grid.code} in {zone}", usual, "Is it the code of this country?")


def _host(plan: SiteFile, file: str) -> Iterator[Problem]:
    host = plan.host
    for name in ("state_dir", "socket"):
        path = getattr(host, name)
        if path and not path.startswith("/"):
            mend = "Write the whole path: a service has no folder of its own to start from."
            yield odd(file, f"host.{name}", f'"{path}"', "a path that begins with /", mend)
    if host.state_dir.startswith(("/tmp", "/run", "/dev/shm", "/var/tmp")):  # noqa: S108 - this is the warning against them
        mend = "Trips, orders and the journal would be gone after a restart of the machine."
        yield odd(file, "host.state_dir", f'"{host.state_dir}"', "a folder that survives a restart", mend)
    if host.log_level in {"error"}:
        yield odd(
            file,
            "host.log_level",
            f'"{host.log_level}"',
            '"info" or "warning"',
            "Warnings of the depot would not be logged.",
        )
