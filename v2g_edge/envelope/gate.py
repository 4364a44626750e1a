"""The last hop: every permit and every sum checked again from site and snapshot alone, sharing no code
with the rest.
"""

from typing import Final

from v2g_edge.envelope import InvariantBroken
from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import fresh_or, is_fresh
from v2g_edge.model.site import Evse, Feeder, Site
from v2g_edge.model.snapshot import EvseState, Snapshot

SLACK_W: Final = 1.0
"""Rounding of sums over a thousand floats stays far below one watt; a real breach does not."""


def pass_gate(site: Site, snapshot: Snapshot, permits: tuple[Permit, ...]) -> tuple[Permit, ...]:
    """The same permits, or ``InvariantBroken`` with the one that must not be."""
    if [permit.evse for permit in permits] != [evse.id for evse in site.evses]:
        raise InvariantBroken("permits do not name every outlet exactly once, in the site's order")
    parent = {feeder.id: feeder.parent for feeder in site.feeders}
    # Charging and export, each in all and of chargers on L1, L2, L3 alone; then the base load, least and
    # most: own, then all.
    own_w = {
        feeder.id: [0.0] * 8 + [feeder.base_load_min_w, feeder.base_load_max_w] for feeder in site.feeders
    }
    for evse, state, permit in zip(site.evses, snapshot.evses, permits, strict=True):
        least_w, most_w, sums_w = (
            permit.power_w - permit.droop_w,
            permit.power_w + permit.droop_w,
            own_w[evse.feeder],
        )
        _may(site, snapshot, evse, state, permit, least_w, most_w)
        if least_w < 0.0 and not state.proven_discharge:
            most_w = evse.max_charge_w  # it may charge instead
        for first, power_w in ((0, most_w), (4, -least_w)):
            if power_w > 0.0:
                sums_w[first] += power_w
                if len(evse.phases) == len("L1"):
                    sums_w[first + int(evse.phases[1])] += power_w
    all_w = {feeder: [0.0] * 10 for feeder in own_w}
    for feeder, sums_w in own_w.items():
        node = feeder
        while node:
            all_w[node] = [total + part for total, part in zip(all_w[node], sums_w, strict=True)]
            node = parent[node]
    for place in site.feeders:
        _must_fit(site, snapshot, place, all_w[place.id])
    return permits


def _may(
    site: Site,
    snapshot: Snapshot,
    evse: Evse,
    state: EvseState,
    permit: Permit,
    least_w: float,
    most_w: float,
) -> None:
    power_w, low_w, high_w = (
        permit.power_w,
        max(permit.min_w, -evse.max_discharge_w),
        min(permit.max_w, evse.max_charge_w),
    )
    if not low_w <= power_w <= high_w:  # nor is NaN
        raise InvariantBroken(
            f"{evse.id}: {power_w} W is outside the rating or outside [{permit.min_w}, {permit.max_w}] W"
        )
    if not (permit.droop_w >= 0.0 and least_w >= low_w - SLACK_W and most_w <= high_w + SLACK_W):
        raise InvariantBroken(
            f"{evse.id}: a droop of {permit.droop_w} W around {power_w} W is outside the rating or its room"
        )
    if not 0.0 < permit.valid_for_s <= site.safety.lease_s:
        raise InvariantBroken(
            f"{evse.id}: a lease of {permit.valid_for_s} s, allowed up to {site.safety.lease_s} s"
        )
    orders = snapshot.operator
    if (power_w or permit.droop_w) and (state.vehicle is None or orders.stop or orders.closing):
        raise InvariantBroken(f"{evse.id}: power without a vehicle, or while a stop is in force")
    if least_w >= 0.0:
        return
    # Two signals of two, once more: contact closed, meter alive, a dead-man, no hold on export.
    if not (state.dead_man_ok and site.grid.export_allowed) or snapshot.operator.export_hold:
        raise InvariantBroken(f"{evse.id}: export without dead-man or permission")
    closed = snapshot.contacts[site.contacts.index(site.grid.relay)].closed
    if fresh_or(closed, snapshot.now_s, site.safety.contact_max_age_s, 0.0) <= 0.5:
        raise InvariantBroken(f"{evse.id}: export without a closed grid contact {site.grid.relay}")
    hz = snapshot.meters[site.meters.index(site.grid.meter)].frequency_hz
    if not is_fresh(hz, snapshot.now_s, site.safety.meter_max_age_s):
        raise InvariantBroken(f"{evse.id}: export without a live grid meter {site.grid.meter}")


def _must_fit(site: Site, snapshot: Snapshot, feeder: Feeder, sums_w: list[float]) -> None:
    """The least that holds whatever the meters say: base loads at their best with a live meter, at their
    worst without.
    """
    power = snapshot.meters[site.meters.index(feeder.meter)].power_w if feeder.meter else None
    live = power is not None and is_fresh(power, snapshot.now_s, site.safety.meter_max_age_s)
    if sums_w[0] > max(feeder.import_limit_w - sums_w[8 if live else 9], 0.0) + SLACK_W:
        raise InvariantBroken(
            f"feeder {feeder.id}: {sums_w[0]:.0f} W of charging do not fit its import limit"
        )
    if sums_w[4] > max(feeder.export_limit_w + sums_w[8], 0.0) + SLACK_W:
        raise InvariantBroken(f"feeder {feeder.id}: {sums_w[4]:.0f} W of export do not fit its export limit")
    if feeder.current is None:
        return
    import_w, export_w = (
        feeder.current.import_a * site.grid.nominal_v,
        feeder.current.export_a * site.grid.nominal_v,
    )
    even_w = [(sums_w[first] - sum(sums_w[first + 1 : first + 4])) / 3.0 for first in (0, 4)]
    for phase in (1, 2, 3):
        in_w, out_w = even_w[0] + sums_w[phase], even_w[1] + sums_w[4 + phase]
        if in_w > import_w + SLACK_W or out_w > export_w + SLACK_W:
            raise InvariantBroken(f"feeder {feeder.id}: {in_w:.0f} W in, {out_w:.0f} W out exceed L{phase}")
