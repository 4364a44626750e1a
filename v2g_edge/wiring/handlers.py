"""The methods of the control socket, by name: which topic of ``api`` answers which request."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from v2g_edge.api.capacity import CapacityApi
from v2g_edge.api.cloud import CloudApi
from v2g_edge.api.history import HistoryApi
from v2g_edge.api.monitoring.monitor import Monitor
from v2g_edge.api.ocpp import OcppApi
from v2g_edge.api.orders import OrdersApi
from v2g_edge.api.past import PastApi
from v2g_edge.api.services import ServicesApi
from v2g_edge.api.site_file import SiteFileApi
from v2g_edge.api.standstill import StandstillApi
from v2g_edge.api.state import DepotState
from v2g_edge.api.status import StatusApi
from v2g_edge.api.tonight import TonightApi
from v2g_edge.api.trips import TripsApi
from v2g_edge.api.what_if import Tried, WhatIfApi
from v2g_edge.cloud.session import CloudSession
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.host.control import Handler
from v2g_edge.host.operator import OperatorFile
from v2g_edge.model.event import Event
from v2g_edge.model.plan import Price
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import Settings


@dataclass(frozen=True)
class Topics:
    """What the handlers need of one daemon.

    Attributes:
        settings: The site file.
        state: The last tick and the standing orders.
        clock: The daemon's clock.
        orders: The file of standing orders.
        tonight: Orders for tonight.
        history: The last day of each outlet.
        monitor: Health and metrics.
        capacity: Capacity bookings.
        site_file: Reload and apply; None where the daemon does not run from a file.
        config: The site file's path, "" for none.
        cloud: The cloud's session.
        ocpp: The central system.
        prices: The prices that are known now.
        tried: What the plan of a picture would be.
        tell: Takes events.
        wake: Brings the next tick forward.
    """

    settings: Settings
    state: DepotState
    clock: ClockPort
    orders: OperatorFile
    tonight: TonightApi
    history: HistoryApi
    monitor: Monitor
    capacity: CapacityApi
    site_file: SiteFileApi | None
    config: str
    cloud: CloudSession
    ocpp: CentralSystem
    prices: Callable[[], tuple[Price, ...]]
    tried: Tried
    tell: Callable[[Event], None]
    wake: Callable[[], None]


def handlers_of(topics: Topics) -> dict[str, Handler]:
    """The methods by name. Those of a site file are there where the daemon runs from one."""
    state, folder = topics.state, Path(topics.settings.host.state_dir)
    stations = {each.identity: tuple(o.evse for o in each.outlets) for each in topics.settings.stations}
    status = StatusApi(state, topics.prices, stations)
    orders = OrdersApi(state, topics.orders, topics.tell, topics.wake, topics.clock.wall_s)
    found = {
        "status": status.status,
        "why": status.why,
        **topics.tonight.handlers(),
        "events": status.events,
        "plan": status.plan,
        "what_if": WhatIfApi(topics.tonight, topics.tried).what_if,
        "history": topics.history.history,
        "standstill": StandstillApi(state).standstill,
        "operate": orders.operate,
        "capacity": topics.capacity.capacity,
        "cloud": CloudApi(topics.cloud).cloud,
        "ocpp": OcppApi(topics.ocpp, lambda: state.site).ocpp,
        "services": ServicesApi(state, topics.clock, topics.orders, topics.wake).services,
        "trips": TripsApi(folder / "grid_events.log", state.site.timezone).trips,
        "health": topics.monitor.metrics.health,
    }
    if topics.site_file is not None:
        found["site_file"] = topics.site_file.site_file
    if topics.config:
        past = PastApi(Path(topics.config), folder / "journal.db")
        found |= {"night": past.night, "money": past.money}
    return found
