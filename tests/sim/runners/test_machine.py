"""A state machine of Hypothesis drives the product's pure tick on the physics: faults begin and end as it
likes, judges look on.

After each run the faults stop, and within the time that proof takes nothing may be held and everybody in need
must charge.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace

from sim.runners.pure import PureRun, slowed
from sim.scenarios.fault import Fault, FaultKind
from sim.scenarios.night import night
from sim.scenarios.scenario import Scenario

TICK_S = 10.0
HOURS = 4.0

STATION: tuple[FaultKind, ...] = (
    "ignore", "overdraw", "reject", "reject_negative", "offline", "mute", "quiet_soc", "wrong_sign", "reboot"
)  # fmt: skip
ELSEWHERE: tuple[tuple[FaultKind, str], ...] = (
    ("meter_silent", "grid_meter"), ("meter_nan", "grid_meter"), ("meter_stuck", "grid_meter"),
    ("contact_silent", "grid_relay"),
    ("contact_open", "grid_relay"), ("stall", "controller"), ("restart", "controller"),
    ("clock_unsynced", "controller"),
    ("cloud_discharge", "cloud"), ("cloud_charge", "cloud"), ("cloud_flap", "cloud"),
    ("operator_stop", "operator"),
    ("operator_hold", "operator"),
)  # fmt: skip


def depot() -> Scenario:
    """Three buses from the beginning on, who leave after the run; each feeder carries its one worst
    charger and some more.
    """
    base = night(5, chargers=3, quiet=True)
    visits = tuple(
        replace(
            visit,
            arrives_wall_s=base.start_wall_s,
            departs_wall_s=base.start_wall_s + 8 * 3_600.0,
            soc_pct=70.0,
        )
        for visit in base.visits
    )
    limits_w = {"main": 220_000.0, "yard": 100_000.0}
    feeders = tuple(
        replace(f, import_limit_w=limits_w[f.id], export_limit_w=limits_w[f.id]) for f in base.site.feeders
    )
    site = replace(base.site, feeders=feeders)
    return slowed(replace(base, site=site, visits=visits, duration_s=HOURS * 3_600.0), TICK_S)


class DepotMachine(RuleBasedStateMachine):
    """Faults are drawn one by one while time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.depot = PureRun(depot(), plans=False)

    @initialize()
    def come_up(self) -> None:
        """Two minutes until all is known."""
        self._pass(12)

    @rule(kind=st.sampled_from(STATION), n=st.integers(1, 3), ticks=st.integers(1, 30))
    def break_station(self, kind: FaultKind, n: int, ticks: int) -> None:
        """Something is wrong at a station for a while."""
        self._break(kind, f"CS{n:02}", ticks, 1.3 if kind == "overdraw" else 0.0)

    @rule(what=st.sampled_from(ELSEWHERE), ticks=st.integers(1, 30))
    def break_elsewhere(self, what: tuple[FaultKind, str], ticks: int) -> None:
        """Something is wrong at a meter, a contact, the controller or the cloud, or somebody orders
        something.
        """
        self._break(what[0], what[1], ticks, 0.0)

    @rule(ticks=st.integers(1, 20))
    @precondition(lambda self: self.depot.depot.wall_s < self.depot.scenario.end_wall_s - 3_600.0)
    def pass_time(self, ticks: int) -> None:
        """Time goes on."""
        self._pass(ticks)

    def teardown(self) -> None:
        """Nothing was broken."""
        self._pass(6)
        self.depot.panel.finish(self.depot.depot)
        assert self.depot.panel.violations == []

    def _break(self, kind: FaultKind, target: str, ticks: int, value: float) -> None:
        wall_s = self.depot.depot.wall_s
        if any(
            fault.kind == kind and fault.target == target and fault.end_wall_s > wall_s
            for fault in self.depot.scenario.faults
        ):
            return
        self.depot.inject_fault(Fault(kind, target, wall_s, ticks * TICK_S, value))

    def _pass(self, ticks: int) -> None:
        for _ in range(ticks):
            self.depot.tick()


TestDepotMachine = DepotMachine.TestCase
TestDepotMachine.settings = settings(
    max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
