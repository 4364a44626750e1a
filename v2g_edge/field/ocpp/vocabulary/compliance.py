"""Whether a charger does what it accepted, and whether it can discharge at all: judged by metering, never by
"Accepted".

One independent station accepts a negative limit, ignores it and goes to full power; others accept and do
nothing (reference ocpp.md, seen on the wire 1). So the first discharge of a make is small, and what the meter
says of it is remembered for the make (vendor, model, firmware): proven, or never again until a person says
so.
"""

import math
from typing import Final, Literal

Proof = Literal["unknown", "proven", "refuted"]

PROBE_W: Final = 2_000.0
"""The first discharge asked of an unknown make: well above metering noise, harmless when it goes the wrong
way.
"""

PROVEN_SHARE: Final = 0.5
"""Exporting half of what was asked proves the sign; how exactly it follows is the score's affair."""

WRONG_WAY_W: Final = 500.0
"""Charging with more than this while discharge was commanded is the wrong way, not noise."""

SETTLE_S: Final = 5.0
"""A charger ramps; nothing is judged before."""

PROBE_S: Final = 60.0
"""A probe that shows nothing for so long ends with the session: the vehicle may be the one that does not
give.
"""

TOLERANCE_W: Final = 1_000.0
TOLERANCE_SHARE: Final = 0.1
"""How far metered power may lie from the command and still count as following."""

SCORE_STEP: Final = 0.05
"""Weight of one reading in the score: it forgets over about twenty readings."""

READ_BACK_STEP: Final = 0.25
"""Weight of what the station itself says it will do: it is asked rarely, and three contradictions in a row
must be enough.
"""

TRUST_BELOW: Final = 0.5
TRUST_AGAIN: Final = 0.8
"""Below the one the station is not trusted to follow, from the other it is again: so that it does not
flicker between.
"""


class Watch:
    """What was commanded at one outlet and what came of it. ``score`` runs from 1 (follows) to 0 (does not).

    A command without an answer may have arrived or not: until the next answer everything from ``least_w`` to
    ``most_w`` may be in force. When the lease has run out, the default profile rules: charging up to
    ``fallback_w``, no discharge.
    """

    __slots__ = (
        "_sent_s", "_since_s", "_until_s", "contradicted", "fallback_w", "follows", "gave_up", "least_w",
        "most_w", "proof",
        "score", "sent_w",
    )  # fmt: skip

    def __init__(self, fallback_w: float = 0.0) -> None:
        self.fallback_w = fallback_w
        self.proof: Proof = "unknown"
        self.score = 1.0
        self.follows = True
        self.contradicted = False
        self.sent_w = 0.0
        self.gave_up = False
        self.least_w = self.most_w = 0.0
        self._sent_s = self._since_s = 0.0
        self._until_s = -math.inf

    def new_session(self) -> None:
        """Another vehicle: what the last one did not give says nothing, and its lease is gone."""
        self.sent_w, self.gave_up, self._until_s = 0.0, False, -math.inf
        self.least_w = self.most_w = 0.0

    def restarted(self, now_s: float) -> None:
        """The station lost its supply: perhaps its lease with it."""
        self._until_s = min(self._until_s, now_s)

    def allowed_w(self, power_w: float, min_discharge_w: float) -> float:
        """The command that may be given: discharge only as far as it is proven, 0 where it is refuted."""
        if power_w >= 0.0 or self.proof == "proven":
            return power_w
        if self.proof == "refuted" or self.gave_up:
            return 0.0
        return max(power_w, -max(PROBE_W, min_discharge_w))

    def commanded(
        self,
        power_w: float,
        now_s: float,
        until_s: float = math.inf,
        *,
        sure: bool = True,
        droop_w: float = 0.0,
    ) -> None:
        """A command was accepted (``sure``), or may have arrived. Its lease ends at ``until_s``.
        ``droop_w``: see ``Permit``.
        """
        if power_w != self.sent_w or not sure:
            self._sent_s = now_s
        if (power_w < 0.0) != (self.sent_w < 0.0):
            self._since_s = now_s
        self.least_w = power_w - droop_w if sure else min(self.least_w, power_w - droop_w)
        self.most_w = power_w + droop_w if sure else max(self.most_w, power_w + droop_w)
        self._until_s = until_s if sure else max(self._until_s, until_s)
        self.sent_w = power_w

    def measured(
        self, power_w: float, at_s: float, *, since_s: float | None = None, proves: bool = True
    ) -> Proof:
        """A reading of the present; returns what it did to the proof. The caller remembers a change of it.

        ``since_s``: it is a mean over the time since then. ``proves`` false: it is good enough to judge by,
        not to prove discharge.
        """
        began_s = at_s if since_s is None else since_s
        if began_s - self._sent_s >= SETTLE_S and not self._until_s <= at_s < self._until_s + SETTLE_S:
            slack_w = self._slack_w()
            tells = (
                abs(power_w) > slack_w or abs(self.sent_w) <= slack_w
            )  # a vehicle that rests obeys any charge limit
            if not self._fits(power_w, at_s):
                self._judge(SCORE_STEP, right=False)
            elif tells:
                self._judge(SCORE_STEP, right=True)
        if (
            self.least_w < 0.0
            and self.proof == "unknown"
            and at_s < self._until_s
            and began_s - self._since_s >= SETTLE_S
        ):
            if proves and power_w <= self.least_w * PROVEN_SHARE:
                self.proof = "proven"
            elif power_w > WRONG_WAY_W and self.most_w < 0.0:
                self.proof = "refuted"
            elif at_s - self._since_s >= PROBE_S:
                self.gave_up = True
        return self.proof

    def read_back(self, planned_w: float | None, now_s: float) -> Proof:
        """What the station says it will do (GetCompositeSchedule) with what it accepted; None: it does not
        say.
        """
        if planned_w is None:
            return self.proof
        self.contradicted = not self._fits(planned_w, now_s)
        self._judge(READ_BACK_STEP, right=not self.contradicted)
        if self.most_w < 0.0 and self.proof == "unknown" and planned_w > WRONG_WAY_W:
            self.proof = "refuted"
        return self.proof

    def _slack_w(self) -> float:
        return max(TOLERANCE_W, abs(self.sent_w) * TOLERANCE_SHARE)

    def _fits(self, power_w: float, at_s: float) -> bool:
        leased = at_s < self._until_s
        least_w = min(self.least_w, 0.0) if leased else 0.0
        most_w = max(self.most_w, 0.0) if leased else self.fallback_w
        return least_w - self._slack_w() <= power_w <= most_w + self._slack_w()

    def _judge(self, step: float, *, right: bool) -> None:
        self.score += step * ((1.0 if right else 0.0) - self.score)
        if self.score < TRUST_BELOW:
            self.follows = False
        elif self.score >= TRUST_AGAIN:
            self.follows = True
