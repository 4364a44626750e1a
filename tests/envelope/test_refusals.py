"""Stations that refuse what they are told: they charge at their default, nobody else lacks power for it."""

from typing import Literal

from msgspec.structs import replace

from tests.envelope.strategies import Scene, next_tick, permit, ready, with_evse, with_site
from v2g_edge.envelope.exposure import LATE_S
from v2g_edge.envelope.permits import Decision
from v2g_edge.envelope.table import PROOF_S
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import CommandState

FALLBACK_W = 6_000.0
WISH_W = 40_000.0


def depot(evses: int = 2) -> Scene:
    scene = ready(evses, WISH_W)
    return with_site(scene, evses=tuple(replace(evse, fallback_w=FALLBACK_W) for evse in scene.site.evses))


def lived(
    scene: Scene, seconds: int, ack: Literal["accepted", "rejected", "silent", "withheld"]
) -> tuple[Scene, list[Decision]]:
    """The first station answers so; it refused what came before, and is at its default."""
    decisions = []
    for _ in range(seconds):
        decisions.append(permit(scene))
        scene = next_tick(scene, decisions[-1])
        if ack != "accepted":
            now_s, told = scene.snapshot.now_s, decisions[-1].permits[0]
            command = CommandState(told.power_w, ack, now_s, 900.0)
            scene = with_evse(scene, command=command, power_w=Reading(FALLBACK_W, now_s))
    return scene, decisions


def acts(decision: Decision) -> bool:
    return any(latch.row == "limits_not_taken" and latch.active for latch in decision.memory.latches)


def test_what_was_refused_is_not_in_force_once_a_lease_is_over() -> None:
    acks: tuple[Literal["rejected", "silent", "withheld"], ...] = ("rejected", "silent", "withheld")
    for ack in acks:
        scene, _ = lived(depot(), int(depot().site.safety.lease_s + LATE_S) + 5, "accepted")
        wishes = {"b2": scene.wishes["b2"]}
        lease_s = int(scene.site.safety.lease_s + LATE_S)
        _, during = lived(scene._replace(wishes=wishes), lease_s + 5, ack)
        assert during[lease_s - 5].memory.evses[0].most_w == WISH_W, "it may have been taken late"
        assert during[-1].memory.evses[0].most_w == FALLBACK_W, "the default may rule"


def test_power_is_not_kept_for_a_station_that_refuses() -> None:
    scene, during = lived(depot(), 60, "rejected")
    assert acts(during[-1])
    assert during[-1].permits[0].power_w == FALLBACK_W
    assert [event.kind for each in during for event in each.events].count("limits_not_taken") == 1
    _, after = lived(scene, int(PROOF_S) + 5, "accepted")
    assert acts(after[int(PROOF_S) - 5])
    assert not acts(after[-1]), "it takes what it is told again"


def test_silence_is_no_refusal() -> None:
    assert not any(acts(each) for each in lived(depot(), 60, "silent")[1])


def test_a_station_that_has_a_lease_left_refuses_nothing_yet() -> None:
    scene = depot()
    for _ in range(60):
        decision = permit(scene)
        scene = next_tick(scene, decision)
        command = replace(scene.snapshot.evses[0].command, ack="rejected")
        scene = with_evse(scene, command=command)
    assert not acts(decision)
