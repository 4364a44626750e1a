"""What the central system does beside its links, for all stations: certificates, passwords, firmware."""

import asyncio
import sqlite3
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.link.station_link import StationLink
from v2g_edge.field.ocpp.station.store import TransactionStore
from v2g_edge.field.ocpp.trust.admission import Admission
from v2g_edge.field.ocpp.trust.contracts import Contracts
from v2g_edge.field.ocpp.trust.ocsp import Ocsp
from v2g_edge.field.ocpp.trust.passwords import Passwords
from v2g_edge.field.ocpp.trust.pki import SiteCa
from v2g_edge.field.ocpp.upkeep import rollouts
from v2g_edge.field.ocpp.upkeep.catalogue import Params, checked
from v2g_edge.field.ocpp.upkeep.certificate_renewal import Renewals
from v2g_edge.field.ocpp.upkeep.certificates import LOOK_S, Certificates
from v2g_edge.field.ocpp.upkeep.rollouts import Rollouts
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import Listener, OcppSettings, StationSettings
from v2g_edge.tasks import end, guarded, keep

log = structlog.get_logger()

SITE: Final = "@site"
"""Stands for all stations where the name of one is asked for; the site file lets no station be called so."""

PRUNE_EVERY_S: Final = 60.0
"""Between two looks for transactions that are over for so long that they are forgotten, once none is left."""

SITE_OPERATIONS: Final = {
    "certificates": ("until when the certificates of listeners and stations are good", ""),
    "reload": ("take new certificates of the listeners into use now (as SIGHUP does)", ""),
    "rollout": (
        'update the firmware of one make (vendor/model) in waves ([1, "10%"] by default, and then the rest)',
        rollouts.TAKES,
    ),
    "rollout-abort": ("end the roll-out; what stations have begun they finish", ""),
    "rollout-continue": (
        "go on after a stop: retry=true tries those that failed again, otherwise they are left out",
        "retry:flag?",
    ),
    "rollout-status": ("how far the roll-out is, station by station", ""),
}
"""What can be asked for all stations together: in words, and with which parameters."""

DAY_S: Final = 86_400.0


class Maintenance:
    """Owns what is beside the links. ``start`` after the links are there; ``stop`` ends what it does."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        stations: Sequence[StationSettings],
        settings: OcppSettings,
        clock: ClockPort,
        store: TransactionStore,
        state_dir: Path | None,
    ) -> None:
        self._clock = clock
        self._store = store
        self._prune_s = 0.0
        self._certificates = Certificates(listeners, settings.renew_days * DAY_S)
        passwords = Passwords(None if state_dir is None else state_dir / "passwords")
        self.admission = Admission({station.identity: station for station in stations}, passwords)
        self._links: Mapping[str, StationLink] = {}
        self._contracts = Contracts(
            Ocsp(settings.ocsp_hosts, clock, state_dir and state_dir / "pki" / "issuers.pem"), clock
        )
        self._rollouts: Rollouts | None = None
        self._renewals: Renewals | None = None
        self._renew_s = settings.renew_days * DAY_S
        self._folder = None if state_dir is None else state_dir / "pki"
        self._task: asyncio.Task[None] | None = None

    def context(self, place: int) -> ssl.SSLContext | None:
        """The TLS of a listener, None for a plain one. OSError names the file that does not fit."""
        return self._certificates.context(place)

    def start(self, links: Mapping[str, StationLink], board: Board) -> None:
        """Begin; the links may come and go."""
        self._links = links
        self._rollouts = Rollouts(links, board, self._clock, self._store)
        self._renewals = Renewals(links, self._clock, self._renew_s)
        for link in links.values():
            link.on_message, link.amend = self._on_message, self._contracts.amend
        guarded(
            "the site's certificate authority", self._find_authority
        )  # damaged, it signs nothing; control goes on
        self._task = keep("ocpp maintenance", self._run)

    def _on_message(self, identity: str, action: str, payload: dict[str, Any]) -> None:
        self._links[identity].station.reports.on_message(action, payload)
        if self._rollouts is not None:
            self._rollouts.took(identity, action, payload)

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            await end(self._task)
        self._task = None
        for each in (self._rollouts, self._renewals):
            if each is not None:
                await each.stop()

    async def perform(self, operation: str, params: Params) -> dict[str, Any]:
        """What is asked for all stations together. ValueError names what is wrong and what is allowed."""
        if operation not in SITE_OPERATIONS:
            raise ValueError(f"no operation {operation!r} for {SITE}; there are {', '.join(SITE_OPERATIONS)}")
        given = checked(operation, SITE_OPERATIONS[operation][1], params)
        if self._rollouts is None or self._renewals is None:
            raise ValueError("the central system is not started")
        match operation:
            case "reload":
                return await self.reload()
            case "certificates":
                return {
                    "outcome": "done",
                    "stations": self._renewals.describe(),
                    "listeners": self._certificates.describe(),
                }
            case "rollout":
                return self._rollouts.begin(given)
            case "rollout-continue":
                return self._rollouts.go_on(retry=given.get("retry", False))
            case "rollout-abort":
                return self._rollouts.abort()
        return self._rollouts.describe()

    async def reload(self) -> dict[str, Any]:
        """Read the listeners' files now; what became of each."""
        told = self._certificates.reload(self._clock.wall_s())
        self._find_authority()
        self._cut_revoked()
        return {"outcome": "done", "listeners": told}

    def _cut_revoked(self) -> None:
        """Shut out what is revoked, and name what still lets the same station in: a thief may have asked
        for more.
        """
        for identity in self._certificates.cut_revoked(self._links):
            authority = self._links[identity].station.requests.authority
            stand = [] if authority is None else authority.standing(identity, self._clock.wall_s())
            if stand:
                mend = f"`v2g-edge pki revoke {identity}` revokes all of them"
                log.error("station_certificates_stand", station=identity, serials=" ".join(stand), mend=mend)

    def _find_authority(self) -> None:
        """The site's authority, where one was made. ValueError or OSError when it cannot be used."""
        if self._folder is None or self._renewals is None or not (self._folder / "ca.key").exists():
            return
        self._renewals.authority = SiteCa(self._folder)
        for link in self._links.values():
            link.station.requests.authority = self._renewals.authority

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)  # how often we look, so loop time
            try:
                await self._look()
            except (OSError, ValueError, LookupError, sqlite3.Error) as fault:
                log.error("ocpp_chore_failed", fault=repr(fault), effect="tried again")

    async def _look(self) -> None:
        if self._clock.now_s() >= self._prune_s:
            if self._store.prune():
                self._store.when_durable(_not_pruned)
            else:
                self._prune_s = self._clock.now_s() + PRUNE_EVERY_S
        if self._rollouts is not None and self._renewals is not None:
            self._rollouts.step()
            self._renewals.step()
        if self._certificates.look(self._clock.wall_s()):
            self._cut_revoked()


def _not_pruned(failed: sqlite3.Error | None) -> None:
    if failed is not None:
        log.error("ocpp_chore_failed", fault=repr(failed), effect="tried again")
