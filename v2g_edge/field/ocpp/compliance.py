"""Whether a charger does what it accepted, and whether it can discharge at all: judged by metering, never by "Accepted".

One independent station accepts a negative limit, ignores it and goes to full power; others accept and do nothing (reference
ocpp.md, seen on the wire 1). So the first discharge of a make is small, and what the meter says of it is remembered for the make
(vendor, model, firmware): proven, or never again until a person says so.
"""

from typing import Final, Literal

Proof = Literal["unknown", "proven", "refuted"]

PROBE_W: Final = 2_000.0
"""The first discharge asked of an unknown make: well above metering noise, harmless when it goes the wrong way."""

PROVEN_SHARE: Final = 0.5
"""Exporting half of what was asked proves the sign; how exactly it follows is the score's affair."""

WRONG_WAY_W: Final = 500.0
"""Charging with more than this while discharge was commanded is the wrong way, not noise."""

SETTLE_S: Final = 5.0
"""A charger ramps; nothing is judged before."""

PROBE_S: Final = 60.0
"""A probe that shows nothing for so long ends with the session: the vehicle may be the one that does not give."""

TOLERANCE_W: Final = 1_000.0
TOLERANCE_SHARE: Final = 0.1
"""How far metered power may lie from the command and still count as following."""

SCORE_STEP: Final = 0.05
"""Weight of one reading in the score: it forgets over about twenty readings."""


class Watch:
    """What was commanded at one outlet and what came of it. ``score`` runs from 1 (follows) to 0 (does not)."""

    __slots__ = ("_sent_s", "_since_s", "gave_up", "proof", "score", "sent_w")

    def __init__(self) -> None:
        self.proof: Proof = "unknown"
        self.score = 1.0
        self.sent_w = 0.0
        self.gave_up = False
        self._sent_s = 0.0
        self._since_s = 0.0

    def new_session(self) -> None:
        """Another vehicle: what the last one did not give says nothing."""
        self.sent_w, self.gave_up = 0.0, False

    def allowed_w(self, power_w: float, min_discharge_w: float) -> float:
        """The command that may be given: discharge only as far as it is proven, 0 where it is refuted."""
        if power_w >= 0.0 or self.proof == "proven":
            return power_w
        if self.proof == "refuted" or self.gave_up:
            return 0.0
        return max(power_w, -max(PROBE_W, min_discharge_w))

    def commanded(self, power_w: float, now_s: float) -> None:
        """A command was accepted, or may have arrived."""
        if power_w != self.sent_w:
            self._sent_s = now_s
        if (power_w < 0.0) != (self.sent_w < 0.0):
            self._since_s = now_s
        self.sent_w = power_w

    def measured(self, power_w: float, at_s: float) -> Proof:
        """A reading of the present; returns what it did to the proof. The caller remembers a change of it."""
        sent_w = self.sent_w
        if at_s - self._sent_s >= SETTLE_S:
            slack_w = max(TOLERANCE_W, abs(sent_w) * TOLERANCE_SHARE)
            follows = min(sent_w, 0.0) - slack_w <= power_w <= max(sent_w, 0.0) + slack_w
            self.score += SCORE_STEP * ((1.0 if follows else 0.0) - self.score)
        if sent_w < 0.0 and self.proof == "unknown" and at_s - self._since_s >= SETTLE_S:
            if power_w <= sent_w * PROVEN_SHARE:
                self.proof = "proven"
            elif power_w > WRONG_WAY_W:
                self.proof = "refuted"
            elif at_s - self._since_s >= PROBE_S:
                self.gave_up = True
        return self.proof

    def read_back(self, planned_w: float | None) -> Proof:
        """What the station says it will do (GetCompositeSchedule) while discharge is commanded; None: it does not say."""
        if self.sent_w < 0.0 and self.proof == "unknown" and planned_w is not None and planned_w > WRONG_WAY_W:
            self.proof = "refuted"
        return self.proof
