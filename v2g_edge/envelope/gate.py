"""The last hop: every permit and every sum checked again, from the snapshot alone, by code that shares nothing with the rest."""

from v2g_edge.envelope import InvariantBroken
from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot

SLACK_W = 1.0
"""Rounding of sums over a thousand floats stays far below one watt; a real breach does not."""


def pass_gate(site: Site, snapshot: Snapshot, permits: tuple[Permit, ...]) -> tuple[Permit, ...]:
    """The same permits, or ``InvariantBroken`` with the one that must not be."""
    if tuple(permit.evse for permit in permits) != tuple(evse.id for evse in site.evses):
        raise InvariantBroken("permits do not name every outlet exactly once, in the site's order")
    parent = {feeder.id: feeder.parent for feeder in site.feeders}
    charge_w = dict.fromkeys(parent, 0.0)
    export_w = dict.fromkeys(parent, 0.0)
    for evse, state, permit in zip(site.evses, snapshot.evses, permits, strict=True):
        power_w = permit.power_w
        if not -evse.max_discharge_w <= power_w <= evse.max_charge_w or not permit.min_w <= power_w <= permit.max_w:
            raise InvariantBroken(f"{evse.id}: {power_w} W is outside the rating or outside [{permit.min_w}, {permit.max_w}] W")
        if not 0.0 < permit.valid_for_s <= site.safety.lease_s:
            raise InvariantBroken(f"{evse.id}: a lease of {permit.valid_for_s} s, allowed up to {site.safety.lease_s} s")
        if power_w < 0.0:
            _may_export(site, snapshot, evse.id, plugged_in=state.vehicle is not None, leased=state.dead_man_ok)
        node = evse.feeder
        while node:
            charge_w[node] += max(power_w, 0.0)
            export_w[node] += max(-power_w, 0.0)
            node = parent[node]
    for feeder in site.feeders:
        if charge_w[feeder.id] > max(feeder.import_limit_w - feeder.base_load_max_w, 0.0) + SLACK_W:
            raise InvariantBroken(f"feeder {feeder.id}: {charge_w[feeder.id]:.0f} W of charging do not fit its import limit")
        if export_w[feeder.id] > max(feeder.export_limit_w + feeder.base_load_min_w, 0.0) + SLACK_W:
            raise InvariantBroken(f"feeder {feeder.id}: {export_w[feeder.id]:.0f} W of export do not fit its export limit")
    return permits


def _may_export(site: Site, snapshot: Snapshot, evse: str, *, plugged_in: bool, leased: bool) -> None:
    """Two of two (design 4.6), once more: contact closed, meter alive, a vehicle, a dead-man, nobody said stop."""
    if not (plugged_in and leased and site.grid.export_allowed) or snapshot.operator.stop or snapshot.operator.export_hold:
        raise InvariantBroken(f"{evse}: export without vehicle, dead-man or permission")
    closed = snapshot.contacts[site.contacts.index(site.grid.relay)].closed
    hz = snapshot.meters[site.meters.index(site.grid.meter)].frequency_hz
    if not isinstance(closed, Reading) or closed.value < 0.5 or snapshot.now_s - closed.at_s > site.safety.contact_max_age_s:
        raise InvariantBroken(f"{evse}: export without a closed grid contact {site.grid.relay}")
    if not isinstance(hz, Reading) or snapshot.now_s - hz.at_s > site.safety.meter_max_age_s:
        raise InvariantBroken(f"{evse}: export without a live grid meter {site.grid.meter}")
