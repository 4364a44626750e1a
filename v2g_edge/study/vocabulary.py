"""Every word that can stand under "bound by" or as the reason of a wish: in five words, in a sentence, and
what to do.

``docs/operator.md`` shows this table; a test holds both together, and finds a rule of the envelope that has
no words here.
"""

from typing import Final, Literal, NamedTuple

Need = Literal["person", "wait", "none"]


class Word(NamedTuple):
    """``brief`` stands in a table row, ``says`` begins an answer, ``remedy`` is what a person does ("" where
    nothing).

    ``need`` "person": a person has to act, and the status says so first. "wait": it ends by itself.
    """

    brief: str
    says: str
    remedy: str = ""
    need: Need = "none"


RULES: Final[dict[str, Word]] = {
    "operator_stop": Word(
        "stopped by order", "Stopped by an order", "`v2g-edge release stop` when work is done", "person"
    ),
    "service_stop": Word("service ends", "The controller's service is being stopped", "nothing"),
    "export_hold": Word(
        "export held", "Export is held", "`v2g-edge release hold`, or nothing if it is meant", "wait"
    ),
    "grid_relay_open": Word(
        "grid relay open",
        "The grid relay is open",
        "see what opened it; export comes back by itself",
        "person",
    ),
    "grid_fault": Word(
        "grid fault",
        "Voltage or frequency left the grid code's limits",
        "nothing; often a fault outside",
        "wait",
    ),
    "grid_relay_silent": Word(
        "grid relay not read", "The grid relay is not read", "look at cable and input module", "person"
    ),
    "momentary_cessation": Word("grid pause", "The grid code asks for a pause", "", "wait"),
    "not_in_service": Word("waits for the grid", "The waiting time of the grid code runs", "", "wait"),
    "start_window": Word(
        "frequency off", "The frequency is too far from nominal to begin an export", "", "wait"
    ),
    "clock_unsynced": Word(
        "clock not set", "The clock is not synchronised", "look at the time service and the network", "person"
    ),
    "meter_silent": Word(
        "meter silent",
        "A meter is not read",
        "look at its cable and address; `v2g-edge modbus read`",
        "person",
    ),
    "meter_frozen": Word(
        "meter frozen", "A meter gives the same answer again and again", "restart the meter", "person"
    ),
    "meter_implausible": Word(
        "meter contradicts",
        "A meter contradicts its chargers",
        "look at transformers, ratio, base_load_*_w",
        "person",
    ),
    "meter_reversed": Word(
        "meter reversed",
        "A meter moves against its chargers",
        "turn the transformer or set invert, then clear",
        "person",
    ),
    "charger_silent": Word(
        "charger silent", "The charger is silent", "look at its network and its display", "person"
    ),
    "charger_faulted": Word(
        "charger fault", "The charger reports a fault", "look at its display and manual", "person"
    ),
    "charger_impaired": Word(
        "charger impaired",
        "The charger reports a fault that stops discharge",
        "look at its display and manual",
        "person",
    ),
    "ev_connection_lost": Word("plug lost", "The charger sees no vehicle", "plug in again", "person"),
    "no_dead_man": Word(
        "no dead-man", "Nothing proven would end a discharge", "commission the dead-man", "none"
    ),
    "link_quality": Word(
        "poor link", "Too many requests to the charger are lost", "look at its network", "person"
    ),
    "disobedient": Word(
        "does not obey", "The charger does not follow its setpoint", "`v2g-edge retry OUTLET`", "person"
    ),
    "quarantine": Word(
        "trial after not obeying", "It is tried again with little after it did not obey", "", "wait"
    ),
    "limits_not_taken": Word(
        "takes no limits",
        "The station refuses every limit and charges at its default",
        "smart charging in its settings",
        "person",
    ),
    "priority_charging": Word(
        "priority at station", "The station charges with priority", "end it at the station", "wait"
    ),
    "not_authorised": Word(
        "may not give", "The vehicle may not discharge", "`vehicles` in the site file, if it should"
    ),
    "departure_unknown": Word(
        "departure unknown",
        "Its departure or target is not known",
        "`v2g-edge depart VEHICLE HH:MM`",
        "wait",
    ),
    "soc_low": Word("at its lower SoC", "The SoC is at its lower edge, or unknown"),
    "soc_not_reckoned": Word("SoC not followed", "What flowed cannot be followed, so its SoC is not known"),
    "discharge_withheld": Word(
        "discharge withheld", "The station refused discharge, so it is not asked for now", "", "wait"
    ),
    "depth_of_event": Word("gave enough this time", "Enough was taken out in this event"),
    "depth_of_day": Word("gave enough today", "Enough was taken out today"),
    "pack_temperature": Word(
        "pack too cold or hot", "The pack is outside its window, or unknown", "let it warm or cool", "wait"
    ),
    "cooling_temperature": Word(
        "cooling too hot", "The cooling loop is too hot, or unknown", "pump, filter, sensor", "person"
    ),
    "soh_floor": Word("battery worn", "The state of health is below its floor, or unknown"),
    "battery_throughput_exceeded": Word(
        "warranty used up", "The warranty's energy, hours or cycles are used up"
    ),
    "grid_code_mismatch": Word(
        "other grid code",
        "The charger is set to another grid code",
        "call the commissioning engineer",
        "person",
    ),
    "charger_rating": Word("at its rating", "The charger's plate allows no more"),
    "no_vehicle": Word("empty", "Nothing is plugged in"),
    "vehicle_limits": Word("vehicle gives no more", "The vehicle itself says how much it gives"),
    "enter_service_ramp": Word(
        "grid returns slowly", "The grid code lets export grow slowly after a fault", "", "wait"
    ),
    "cooling_derating": Word(
        "cooling warm", "The cooling loop is warm, so the power is less", "pump, filter", "wait"
    ),
    "sustained_load": Word(
        "charger warm", "The charger has given much for long, so the power is less", "", "wait"
    ),
    "temperature_derating": Word("pack warm", "The pack is warm, so the power is less", "", "wait"),
    "vehicle_unknown": Word(
        "vehicle not known", "The vehicle is not in the site file", "add it to `vehicles`, if it is yours"
    ),
    "vehicle_type": Word("type gives no more", "The vehicle's type allows no more"),
    "soc_high": Word("nearly full", "The SoC is at its upper edge, or unknown"),
    "feeder_import": Word(
        "feeder full", "The feeder has no headroom left", "`v2g-edge why FEEDER` says who uses it"
    ),
    "feeder_export": Word("feeder full, outward", "The feeder may carry no more outward"),
    "unproven_discharge": Word(
        "first try waits", "It was never seen to give, and the feeder has no headroom for a try", "", "wait"
    ),
    "unmetered": Word(
        "waits for its turn",
        "Its charger tells no power, and its rating does not fit beside the others",
        "let the charger report its power",
        "none",
    ),
    "departure_certificate": Word("kept for departures", "A departure could not be proven after this export"),
    "ramp": Word("growing", "The power grows step by step", "", "wait"),
    "minimum_power": Word(
        "too little for a start", "What is left is less than the charger's least power", "", "wait"
    ),
    "outside_limit": Word(
        "limit from outside",
        "A limit from outside holds, of a programme or an upstream central system",
        "ask who set it, if it is in the way",
        "none",
    ),
    "wish": Word("", "Nothing limits it"),
}
"""By the rule of a bound."""

REASONS: Final[dict[str, Word]] = {
    "idle": Word("charged as wanted", "It has what it needs"),
    "departure": Word("charges to leave in time", "It has to charge now to leave in time"),
    "overdue": Word(
        "should have left", "It should have left and still lacks energy", "correct its departure", "person"
    ),
    "departure_short": Word(
        "short, charged first", "Not all departures can be met, and it lacks most", "", "person"
    ),
    "departure_hold": Word("rests for the others", "It does not give, so that the others can"),
    "order_boost": Word("boosted by order", "A boost was ordered"),
    "plan": Word("by the plan", "It follows the plan"),
    "plan_site": Word("by the plan", "It has its share of the plan for the site"),
    "charge": Word("charges what it lacks", "It charges what it lacks"),
    "no vehicle": Word("empty", "Nothing is plugged in"),
}
"""By the reason of a wish."""

RISKS: Final[dict[str, Word]] = {
    "overdue": Word(
        "OVERDUE", "should have left", "plan with it as it is, or correct its departure", "person"
    ),
    "impossible": Word(
        "NOT READY", "cannot be ready in time, even alone", "another vehicle, or a later departure", "person"
    ),
    "short": Word(
        "NOT READY",
        "is not ready in time with all the others",
        "another vehicle, or a later departure",
        "person",
    ),
    "not_charging": Word(
        "DRAWS NOTHING", "draws nothing though it may", "wake it, plug in again, its charge timer", "person"
    ),
    "gives_nothing": Word(
        "GIVES NOTHING", "gives nothing though it has the order", "look at vehicle and charger", "person"
    ),
}
"""By what endangers a departure or an export."""


def word_of(rule: str) -> Word:
    """The words of a rule; a rule without words says its own name."""
    return RULES.get(rule) or Word(rule.replace("_", " "), rule.replace("_", " ").capitalize())


def reason_of(reason: str) -> Word:
    """The words of a wish's reason; a service that is sold says its name."""
    if reason == "service_peak_shaving":
        return Word("below the peak", "It keeps the connection below the peak that is billed")
    if reason.startswith("service_"):
        name = reason.removeprefix("service_").replace("_", " ")
        return Word(f"service {name}"[:25], f"It serves {name}, which is sold")
    return REASONS.get(reason) or word_of(reason)
