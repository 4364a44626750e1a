"""``v2g-edge commission FILE``: a guided step test, one charger at a time, under the full safety envelope.

It takes the daemon's place (stop that first): the test brings the wishes, the same envelope permits. A step
that it does not permit is not made, and the report names the rule.
"""

import argparse
import asyncio
from pathlib import Path
from typing import Any, Final

import msgspec

from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.config import ConfigError, load
from v2g_edge.departure.depot import depot_of
from v2g_edge.envelope.memory import EnvelopeMemory
from v2g_edge.envelope.permits import permit_all
from v2g_edge.field.modbus.commission import (
    Finding,
    Sample,
    directions,
    fit_meter,
    fit_step,
    judge,
    meter_verdict,
)
from v2g_edge.host.clock import SystemClock
from v2g_edge.model.frame import frame_of
from v2g_edge.model.limits import Bound
from v2g_edge.model.permit import Wish
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import Settings
from v2g_edge.wiring.parts import build_parts, orders_of, read_contactors

TICK_S: Final = 0.1
"""Faster than the daemon's second: the samples are to show the meter's own refresh."""

CONNECT_S: Final = 60.0
"""A charging station may take this long to dial in."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "commission", help="step test: phases, CT direction, sign, response, meter resolution"
    )
    parser.add_argument("file", type=Path, help="the site file")
    parser.add_argument(
        "--evse", action="append", default=[], help="only this outlet (may be given more than once)"
    )
    parser.add_argument("--step-kw", type=float, default=3.0, help="size of the steps (default 3)")
    parser.add_argument("--hold-s", type=float, default=15.0, help="length of each hold (default 15)")
    parser.add_argument(
        "--settle-s", type=float, default=0.0, help="wait first, e.g. for the enter-service delay (default 0)"
    )
    parser.add_argument("--out", type=Path, help="write the TOML fragment here")
    parser.add_argument("--yes", action="store_true", help="do not ask before each charger")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """The report on stdout; 0 when nothing has to be mended, 1 when something has, 2 for a bad site file."""
    try:
        settings = load(arguments.file)
    except ConfigError as error:
        raise CommandError(f"the site file has problems:\n{error}", BAD_INPUT) from error
    known = [evse.id for evse in settings.site.evses]
    unknown = sorted(set(arguments.evse) - set(known))
    if unknown:
        raise CommandError(f"no outlet {', '.join(unknown)}; there are {', '.join(known)}", BAD_INPUT)
    if not settings.site.grid.meter:
        raise CommandError("the site has no grid meter: there is nothing to measure with", BAD_INPUT)
    standing = orders_of(settings).load()
    if standing.stop:
        raise CommandError(
            "a stop stands, so nothing may move; `v2g-edge release stop` ends it at the daemon, when work is"
            " done"
        )
    wanted = [evse for evse in known if evse in arguments.evse or not arguments.evse]
    if not arguments.yes:
        print(
            f"Chargers will move by ±{arguments.step_kw:g} kW: {', '.join(wanted)}. Vehicles must be"
            " plugged in."
        )
        if input("Go on? [y/N] ").strip().lower() != "y":
            return FAILED
    with asyncio.Runner() as runner:
        findings = runner.run(commission(settings, SystemClock(), wanted, arguments))
    print(report(findings))
    if arguments.out:
        arguments.out.write_text(fragment(settings, findings), encoding="utf-8")
        print(f"\nfindings written to {arguments.out}")
    return (
        FAILED
        if meter_verdict(directions(findings))[1] or any(finding.problems for finding in findings)
        else DONE
    )


async def commission(
    settings: Settings, clock: ClockPort, wanted: list[str], arguments: Any
) -> list[Finding]:
    """Test each wanted outlet; everything is put away at the end, whatever happens."""
    rig = Rig(settings, clock)
    await rig.start()
    try:
        await rig.until_connected(wanted)
        await rig.hold({}, arguments.settle_s)
        return [await rig.test(evse, 1000.0 * arguments.step_kw, arguments.hold_s) for evse in wanted]
    finally:
        await rig.stop()


class Rig:
    """Field, envelope and writer without rules, journal, cloud and control socket: the wishes are the
    test's.
    """

    def __init__(self, settings: Settings, clock: ClockPort) -> None:
        self._settings = settings
        self._site = settings.site
        self._clock = clock
        self._parts = build_parts(settings, clock, lambda: None)
        self._board, self._ocpp, self._modbus, self._writer, _ = self._parts
        self._operator = orders_of(settings).load()
        self._depot = depot_of(frame_of(self._site))
        self._memory = EnvelopeMemory()
        self._bound: dict[str, Bound] = {}

    async def start(self) -> None:
        """Listen and poll."""
        await self._ocpp.start()
        await self._modbus.start()

    async def stop(self) -> None:
        """The leases at the chargers end by themselves."""
        await self._writer.stop()
        await self._modbus.open_contactors()
        await self._modbus.stop()
        await self._ocpp.stop()

    async def until_connected(self, wanted: list[str]) -> None:
        """CommandError names those that did not come in time."""
        for _ in range(int(CONNECT_S / TICK_S)):
            missing = [evse for evse in wanted if not self._board.evse(evse).link.connected]
            if not missing:
                return
            await self._clock.sleep_s(TICK_S)
        raise CommandError(f"not connected after {CONNECT_S:g} s: {', '.join(missing)}")

    async def test(self, evse: str, step_w: float, hold_s: float) -> Finding:
        """Rest, charge, rest, discharge, rest."""
        known = next(row for row in self._site.evses if row.id == evse)
        rest = await self.hold({evse: 0.0}, hold_s)
        charging = await self.hold({evse: min(step_w, known.max_charge_w)}, hold_s)
        charge_bound = self._bound[evse]
        between = await self.hold({evse: 0.0}, hold_s)
        exporting = (
            await self.hold({evse: -min(step_w, known.max_discharge_w)}, hold_s)
            if known.max_discharge_w
            else []
        )
        discharge_bound = self._bound[evse]
        await self.hold({evse: 0.0}, TICK_S)
        samples = [*rest, *charging, *between, *exporting]
        if not rest or not charging or not between:
            raise CommandError(
                f"{evse}: no readings of the grid meter or of the charger's power; see v2g-edge modbus watch"
            )
        denied = {}
        if not _moved(charging, step_w):
            denied["charge"] = self._denial(evse, charge_bound)
        if not _moved(exporting, -step_w):
            denied["discharge"] = self._denial(evse, discharge_bound)
        charge = None if "charge" in denied else fit_step(rest, charging)
        discharge = None if "discharge" in denied else fit_step(between, exporting)
        return judge(evse, known.phases, charge, discharge, fit_meter(samples), denied)

    @staticmethod
    def _denial(evse: str, bound: Bound) -> str:
        return f"{evse} was not permitted the step: {bound.rule} ({bound.source})"

    async def hold(self, powers: dict[str, float], hold_s: float) -> list[Sample]:
        """Wish for these powers, and 0 of all others, and sample each tick."""
        samples: list[Sample] = []
        start_s = self._clock.now_s()
        while (now_s := self._clock.now_s()) - start_s < hold_s:
            self._tick(powers, now_s)
            sample = self._sample(next(iter(powers), ""), now_s)
            if sample is not None:
                samples.append(sample)
            await self._clock.sleep_s(TICK_S)
        return samples

    def _tick(self, powers: dict[str, float], now_s: float) -> None:
        read_contactors(self._parts)
        wall_s = self._clock.wall_s()
        wishes = {
            evse.id: Wish(evse.id, powers.get(evse.id, 0.0), 0.0, "commission") for evse in self._site.evses
        }
        snapshot = self._board.freeze(now_s, wall_s, clock_synced=True, operator=self._operator)
        outcome = permit_all(self._depot, snapshot, wishes, self._memory)
        self._memory = outcome.memory
        self._bound = {permit.evse: permit.bound_by for permit in outcome.permits}
        self._writer.submit(outcome.permits)
        self._modbus.write_contactors(closed=outcome.contactor, dropped=outcome.dropped)

    def _sample(self, evse: str, now_s: float) -> Sample | None:
        if not evse:
            return None
        meter, state = self._board.meter(self._site.grid.meter), self._board.evse(evse)
        values = [meter.power_w, meter.frequency_hz, state.power_w, *meter.phase_power_w]
        found = [value.value for value in values if isinstance(value, Reading)]
        if len(found) != len(values):
            return None
        total_w, hertz, charger_w, first_w, second_w, third_w = found
        return Sample(now_s, state.command.power_w, charger_w, (first_w, second_w, third_w), total_w, hertz)


def _moved(samples: list[Sample], step_w: float) -> bool:
    """Whether at least half of the wanted step was commanded at the end of a hold."""
    return (
        bool(samples)
        and samples[-1].commanded_w * step_w > 0.0
        and abs(samples[-1].commanded_w) >= 0.5 * abs(step_w)
    )


def report(findings: list[Finding]) -> str:
    """For people."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.evse}")
        for name, step in (("charge", finding.charge), ("discharge", finding.discharge)):
            if step is not None:
                lines.append(
                    f"  {name:<10} commanded {step.commanded_w:8.0f} W, charger {step.charger_w:8.0f} W, grid"
                    f" meter {step.grid_w:8.0f} W, 90 % after {step.response_s:.1f} s, phases"
                    f" {step.fit.phases or '?'}"
                )
        meter = finding.meter
        lines.append(
            f"  meter      refresh {meter.refresh_s:.2f} s, frequency in steps of"
            f" {1000 * meter.frequency_step_hz:.0f} mHz"
        )
        lines += [f"  mend       {problem}" for problem in finding.problems]
        lines += [f"  refused    {refusal}" for refusal in finding.refusals]
    lines += [f"meter: mend {problem}" for problem in meter_verdict(directions(findings))[1]]
    return "\n".join(lines)


def fragment(settings: Settings, findings: list[Finding]) -> str:
    """TOML to be put into the site file: only keys that it knows, everything else as a comment."""
    lines = ["# Found by v2g-edge commission. Compare with the site file and take over what differs.", ""]
    invert, mend = meter_verdict(directions(findings))
    lines += [f"# mend: {problem}" for problem in mend]
    if invert:
        meter = settings.site.grid.meter
        for device in settings.devices:
            if device.role == "meter" and device.target == meter:
                lines += [
                    "[[devices]]",
                    f"id = {_text(device.id)}",
                    f"invert = {str(not device.invert).lower()}",
                    "",
                ]
    for finding in findings:
        told = finding.charge or finding.discharge
        lines += ["[[evses]]", f"id = {_text(finding.evse)}"]
        if told is not None and told.fit.phases:
            lines.append(f"phases = {_text(told.fit.phases)}")
        if finding.charge is not None:
            lines.append(
                f"# response to 90 %: {finding.charge.response_s:.1f} s; gives"
                f" {finding.charge.charger_w:.0f} W"
            )
        lines += [f"# mend: {problem}" for problem in finding.problems]
        lines += [f"# refused: {refusal}" for refusal in finding.refusals]
        lines.append("")
    return "\n".join(lines)


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()
