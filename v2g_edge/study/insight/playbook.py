"""What to do about each kind of anomaly: (what it mostly is, what to do). The manual's table is it."""

from typing import Final

PLAYBOOK: Final[dict[str, tuple[str, str]]] = {
    "charged_much": ("a longer route, heating, another vehicle", "ask the driver; compare the odometer"),
    "charged_little": (
        "the vehicle did not drive, or charged elsewhere",
        "ask dispatch; look for not_charged",
    ),
    "gave_much": (
        "a new plan or service, a cap that was lifted",
        "`v2g-edge plan`; check depth caps and orders",
    ),
    "gave_little": ("a trip, a hold, a charger that refuses", "`v2g-edge why export`; `v2g-edge report`"),
    "standby_high": ("a heater or fan that never stops, a leak", "measure the outlet empty; call the maker"),
    "sessions_many": (
        "a loose plug or a contactor that flaps",
        "inspect plug and cable; read the charger's log",
    ),
    "power_high": (
        "a wrong current transformer ratio, no limit",
        "compare with the grid meter; `v2g-edge why`",
    ),
    "power_low": ("derating by heat, a lost phase, a cold pack", "phases at the charger; its temperature"),
    "arrived_late": ("traffic, a changed schedule", "nothing, unless it goes on: then tell the timetable"),
    "arrived_early": ("a broken-off trip, a changed schedule", "ask dispatch"),
    "left_late": ("a vehicle that waits or does not start", "ask dispatch; check that it was ready"),
    "left_early": ("an unplanned trip: V2G may have cost charge", "enter it in the timetable"),
    "stayed_long": ("a vehicle out of service", "tell dispatch; set its calendar"),
    "stayed_short": ("plugged in late or unplugged by hand", "ask the driver"),
    "arrived_empty": ("a longer route, a worn pack, a wrong SoC", "compare the odometer; look at SoH"),
    "left_short": (
        "too little power or time",
        "`v2g-edge why VEHICLE`; the night's report says which limit held it",
    ),
    "cycled_deep": ("a floor or cap that was changed", "check `min_soc_pct` and `depth_per_event_pct`"),
    "pack_hot": ("a cooling fault", "stop export of it; workshop"),
    "pack_cold": ("preconditioning did not run", "charge it before departure; check preconditioning"),
    "energy_lost": ("a charger or pack that loses energy", "compare with another outlet; measure"),
    "capacity_faded": (
        "a pack that holds less, or a meter that counts too little",
        "read SoH; test the meter",
    ),
    "meter_exchanged": ("a new or reset meter", "write it down; nothing if it was planned"),
    "meter_leapt": ("another meter's data, a fault of scaling", "check the meter's address and scaling"),
    "meter_rolled_over": ("a register that is full", "nothing"),
    "soc_not_told": (
        "a charger without SoC, a vehicle without ISO 15118",
        "enter what it needs in the timetable",
    ),
    "clock_set": ("the controller's clock was wrong", "check the time service"),
    "permit_exceeded": (
        "a charger that does not follow, or a second one behind its meter",
        "`v2g-edge why OUTLET`; its firmware and profile support",
    ),
    "not_charged": ("a stay in which nothing flowed", "plug, charger and authorisation at once"),
    "soh_fell": ("a pack that ages fast", "warranty; lower its depth cap"),
}


def table() -> str:
    """The manual's table."""
    rows = [f"| `{kind}` | {means} | {act} |" for kind, (means, act) in PLAYBOOK.items()]
    return "\n".join(["| kind | mostly | what to do |", "|---|---|---|", *rows])
