"""``python -m tests.field.ocpp.upstream.hour`` (``make upstream-hour``): a depot whose upstream is away
for an hour.

The whole daemon in virtual time with four simulated stations, two of 1.6 and two of 2.0.1, started by cards
on a connection that is too small for all. Their upstream is a central system of the ``ocpp`` package in a
process of its own, killed for an hour. At the end the upstream must know each message that a station sent
once and in order, bill each session by the registers that the chargers show, and no charging profile of it
may have reached a charger.
"""

# ruff: noqa: T201 - it is a command: printing is its job
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, cast

from msgspec.structs import replace

from sim.runners.controller import Controller
from sim.runners.listen import Listener
from sim.runners.runner import OCPP_PORT, logged
from sim.runners.world import World
from sim.scenarios.night import night
from sim.scenarios.scenario import METER_PORT, RELAY_PORT, Scenario, Version
from sim.scenarios.visit import Visit
from sim.stations.station import Station
from sim.virtual.clock import LoopClock
from sim.virtual.loop import run_virtual
from tests.field.ocpp.upstream.bridge import Bridges
from tests.field.ocpp.upstream.conftest import Upstream
from v2g_edge.api.status import StatusApi
from v2g_edge.field.ocpp.upstream.limit_reports import REPORT_S
from v2g_edge.field.ocpp.upstream.policy import FORWARDED
from v2g_edge.model.settings import UpstreamSettings

REPORTS: Final = ("NotifyChargingLimit", "ClearedChargingLimit")
"""What the daemon says itself, of what it leaves of what was asked for."""

PORT: Final = 9_000
"""Of the upstream, on the virtual network."""
SPEAK: Final[tuple[Version, ...]] = ("1.6", "1.6", "2.0.1", "2.0.1")
LIMIT_W: Final = 7_000.0
"""What the upstream allows at the second and fourth station."""
PROFILE: Final = 4_711
"""The number of its profiles."""
AWAY_S: Final = (1_200.0, 4_800.0)
STAYS_S: Final = (
    ("E01", "BUS01", 60.0, 2_400.0), ("E01", "BUS01", 3_000.0, 6_000.0), ("E02", "BUS02", 90.0, 6_600.0),
    ("E03", "BUS03", 120.0, 2_700.0), ("E03", "BUS03", 3_300.0, 6_300.0), ("E04", "BUS04", 150.0, 6_600.0),
)  # fmt: skip
"""Sessions that end before, begin in, and outlast the hour."""
WHOLE_WH: Final = 1.0
"""Stations tell whole watt-hours."""
DURATION_S: Final = 7_000.0


def scenario_of(scale: float = 1.0) -> Scenario:
    """The depot; ``scale`` below 1 shortens all of it."""
    base = night(3, chargers=len(SPEAK), quiet=True)
    visits = tuple(
        Visit(evse, bus, base.start_wall_s + scale * here_s, base.start_wall_s + scale * gone_s, 95.0, 40.0)
        for evse, bus, here_s, gone_s in STAYS_S
    )
    speak = tuple((station.identity, version) for station, version in zip(base.stations, SPEAK, strict=True))
    return replace(base, duration_s=scale * DURATION_S, prices=(), visits=visits, speak=speak)


class Overheard:
    """A part of a station whose ``method`` is told to ``ear`` before it is called."""

    def __init__(self, part: Any, method: str, ear: Callable[..., None]) -> None:
        self._part = part
        self._method = method
        self._ear = ear

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if name != self._method:
            return found

        def called(*words: Any) -> Any:
            self._ear(*words)
            return found(*words)

        return called


class Trial:
    """One run. ``sent``: what each station said, by its own word; ``registers``: of the chargers, at the
    beginning and end of each stay; ``told``: what the daemon said of the limit.
    """

    def __init__(self, folder: Path, upstream: Upstream, scale: float) -> None:
        self.scenario = scenario_of(scale)
        self.upstream = upstream
        self.away_s = tuple(scale * each for each in AWAY_S)
        self.scale = scale
        self.sent: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self.registers: dict[Visit, tuple[float, float]] = {}
        self.heard: list[dict[str, Any]] = []
        self.limited: list[str] = []
        self.bound = 0
        self.why: dict[str, Any] = {}
        self._folder = folder

    async def run(self) -> None:
        """Play it to its end."""
        clock = LoopClock(self.scenario.start_wall_s)
        settings = self.scenario.settings(self._folder, ocpp_port=OCPP_PORT)
        upstream = UpstreamSettings("csms", f"ws://127.0.0.1:{PORT}/ocpp")
        world = World(self.scenario, clock, meter_port=METER_PORT, relay_port=RELAY_PORT)
        controller = Controller(replace(settings, upstreams=(upstream,)), clock)
        world.watchers += [
            Listener(controller, world.panel.hear).look,
            lambda _: self._look(world, controller),
        ]
        bridges = Bridges(PORT, self.upstream.port)
        self.upstream.begin()
        await bridges.open()
        await world.start()
        await controller.start()
        world.join(f"ws://127.0.0.1:{OCPP_PORT}")
        for identity, station in world.stations.items():
            self.sent[identity] = []
            self._listen_to(identity, station)
        script = asyncio.create_task(self._script(clock, controller, bridges))
        try:
            await world.play(self.scenario.end_wall_s)
            await script
            await self._settled(controller, clock)
        finally:
            script.cancel()
            await asyncio.gather(script, return_exceptions=True)
            await world.stop()
            await controller.stop()
            bridges.close()
        assert world.panel.violations == [], world.panel.violations[:3]

    def _listen_to(self, identity: str, station: Station) -> None:
        """What it says of sessions, and each charging profile that reaches it."""
        version = self.scenario.version_of(identity)

        def said(action: str, payload: dict[str, Any], _now_s: float) -> None:
            if action in FORWARDED[version]:
                self.sent[identity].append((action, json.loads(json.dumps(payload))))

        def asked(_owner: Any, action: str, payload: dict[str, Any]) -> None:
            if action in {"SetChargingProfile", "RemoteStartTransaction", "RequestStartTransaction"}:
                self.heard.append(payload)

        station._machine = cast("Any", Overheard(station._machine, "call", said))
        station._voice = cast("Any", Overheard(station._voice, "answer", asked))

    def _look(self, world: World, controller: Controller) -> None:
        """Cards are shown, and registers read, at each step of the world."""
        wall_s = world.clock.wall_s()
        for visit in self.scenario.visits:
            charger = world.depot.chargers[visit.evse]
            if 0.0 <= visit.arrives_wall_s - wall_s < 10.0 and visit not in self.registers:
                self.registers[visit] = charger.import_wh, -1.0
                self._show_card(world, visit)
            if 5.0 <= wall_s - visit.gone_wall_s < 20.0:
                self.registers[visit] = self.registers[visit][0], charger.import_wh
        if controller.daemon is not None and controller.daemon.state.tick is not None:
            permits = controller.daemon.state.tick.outcome.permits
            self.bound += any(permit.bound_by.rule.startswith("feeder") for permit in permits)

    def _show_card(self, world: World, visit: Visit) -> None:
        identity = f"CS{visit.evse[1:]}"
        if self.scenario.version_of(identity) == "1.6":
            world.stations[identity].later(("Authorize", {"idTag": visit.vehicle}))
        else:
            token = {"idToken": visit.vehicle, "type": "MacAddress"}
            world.stations[identity].later(("Authorize", {"idToken": token}))

    async def _script(self, clock: LoopClock, controller: Controller, bridges: Bridges) -> None:
        """What the upstream does, and what becomes of it."""

        async def at(after_s: float) -> None:
            await clock.sleep_s(self.scenario.start_wall_s + after_s - clock.wall_s())

        await at(self.scale * 600.0)
        periods = [{"startPeriod": 0, "limit": LIMIT_W}]
        schedule = {"chargingRateUnit": "W", "chargingSchedulePeriod": periods}
        common = {
            "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative",
        }  # fmt: skip
        old = {"chargingProfileId": PROFILE, **common, "chargingSchedule": schedule}
        new = {"id": PROFILE, **common, "chargingSchedule": [{"id": 1, **schedule}]}
        self.upstream.call("CS02", "SetChargingProfile", connector_id=1, cs_charging_profiles=old)
        self.upstream.call("CS04", "SetChargingProfile", evse_id=1, charging_profile=new)
        bridges.expect()
        for begins_s in (self.scale * 900.0, self.scale * 3_600.0):
            await at(begins_s)
            self._judge_limit(controller)
            if begins_s < self.away_s[0]:
                assert controller.daemon is not None
                status = StatusApi(controller.daemon.state, lambda: (), {})
                self.why = await status.why({"subject": "E02"})
                await at(self.away_s[0])
                self.upstream.kill()
                bridges.close()
        await at(self.away_s[1])
        self.upstream.begin()
        await bridges.open()

    def _judge_limit(self, controller: Controller) -> None:
        assert controller.daemon is not None
        outcome = controller.daemon.state.last_tick().outcome
        for permit, bounds in zip(outcome.permits, outcome.bounds, strict=True):
            if permit.evse in {"E02", "E04"}:
                assert permit.power_w <= LIMIT_W, f"{permit.evse} is permitted {permit.power_w:g} W"
                self.limited += [bound.source for bound in bounds if bound.rule == "outside_limit"]

    async def _settled(self, controller: Controller, clock: LoopClock) -> None:
        """Until the upstream has all that waits."""
        assert controller.daemon is not None
        for _ in range(600):
            if not any(len(each.queue) for each in controller.daemon.ocpp.upstreams.forwarders):
                return
            await clock.sleep_s(1.0)
        raise AssertionError("messages still wait for the upstream")


def judged(trial: Trial) -> str:
    """The figures, once every promise was looked at."""
    messages = reports = 0
    for identity, sent in trial.sent.items():
        calls = trial.upstream.calls(identity)
        came = [each for each in calls if each[0] not in {"Authorize", *REPORTS}]
        assert [_bare(each) for each in came] == [_bare(each) for each in sent], f"{identity}: not the same"
        messages += len(came)
        told = [each for each in calls if each[0] in REPORTS]
        assert bool(told) == (trial.scenario.version_of(identity) == "2.0.1"), f"{identity}: {told[:3]}"
        most = 2 * (trial.scale * DURATION_S / REPORT_S + 1)
        assert len(told) <= most, f"{identity}: {len(told)} reports of limits"
        reports += len(told)
    _judge_bills(trial)
    said = [line for line in trial.why["answer"] if "upstream csms" in line]
    assert said, trial.why["answer"]
    assert len(trial.limited) == 4
    assert all("upstream csms" in source for source in trial.limited), trial.limited
    assert str(PROFILE) not in json.dumps(trial.heard), "a profile of the upstream reached a charger"
    assert trial.bound > 0, "the connection was never too small"
    energy_wh = sum(end - begin for begin, end in trial.registers.values())
    return (
        f"{messages} messages of {len(trial.sent)} stations came up once and in order through"
        f" {(trial.away_s[1] - trial.away_s[0]) / 60.0:.0f} minutes without the upstream;"
        f" {len(trial.registers)} sessions billed there for {energy_wh / 1_000.0:.1f} kWh, each by the"
        f" registers of its charger; {trial.bound} steps at the limit of the connection; no profile of it at"
        f" a charger; {reports} reports of limits; `why` says {said[0]!r}"
    )


def _bare(message: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Without what is turned on the way: the transaction number of 1.6."""
    action, payload = message
    return action, {key: value for key, value in payload.items() if key != "transactionId"}


def _judge_bills(trial: Trial) -> None:
    """Each stay is one transaction upstream, from the register at its beginning to that at its end."""
    for identity in trial.sent:
        evse = f"E{identity[2:]}"
        stays = sorted((v for v in trial.registers if v.evse == evse), key=lambda visit: visit.arrives_wall_s)
        calls = trial.upstream.calls(identity)
        bills = _bills16(calls) if trial.scenario.version_of(identity) == "1.6" else _bills201(calls)
        expected = [trial.registers[visit] for visit in stays]
        assert len(bills) == len(expected), f"{identity}: billed {bills}, the charger shows {expected}"
        for billed, shown in zip(bills, expected, strict=True):
            off_wh = max(abs(b - s) for b, s in zip(billed, shown, strict=True))
            assert off_wh <= WHOLE_WH, f"{identity}: billed {billed}, the charger shows {shown}"
        assert all(end > begin for begin, end in bills), f"{identity}: nothing was charged: {bills}"


def _bills16(calls: Sequence[tuple[str, dict[str, Any]]]) -> list[tuple[float, float]]:
    begun = [payload["meterStart"] for action, payload in calls if action == "StartTransaction"]
    ended = [payload["meterStop"] for action, payload in calls if action == "StopTransaction"]
    numbers = [payload["transactionId"] for action, payload in calls if action == "StopTransaction"]
    assert numbers == sorted(set(numbers)), "a transaction ended twice"
    return list(zip(begun, ended, strict=True))


def _bills201(calls: Sequence[tuple[str, dict[str, Any]]]) -> list[tuple[float, float]]:
    bills: dict[str, dict[str, float]] = {}
    for action, payload in calls:
        if action == "TransactionEvent" and payload["eventType"] in {"Started", "Ended"}:
            number = payload["transactionInfo"]["transactionId"]
            bills.setdefault(number, {})[payload["eventType"]] = _register(payload)
    return [(each["Started"], each["Ended"]) for each in bills.values()]


def _register(payload: dict[str, Any]) -> float:
    return next(
        float(sample["value"])
        for value in payload["meterValue"]
        for sample in value["sampledValue"]
        if sample["measurand"] == "Energy.Active.Import.Register"
    )


def played(folder: Path, scale: float = 1.0) -> str:
    """Play and judge; the figures. AssertionError where a promise did not hold."""
    upstream = Upstream(folder)
    state = folder / "state"
    state.mkdir()
    trial = Trial(state, upstream, scale)
    try:
        with logged(nothing=True):
            run_virtual(trial.run())
        return judged(trial)
    finally:
        upstream.kill()


def main() -> int:
    """0 when all held."""
    with tempfile.TemporaryDirectory(prefix="v2g-edge-upstream-") as name:
        print(played(Path(name)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
