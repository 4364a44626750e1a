"""What is learnt of a station and kept: its identity, how far its clock is off, and for all of its make
(vendor, model, firmware) whether they discharge.
"""

import logging
from collections.abc import Mapping
from typing import Final

import msgspec
import structlog

from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.station.outlet import Outlet
from v2g_edge.field.ocpp.station.quirks import NO_QUIRK, quirk_of, with_settings
from v2g_edge.field.ocpp.station.store import TransactionStore
from v2g_edge.field.ocpp.vocabulary.clock_skew import AGREE_S, ClockSkew
from v2g_edge.field.ocpp.vocabulary.compliance import Proof
from v2g_edge.field.ocpp.vocabulary.facts import Identity
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.model.event import Event
from v2g_edge.model.settings import StationSettings

log = structlog.get_logger()

MAKES_MAX: Final = 1_000
"""Makes of which it is remembered whether they discharge: a depot has some, and a station may call itself
by a new firmware at each boot. Beyond them none is tried, until an engineer answers for it
(``forget_proof``).
"""

REFUTED_BY: Final = 3
"""Stations that must each have charged where discharge was commanded before their make counts as one that
does. Below that, each convicts itself alone: a station says itself what make it is, and one that lies
would take all others of that make out.
"""

OWN_MAKES_MAX: Final = 16
"""Makes that one station may have shown something of: its firmware changes sometimes. Beyond them it is
not tried.
"""

NO_MORE: Final = "discharge/-"
"""Where it is remembered that there are so many."""


class StationModel:
    """The identity of ``station``, as it reported it last, perhaps before our restart; and whether such
    stations discharge.
    """

    def __init__(
        self, settings: StationSettings, outlets: Mapping[int, Outlet], board: Board, store: TransactionStore
    ) -> None:
        self.station = settings.identity
        self.identity = Identity()
        self.quirk = with_settings(NO_QUIRK, settings)
        self.version: Version | None = None
        self.clock_skew = ClockSkew()
        self._clock_kept_s: float | None = None
        self._witness_told = ""
        self._witnessed: dict[str, str] = {}
        self._settings = settings
        self._outlets = outlets
        self._board = board
        self._store = store

    def on_identity(self, identity: Identity) -> None:
        """It booted and reported its identity."""
        self.identity = identity
        self._store.remember(f"identity/{self.station}", msgspec.json.encode(identity).decode())
        self.recall()

    def recall(self) -> None:
        """What is on disk of it: its identity, where it has not said so itself, its clock, and its make's
        proof.
        """
        self._recall_clock()
        known = self._store.fact(f"identity/{self.station}")
        if known and self.identity == Identity():
            self.identity = msgspec.json.decode(known, type=Identity)
        before, self.quirk = self.quirk, quirk_of(self.identity, self._settings)
        if self.quirk.reason and self.quirk != before:
            log.info(
                "station_quirk", station=self.station, make=self.identity.kind(), reason=self.quirk.reason
            )
        for outlet in self._outlets.values():
            outlet.may_take(self.quirk.ladder())
            self._take(outlet, self.proof())

    def keep_clock(self) -> None:
        """Remember how far its clock is from ours: after our restart its leases need not wait until it has
        shown it again.
        """
        kept_s, offset_s = self._clock_kept_s, self.clock_skew.offset_s
        if self.clock_skew.known and (kept_s is None or abs(kept_s - offset_s) > AGREE_S):
            self._clock_kept_s = offset_s
            self._store.remember(f"clock/{self.station}", str(offset_s))

    def _recall_clock(self) -> None:
        kept = self._store.fact(f"clock/{self.station}")
        if kept and self._clock_kept_s is None:
            self._clock_kept_s = self.clock_skew.offset_s = float(kept)
            self.clock_skew.known = True

    def refused_measurands(self) -> tuple[str, ...]:
        """What stations of this make have refused to report."""
        return tuple(self._store.fact(f"refused/{self.version}/{self.identity.kind()}").split())

    def refuse_measurands(self, names: tuple[str, ...]) -> None:
        """Remember what this make refuses, until it comes with another firmware."""
        self._store.remember(f"refused/{self.version}/{self.identity.kind()}", " ".join(names))
        self._store.when_durable(lambda _: None)

    def keep_default(self, outlet: Outlet, *, held: bool) -> None:
        """Remember whether the station holds the default profile: it does so over a lost link and over its
        restarts.
        """
        key, text = f"default/{self.station}/{outlet.evse.id}", str(outlet.evse.fallback_w) if held else ""
        if self._store.fact(key) != text:
            self._store.remember(key, text)
            self._store.when_durable(lambda _: None)
        self._board.update_evse(outlet.evse.id, default_held=held)

    def recall_default(self, outlet: Outlet) -> None:
        """What is on disk of it; a default of another power than the site file's is none."""
        held = self._store.fact(f"default/{self.station}/{outlet.evse.id}") == str(outlet.evse.fallback_w)
        self._board.update_evse(outlet.evse.id, default_held=held)

    def consult(self, outlet: Outlet) -> None:
        """What another station of the make has shown meanwhile: a proof where this one has none, a
        refutation in any case.
        """
        known, proof = self.proof(), outlet.watch.proof
        if known != proof and (proof == "unknown" or known == "refuted"):
            self._take(outlet, known)

    def _take(self, outlet: Outlet, proof: Proof) -> None:
        outlet.watch.proof = proof
        self._board.update_evse(outlet.evse.id, proven_discharge=proof == "proven")

    def judged(self, outlet: Outlet, before: Proof) -> None:
        """The outlet's watch has seen something; ``before``: its proof until then."""
        watch, evse = outlet.watch, outlet.evse.id
        if watch.proof != before:
            self._remember_proof(outlet)
        if watch.follows != self._board.evse(evse).follows:
            self._board.update_evse(evse, follows=watch.follows)
            log.log(
                logging.INFO if watch.follows else logging.ERROR,
                "station_follows_again" if watch.follows else "station_does_not_follow",
                station=self.station, evse=evse, make=self.identity.kind(), score=round(watch.score, 2),
                sent_w=watch.sent_w,
            )  # fmt: skip

    def _remember_proof(self, outlet: Outlet) -> None:
        """For this station, and for all of its make where enough of them have shown it."""
        proof, kind = outlet.watch.proof, self.identity.kind()
        if self.proof() == "refuted" != proof:
            log.warning("discharge_refuted_elsewhere", evse=outlet.evse.id, make=kind)
            self._take(outlet, "refuted")
            return
        if not self._store.fact(self._key()) and self._too_many(outlet, kind):
            self._take(outlet, "refuted")
            return
        witnesses = {**self._witnesses(), self.station: proof}
        self._store.remember(self._key("witness"), msgspec.json.encode(witnesses).decode())
        accusers = [station for station, word in witnesses.items() if word == "refuted"]
        if proof == "refuted":
            known = "refuted" if len(accusers) >= REFUTED_BY else self._store.fact(self._key()) or "unknown"
            self._store.remember(self._key(), known)
        else:
            self._store.remember(self._key(), proof)
        self._board.update_evse(outlet.evse.id, urgent=proof == "refuted", proven_discharge=proof == "proven")
        if proof == "refuted":
            whole = len(accusers) >= REFUTED_BY
            effect = (
                "no station of it is asked to any more" if whole else f"{self.station} is asked to no more"
            )
            remedy = (
                f"See to its firmware and wiring, then v2g-edge ocpp {self.station} retry-discharge"
                " engineer=NAME."
            )
            text = f"make {kind} charged while discharge was commanded: {effect}. {remedy}"
            self._board.announce(Event("discharge_refuted", "alarm", outlet.evse.id, text, 0.0))
        else:
            log.info("discharge_proven", evse=outlet.evse.id, make=kind)

    def _too_many(self, outlet: Outlet, kind: str) -> bool:
        """Whether this station, or all together, have shown more makes than there can be."""
        own = f"makes/{self.station}"
        shown = int(self._store.fact(own) or 0)
        if shown >= OWN_MAKES_MAX:
            log.error(
                "discharge_makes_too_many",
                station=self.station,
                make=kind,
                most=OWN_MAKES_MAX,
                effect="it is not tried",
            )
            return True
        if self._store.count_facts("discharge/") >= MAKES_MAX:
            self._store.remember(NO_MORE, "refuted")
            log.error(
                "discharge_makes_too_many",
                evse=outlet.evse.id,
                make=kind,
                most=MAKES_MAX,
                effect="new makes never discharge",
            )
            return True
        self._store.remember(own, str(shown + 1))
        return False

    def forget_proof(self, engineer: str) -> None:
        """A person answers for trying the make again (new cabling, new firmware under the old name)."""
        log.warning(
            "discharge_proof_forgotten", make=self.identity.kind(), was=self.proof(), engineer=engineer
        )
        self._store.remember(self._key(), "unknown")
        self._store.remember(self._key("witness"), "{}")
        self._store.remember(f"makes/{self.station}", "0")
        self.recall()

    def proof(self) -> Proof:
        """What is known of the make, and of this station: what another station has proven counts where none
        speaks against it.
        """
        known = self._store.fact(self._key()) or self._store.fact(NO_MORE)
        witnesses = self._witnesses()
        own = witnesses.get(self.station)
        if "refuted" in (known, own):
            return "refuted"
        if own != "proven" and "refuted" in witnesses.values():
            return "unknown"
        return "proven" if known == "proven" else "unknown"

    def _witnesses(self) -> dict[str, str]:
        """Station → what it has shown of this make; not to be changed."""
        told = self._store.fact(self._key("witness"))
        if told != self._witness_told:  # asked for each outlet in each tick
            self._witness_told = told
            self._witnessed = msgspec.json.decode(told, type=dict[str, str]) if told else {}
        return self._witnessed

    def _key(self, what: str = "discharge") -> str:
        return f"{what}/{self.version}/{self.identity.kind()}"
