"""``capacity``: what export could be sold, and bookings of it, which are on disk before they are answered.

``departure.capacity`` reckons what there is; this module keeps what was promised. A booking is no permit and
no plan: the buyer sends the plan that delivers it, and each tick still decides what may flow.
"""

import contextlib
import math
from pathlib import Path
from typing import Any, Final

import structlog
from msgspec import to_builtins

from v2g_edge.api.offers_file import OffersFile
from v2g_edge.api.state import DepotState, Tick
from v2g_edge.departure.capacity import Offer, Request, Taken, offer_of, without
from v2g_edge.departure.depot import depot_of
from v2g_edge.departure.flexibility import flexibility_of
from v2g_edge.envelope.memory import EnvelopeMemory
from v2g_edge.host.control import BadRequestError
from v2g_edge.model.frame import frame_of
from v2g_edge.model.permit import Permit
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot

log = structlog.get_logger()

PREVIEW_S: Final = 3_600.0
"""Unless asked otherwise, what could be held for an hour."""
LONGEST_S: Final = 86_400.0
"""A day: the missions after the next are not known."""
MOST_W: Final = 1e8
LONGEST_NAME: Final = 64
ALLOWED: Final = (
    "book and service (1-64 characters), wanted_w (above 0, at most 1e8), duration_s (above 0, at most"
    " 86400), cancel"
)


class CapacityBookings:
    """Serves requests against the last tick. ``path`` holds the ledger; one that cannot be read sells
    nothing.
    """

    def __init__(self, site: Site, path: Path) -> None:
        self._depot = depot_of(frame_of(site))
        self._file = OffersFile(path, LONGEST_S)

    @property
    def offers(self) -> tuple[Offer, ...]:
        """What is booked, as the ledger was read or written last."""
        return self._file.last.offers

    @property
    def fault(self) -> str:
        """What is the matter with the ledger's file, "" where nothing is."""
        return self._file.fault

    def look(self, wall_s: float, *, synced: bool) -> None:
        """Read the ledger once, so that a damaged one is known before anything is asked."""
        with contextlib.suppress(ValueError, OSError):
            self._file.load(wall_s, synced=synced)

    def flexibility(self, tick: Tick) -> dict[str, Any]:
        """What could be held from now on, by how long. ValueError or OSError: the ledger is not known."""
        snapshot, memory = tick.snapshot, tick.outcome.memory.envelope
        ledger = self._file.load(snapshot.wall_s, synced=snapshot.clock_synced)
        found = flexibility_of(
            self._depot, snapshot, tick.outcome.permits, _taken(snapshot, memory), ledger.offers
        )
        return {"wall_s": snapshot.wall_s, "intervals": [to_builtins(each) for each in found]}

    def serve(
        self, params: dict[str, Any], snapshot: Snapshot, permits: tuple[Permit, ...], memory: EnvelopeMemory
    ) -> dict[str, Any]:
        """Book, cancel, or only look. ValueError says what is allowed; OSError where the disk refuses: then
        nothing is booked.

        Booking the same id again gives the same answer and books nothing more.
        """
        request, cancel = _parse(params)
        ledger = self._file.load(snapshot.wall_s, synced=snapshot.clock_synced)
        if cancel:
            if all(offer.request != cancel for offer in ledger.offers):
                raise ValueError(f"nothing is booked as {cancel!r}")
            ledger = without(ledger, cancel)
            self._file.save(ledger)
            log.info("capacity_cancelled", request=cancel)
        if request.id and not snapshot.clock_synced:
            raise ValueError(
                "wall time is not synchronised: until when something would be sold cannot be said"
            )
        room_w = tuple(max(-permit.min_w, 0.0) for permit in permits)
        offer, after = offer_of(self._depot, snapshot, room_w, _taken(snapshot, memory), request, ledger)
        if request.id and after != ledger:
            self._file.save(after)
            log.info("capacity_booked", request=offer.request, service=offer.service, power_w=offer.total_w)
        kept = after if request.id else ledger
        open_now = [_plain(each) for each in kept.offers if each.until_wall_s > snapshot.wall_s]
        return {
            "offer": _plain(offer),
            "booked": any(each["id"] == request.id for each in open_now),
            "open": open_now,
        }


def _taken(snapshot: Snapshot, memory: EnvelopeMemory) -> tuple[Taken, ...]:
    """What discharge has taken out of the vehicle at each outlet, by the envelope's own ledger after the
    tick.
    """
    sessions = zip(snapshot.evses, memory.evses, strict=True)
    return tuple(
        Taken(old.event_pct, memory.taken_pct.get(state.vehicle.vehicle, 0.0)) if state.vehicle else Taken()
        for state, old in sessions
    )


def _plain(offer: Offer) -> dict[str, Any]:
    return {
        "id": offer.request,
        "service": offer.service,
        "until_wall_s": offer.until_wall_s,
        "power_w": offer.total_w,
        "evse_w": dict(offer.evse_w),
    }


def _parse(params: dict[str, Any]) -> tuple[Request, str]:
    """The request, with an empty id where nothing is to be booked; and the id whose booking ends, "" for
    none.
    """
    names = {key: params.get(key, "") for key in ("book", "service", "cancel")}
    power_w, duration_s = params.get("wanted_w", MOST_W), params.get("duration_s", PREVIEW_S)
    wrong = params.keys() - {*names, "wanted_w", "duration_s"}
    texts = all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in names.values())
    if wrong or not texts or not _within(power_w, MOST_W) or not _within(duration_s, LONGEST_S):
        raise ValueError(f"capacity takes {ALLOWED}; found {params!r}")
    if bool(names["book"]) != bool(names["service"]) or (
        names["book"] and ("wanted_w" not in params or names["cancel"])
    ):
        raise ValueError(f"a booking needs book, service and wanted_w, and no cancel; found {params!r}")
    return Request(names["book"], names["service"], float(power_w), float(duration_s)), names["cancel"]


def _within(value: object, most: float) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0.0 < value <= most
    )


class CapacityApi:
    """Answers ``capacity`` requests from the last tick."""

    def __init__(self, state: DepotState, path: Path) -> None:
        self._state = state
        self._path = path
        self._site = state.site
        self._bookings = CapacityBookings(state.site, path)

    def fault(self) -> str:
        """What is the matter with the ledger's file, "" where nothing is."""
        return self._bookings.fault

    def offers(self) -> tuple[Offer, ...]:
        """What is booked, as the ledger was read or written last."""
        return self._bookings.offers

    def look(self, wall_s: float, *, synced: bool) -> None:
        """Read the ledger once, at the start."""
        self._bookings.look(wall_s, synced=synced)

    def flexibility(self) -> dict[str, Any] | None:
        """What could be held from now on, for the cloud; None while the clock or the ledger is not known."""
        tick = self._state.last_tick()
        if not tick.snapshot.clock_synced:
            return None
        try:
            return self._present().flexibility(tick)
        except (ValueError, OSError):
            return None  # ``fault`` says it

    def _present(self) -> CapacityBookings:
        if self._state.site is not self._site:  # another site file is in force
            self._site, self._bookings = self._state.site, CapacityBookings(self._state.site, self._path)
        return self._bookings

    async def capacity(self, params: dict[str, Any]) -> dict[str, Any]:
        """What is booked, and what could be; a booking where ``book`` names one; ``cancel`` ends one."""
        tick = self._state.last_tick()
        try:
            return self._present().serve(
                params, tick.snapshot, tick.outcome.permits, tick.outcome.memory.envelope
            )
        except (ValueError, OSError) as error:
            raise BadRequestError(str(error)) from error
