"""One meter, tick by tick: what its register and its power say has flowed, into settlement intervals."""

import math
from typing import Final

from msgspec import Struct

from v2g_edge.model.reading import Measured, Reading
from v2g_edge.study.ledger.lines import INTERVAL_S, Line, Method, Remark
from v2g_edge.study.ledger.register import passed

IDLE_W: Final = 50.0
"""Power out below this is the meter's own noise, no discharging."""

Key = tuple[float, str, str, str, str]
"""Interval, session, vehicle, service, method."""


class Register(Struct, array_like=True):
    """A register as it was last read.

    Attributes:
        value_wh: What it showed.
        at_s: Time of the sample, monotonic.
        at_wall_s: The same in UTC epoch seconds.
        power_wh: What the measured power amounts to since then.
    """

    value_wh: float
    at_s: float
    at_wall_s: float
    power_wh: float = 0.0


class Use(Struct, frozen=True, array_like=True):
    """What the energy of a meter belongs to at a time."""

    session: str = ""
    vehicle: str = ""
    service: str = ""


NO_USE: Final = Use()


class MeterAccount(Struct, array_like=True):
    """What is known of a meter between two ticks.

    Attributes:
        meter: Its id.
        most_w: Its largest power, for what a register can have counted.
        into: Its register of import; None where there is none.
        out: Its register of export.
        power_w: Power at the last tick; None where it was not known.
        use: What the energy belonged to at the last tick.
        blind_wall_s: Since when nothing of it is known; None while something is.
        open: Lines that still grow.
    """

    meter: str
    most_w: float
    into: Register | None = None
    out: Register | None = None
    power_w: float | None = None
    use: Use = NO_USE
    blind_wall_s: float | None = None
    open: dict[Key, list[float]] = {}

    def add(
        self,
        power_w: float | None,
        import_wh: Measured,
        export_wh: Measured,
        use: Use,
        passed_s: float,
        now_s: float,
        wall_s: float,
    ) -> list[Remark]:
        """Take one tick. ``passed_s`` is the time since the one before, 0 after a pause of the record."""
        use_then = self.use if self.use.session or not use.session else use
        into_wh = out_wh = 0.0
        if power_w is not None and passed_s:
            before_w = self.power_w if self.power_w is not None else power_w
            mean_w = (power_w + before_w) / 2.0
            into_wh, out_wh = max(mean_w, 0.0) * passed_s / 3_600.0, max(-mean_w, 0.0) * passed_s / 3_600.0
            if mean_w < -IDLE_W:
                self._line(wall_s - passed_s, use_then, "register" if self.out else "power")[2] += passed_s
        remarks: list[Remark] = []
        self.into = self._counted(
            0, self.into, import_wh, into_wh, use_then, now_s, wall_s, passed_s, remarks
        )
        self.out = self._counted(1, self.out, export_wh, out_wh, use_then, now_s, wall_s, passed_s, remarks)
        self._see(power_w, wall_s, remarks)
        self.power_w, self.use = power_w, use
        return remarks

    def _counted(
        self,
        side: int,
        old: Register | None,
        told: Measured,
        power_wh: float,
        use: Use,
        now_s: float,
        wall_s: float,
        passed_s: float,
        remarks: list[Remark],
    ) -> Register | None:
        """One register with its direction, or its power where it has none. Gives the register as it is."""
        if not isinstance(told, Reading):
            if old is None:
                if power_wh:
                    self._line(wall_s - passed_s, use, "power")[side] += power_wh
                return None
            old.power_wh += power_wh
            return old
        at_wall_s = wall_s - (now_s - told.at_s)
        if old is None:
            if power_wh:  # its first sample says nothing of before
                self._line(wall_s - passed_s, use, "power")[side] += power_wh
            return Register(told.value, told.at_s, at_wall_s)
        old.power_wh += power_wh
        if told.at_s == old.at_s and told.value == old.value_wh:
            return old
        # A clock that was set moves wall time and no energy; after a restart only wall time is left.
        span_s = told.at_s - old.at_s if told.at_s > old.at_s else max(at_wall_s - old.at_wall_s, 0.0)
        flow = passed(old.value_wh, told.value, span_s / 3_600.0, self.most_w, old.power_wh)
        if flow.kind:
            remarks.append(Remark(at_wall_s - span_s, at_wall_s, self.meter, flow.kind, flow.text))
        if flow.wh:
            method: Method = "power" if flow.kind in {"jump", "exchange"} else "register"
            self._spread(side, flow.wh, at_wall_s - span_s, at_wall_s, use, method)
        return Register(told.value, told.at_s, at_wall_s)

    def _spread(self, side: int, wh: float, from_s: float, until_s: float, use: Use, method: Method) -> None:
        """Into the intervals that the time touches, by the share of time in each."""
        span_s = until_s - from_s
        first_s = from_s - from_s % INTERVAL_S
        if span_s <= 0.0 or until_s <= first_s + INTERVAL_S:
            self._line(min(from_s, until_s), use, method)[side] += wh
            return
        if span_s > INTERVAL_S and method == "register":
            method = "spread"
        start_s = first_s
        while start_s < until_s:
            share_s = min(start_s + INTERVAL_S, until_s) - max(start_s, from_s)
            self._line(start_s, use, method)[side] += wh * share_s / span_s
            start_s += INTERVAL_S

    def _line(self, wall_s: float, use: Use, method: Method) -> list[float]:
        key = (wall_s - wall_s % INTERVAL_S, use.session, use.vehicle, use.service, str(method))
        line = self.open.get(key)
        if line is None:
            line = self.open[key] = [0.0, 0.0, 0.0]
        return line

    def _see(self, power_w: float | None, wall_s: float, remarks: list[Remark]) -> None:
        if power_w is not None or self.into is not None or not self.use.session:
            if self.blind_wall_s is not None:
                text = "neither a register nor a power was told; nothing is counted"
                remarks.append(Remark(self.blind_wall_s, wall_s, self.meter, "missing", text))
            self.blind_wall_s = None
        elif self.blind_wall_s is None:
            self.blind_wall_s = wall_s

    def restart(self) -> None:
        """A new process counts monotonic time anew: samples of before are older than all that come."""
        for register in (self.into, self.out):
            if register is not None:
                register.at_s = math.inf

    def closed(self, before_wall_s: float) -> list[Line]:
        """Takes the lines that end before a time."""
        done = [key for key in self.open if key[0] + INTERVAL_S <= before_wall_s]
        return [self._taken(key, self.open.pop(key)) for key in sorted(done)]

    def _taken(self, key: Key, values: list[float]) -> Line:
        start_s, session, vehicle, service, method = key
        return Line(start_s, self.meter, session, vehicle, service, method, *values)  # type: ignore[arg-type]
