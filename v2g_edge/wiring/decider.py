"""The tick's decision, whatever a reading does to it: an outlet whose readings break the cycle is left out
and named (rule 14).

The cycle is pure: if it raises, something in the picture or the plan made it raise. What that is, is found by
trying: the plan is left out first, then outlets, each of which then counts as silent (its lease, then its
fallback). What is journalled is the picture that was decided on, so a replay decides the same. A cycle that
raises without any outlet ends the process.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec.structs import replace

from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.envelope import InvariantBroken
from v2g_edge.model.plan import Plan
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import EvseState, Snapshot
from v2g_edge.tasks import described

TRY_AGAIN_S: Final = 60.0
"""An outlet that was left out is tried again this much later, or as soon as another vehicle stands there."""


class Decided(NamedTuple):
    """What the tick was decided on, and what came of it."""

    snapshot: Snapshot
    plan: Plan | None
    outcome: Outcome


class Decider:
    """Runs the cycle. ``tell`` gets (subject, text) once for each outlet or plan that is left out."""

    def __init__(self, site: Site, cycle: Cycle, tell: Callable[[str, str], None]) -> None:
        self._names = tuple(evse.id for evse in site.evses)
        self._cycle = cycle
        self._tell = tell
        self._refused: dict[int, tuple[str, float]] = {}
        self._told: dict[int, str] = {}
        self._refused_plan: Plan | None = None

    def decide(self, snapshot: Snapshot, plan: Plan | None, memory: Memory) -> Decided:
        """One tick. ``InvariantBroken``, and whatever no outlet is to blame for, goes up."""
        self._forget(snapshot)
        if plan is not None and plan is self._refused_plan:
            plan = None
        seen = _without(snapshot, set(self._refused))
        try:
            return Decided(seen, plan, self._cycle.tick(seen, plan, memory))
        except InvariantBroken:
            raise
        except Exception as error:  # noqa: BLE001 - a reading may raise anything
            return self._search(snapshot, plan, memory, error)

    def _forget(self, snapshot: Snapshot) -> None:
        for place, (session, until_s) in tuple(self._refused.items()):
            if snapshot.now_s >= until_s or _session(snapshot.evses[place]) != session:
                del self._refused[place]

    def _search(self, snapshot: Snapshot, plan: Plan | None, memory: Memory, error: Exception) -> Decided:
        """The largest part of the picture that can be decided on, in the order of the site."""
        if plan is not None:
            seen = _without(snapshot, set(self._refused))
            if (outcome := self._tried(seen, None, memory)) is not None:
                self._refused_plan = plan
                self._tell(
                    "plan",
                    f"the plan of {plan.source} cannot be followed ({described(error)}); going on without it",
                )
                return Decided(seen, None, outcome)
        left_out = set(range(len(self._names)))
        seen = _without(snapshot, left_out)
        outcome = self._tried(seen, None, memory)
        if outcome is None:
            raise error
        for place in range(len(self._names)):
            with_it = _without(snapshot, left_out - {place})
            if (better := self._tried(with_it, None, memory)) is not None:
                left_out, seen, outcome = left_out - {place}, with_it, better
        for place in sorted(left_out):
            session = _session(snapshot.evses[place])
            if self._told.get(place) != session:
                self._told[place] = session
                self._tell(self._names[place], _refusal(error))
            self._refused[place] = (session, snapshot.now_s + TRY_AGAIN_S)
        return Decided(seen, None, outcome)

    def _tried(self, snapshot: Snapshot, plan: Plan | None, memory: Memory) -> Outcome | None:
        try:
            return self._cycle.tick(snapshot, plan, memory)
        except InvariantBroken:
            raise
        except Exception:  # noqa: BLE001 - the search goes on
            return None


def _refusal(error: Exception) -> str:
    return (
        f"its readings cannot be used ({described(error)}): it counts as silent and keeps its fallback; look"
        " at what the charger and its vehicle report (capacity, SoC, power), and correct the site file or"
        " the device"
    )


def _session(state: EvseState) -> str:
    return state.vehicle.session if state.vehicle is not None else ""


def _without(snapshot: Snapshot, places: set[int]) -> Snapshot:
    """The picture in which these outlets are silent: of each only its last command is known."""
    if not places:
        return snapshot
    states = tuple(
        (
            EvseState(link=replace(state.link, connected=False), command=state.command)
            if place in places
            else state
        )
        for place, state in enumerate(snapshot.evses)
    )
    return replace(snapshot, evses=states)
