"""NotifyAllowedEnergyTransfer (OCPP 2.1 Q01): which modes of energy transfer (ISO 15118-20) a vehicle may
use. Both ways only where site, outlet and vehicle agree to discharge, else one way. The station is told
once for each transaction, and again when it changes.
"""

from typing import Any, Final

import structlog

from v2g_edge.field.ocpp.station.outlet import Outlet
from v2g_edge.field.ocpp.vocabulary.facts import Needs
from v2g_edge.field.ocpp.wire.connection import Connection
from v2g_edge.field.ocpp.wire.events import accepted
from v2g_edge.model.site import Site, folded

log = structlog.get_logger()

TELLING: Final = frozenset({"NotifyEVChargingNeeds", "TransactionEvent"})
"""Calls after which something new may be known of a vehicle."""

ONE_WAY: Final = {
    "AC_BPT": "AC_three_phase",
    "AC_BPT_DER": "AC_DER",
    "DC_BPT": "DC",
    "DC_ACDP_BPT": "DC_ACDP",
}
"""Each way that goes both ways (BPT: bidirectional power transfer), and the one that only charges."""

SINGLE_PHASE: Final = {**ONE_WAY, "AC_BPT": "AC_single_phase"}


EVERY_MODE: Final = (
    "AC_single_phase", "AC_two_phase", "AC_three_phase", "DC", "AC_BPT", "AC_BPT_DER", "AC_DER", "DC_BPT",
    "DC_ACDP",
    "DC_ACDP_BPT", "WPT",
)  # fmt: skip
"""All of EnergyTransferModeEnumType, for a vehicle that may feed back and has not said yet what it offers."""


def may_give(site: Site, outlet: Outlet) -> bool:
    """Whether discharge is agreed: by the site, for the outlet, and for the vehicle that is there. When,
    the envelope decides.
    """
    return can_give(outlet) and outlet.session is not None and vehicle_gives(site, outlet.session.vehicle)


def can_give(outlet: Outlet) -> bool:
    """Whether an outlet feeds back at all."""
    return outlet.evse.discharge_by != "none" and outlet.evse.max_discharge_w > 0.0


def vehicle_gives(site: Site, identifier: str) -> bool:
    """Whether the site may export and has this vehicle, of a type that gives, among those that may
    discharge.
    """
    told = folded(identifier)
    vehicle = next((v for v in site.vehicles if told in map(folded, (v.id, *v.other_ids))), None)
    kind = next((k for k in site.vehicle_types if vehicle is not None and k.id == vehicle.type), None)
    return (
        site.grid.export_allowed
        and vehicle is not None
        and vehicle.may_discharge
        and kind is not None
        and kind.max_discharge_w > 0.0
    )


def allowed_modes(needs: Needs, *, gives: bool, single_phase: bool) -> list[str]:
    """Of what the vehicle offers, in its order. A vehicle that offers nothing but both ways, and may not
    give, may charge its one way.
    """
    offered = dict.fromkeys((*needs.available, *((needs.requested,) if needs.requested else ())))
    if gives:
        return list(offered)
    plain = SINGLE_PHASE if single_phase else ONE_WAY
    return [mode for mode in offered if mode not in ONE_WAY] or [plain[mode] for mode in offered]


def send_allowed_transfer(connection: Connection, site: Site, outlet: Outlet) -> None:
    """Send what is allowed to the vehicle at an outlet, where it offers both ways and lacks it."""
    session = outlet.session
    if session is None or not {session.needs.requested, *session.needs.available} & ONE_WAY.keys():
        return
    modes = allowed_modes(session.needs, gives=may_give(site, outlet), single_phase=outlet.phases == 1)
    told = (session.transaction, tuple(modes))
    if told == outlet.dynamic.allowed:
        return
    outlet.dynamic.allowed = told
    payload: dict[str, Any] = {"transactionId": session.transaction, "allowedEnergyTransfer": modes}
    answer = connection.start_call("NotifyAllowedEnergyTransfer", payload)
    answer.add_done_callback(
        lambda done: log.info(
            "energy_transfer_allowed", station=connection.identity, evse=outlet.evse.id, modes=modes,
            accepted=not done.cancelled() and accepted(done.result()),
        )
    )  # fmt: skip
