"""What the fleet says is laid over the charger's word, and the charger's own word comes back when it is
withdrawn.
"""

from msgspec.structs import replace

from v2g_edge.field.fleet_overlay import OWN_FRESH_S, FleetOverlay
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.snapshot import VehicleState


class Fleet:
    """Says ``facts`` of every vehicle."""

    def __init__(self) -> None:
        self.revision = 0
        self.facts: dict[str, Reading] = {}

    def say(self, **facts: Reading) -> None:
        self.facts, self.revision = facts, self.revision + 1

    def facts_of(
        self, vehicle: str, plugged_wall_s: float, now_s: float, wall_s: float
    ) -> dict[str, Reading]:
        return self.facts


OWN = VehicleState(
    "s1", "BUS-01", 1_000.0, soc_pct=Reading(50.0, 90.0), departure_wall_s=Reading(5_000.0, 10.0)
)


def rig() -> tuple[Fleet, FleetOverlay]:
    fleet = Fleet()
    return fleet, FleetOverlay(fleet)


def seen(overlay: FleetOverlay, vehicle: VehicleState) -> VehicleState:
    overlay.begin()
    return overlay.apply("e1", vehicle, 100.0, 2_000.0)


def test_the_fleets_departure_counts_while_it_stands_and_the_chargers_comes_back() -> None:
    fleet, overlay = rig()
    assert seen(overlay, OWN) == OWN
    fleet.say(departure_wall_s=Reading(4_000.0, 100.0), target_soc_pct=Reading(80.0, 100.0))
    with_fleet = seen(overlay, OWN)
    assert (with_fleet.departure_wall_s, with_fleet.target_soc_pct) == (
        Reading(4_000.0, 100.0),
        Reading(80.0, 100.0),
    )
    fleet.say()
    assert seen(overlay, with_fleet) == OWN


def test_the_newer_state_of_charge_counts_and_the_chargers_own_while_it_is_fresh() -> None:
    """Telematics stamp a value that they keep with the time of sending: it overrules no fresh one."""
    fleet, overlay = rig()
    fleet.say(soc_pct=Reading(61.0, 95.0))
    old = replace(OWN, soc_pct=Reading(50.0, 94.9 - OWN_FRESH_S))
    assert seen(overlay, old).soc_pct == Reading(61.0, 95.0)
    fresh = replace(OWN, soc_pct=Reading(50.0, 95.1 - OWN_FRESH_S))
    assert seen(overlay, fresh).soc_pct == fresh.soc_pct
    assert seen(overlay, replace(OWN, soc_pct=Reading(52.0, 99.0))).soc_pct == Reading(52.0, 99.0)
    assert seen(overlay, replace(OWN, soc_pct=Unknown("not said"))).soc_pct == Reading(61.0, 95.0)


def test_what_the_charger_says_meanwhile_is_kept() -> None:
    fleet, overlay = rig()
    fleet.say(departure_wall_s=Reading(4_000.0, 100.0))
    first = seen(overlay, OWN)
    later = seen(overlay, replace(first, soc_pct=Reading(55.0, 120.0)))
    fleet.say()
    assert seen(overlay, later) == replace(OWN, soc_pct=Reading(55.0, 120.0))


def test_another_vehicle_inherits_nothing() -> None:
    fleet, overlay = rig()
    fleet.say(departure_wall_s=Reading(4_000.0, 100.0))
    seen(overlay, OWN)
    fleet.say()
    other = VehicleState("s2", "BUS-02", 1_500.0)
    assert seen(overlay, other) == other


def test_a_picture_without_news_is_the_same_object() -> None:
    fleet, overlay = rig()
    fleet.say(departure_wall_s=Reading(4_000.0, 100.0))
    first = seen(overlay, OWN)
    assert seen(overlay, first) is first
