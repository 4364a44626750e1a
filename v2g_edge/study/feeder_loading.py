"""Which outlets use a feeder's headroom, by name: what is counted of each outlet below it, what is left."""

from typing import Final, NamedTuple

from v2g_edge.cycle import Outcome
from v2g_edge.model.reading import fresh_or
from v2g_edge.model.site import Feeder, Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.model.tree import tree_of

SHOWN_W: Final = 50.0


class Holder(NamedTuple):
    """``power_w`` ≥ 0 is counted of an outlet; ``why`` where that is more than it does ("" where not)."""

    name: str
    power_w: float
    why: str


def holders_of(site: Site, snapshot: Snapshot, outcome: Outcome, places: tuple[int, ...]) -> list[Holder]:
    """What each outlet is counted with against a feeder's import limit, most first."""
    quarantined = {
        latch.subject: "does not obey: counted at its rating"
        for latch in outcome.memory.envelope.latches
        if latch.active and latch.row in {"disobedient", "priority_charging"}
    }
    found = []
    for index in places:
        evse, state, permit = site.evses[index], snapshot.evses[index], outcome.permits[index]
        measured_w = fresh_or(state.power_w, snapshot.now_s, site.safety.charger_max_age_s, 0.0)
        if evse.id in quarantined:
            found.append(Holder(evse.id, evse.max_charge_w, quarantined[evse.id]))
        elif not state.link.connected:
            found.append(Holder(evse.id, evse.fallback_w, "silent: counted at its fallback"))
        else:
            found.append(Holder(evse.id, max(permit.most_w, measured_w, 0.0), ""))
    return sorted(
        (each for each in found if each.power_w > SHOWN_W), key=lambda each: (-each.power_w, each.name)
    )


class FeederLoading(NamedTuple):
    """The import side of one feeder: ``limit_w`` with its margin, what is held of it, and the rest."""

    limit_w: float
    base_w: float
    holders: tuple[Holder, ...]

    @property
    def free_w(self) -> float:
        """What is left; below 0 where more is counted than fits."""
        return self.limit_w - self.base_w - sum(each.power_w for each in self.holders)


def loading_of(site: Site, snapshot: Snapshot, outcome: Outcome, feeder: Feeder) -> FeederLoading:
    """How full a feeder is in the import direction, as the permits count it."""
    tree = tree_of(site)
    place = next(index for index, each in enumerate(tree.feeders) if each.id == feeder.id)
    holders = holders_of(site, snapshot, outcome, tree.below[place])
    usable_w = feeder.import_limit_w * (1.0 - site.safety.feeder_margin_pct / 100.0)
    return FeederLoading(usable_w, base_of(site, outcome, feeder), tuple(holders))


def base_of(site: Site, outcome: Outcome, feeder: Feeder) -> float:
    """The base load that is reckoned with on a feeder: live where its meter says so, else the commissioned
    worst.
    """
    tree = tree_of(site)
    place = next(index for index, each in enumerate(tree.feeders) if each.id == feeder.id)
    live_w = outcome.memory.envelope.live_w
    return live_w[place] if live_w else tree.base_max_w[place]
