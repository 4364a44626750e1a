"""All judges of one run together: of the physics, of what the controller says, and of what it costs in
availability.
"""

from collections.abc import Callable

from sim.judges.availability import Availability
from sim.judges.book import Violation
from sim.judges.checkers import Checkers, Departure
from sim.judges.delivery import Deliveries
from sim.judges.effects import Effects
from sim.judges.report_checks import ReportChecks
from sim.judges.reported import Told
from sim.judges.rights import Rights
from sim.scenarios.fault import Fault
from sim.scenarios.scenario import Scenario
from sim.scenarios.visit import Visit
from sim.world.depot import Depot
from sim.world.physics import Battery, Charger


class Panel:
    """Give ``look`` to ``Depot.watchers``; tell of arrivals and departures; ``hear`` each tick; ``finish``
    once at the end.

    ``heard_wall_s`` tells when a charger last heard its controller; None: never.
    """

    def __init__(self, scenario: Scenario, heard_wall_s: Callable[[str], float | None]) -> None:
        self._effects = effects = Effects(scenario)
        self.checkers = Checkers(scenario, heard_wall_s, effects)
        self.report_checks = ReportChecks(scenario, self.checkers.book, effects)
        self.availability = Availability(scenario, effects)
        self.rights = Rights(scenario, self.checkers.book, effects)
        self.deliveries = Deliveries(scenario)

    def add_fault(self, fault: Fault) -> None:
        """One more fault, of a run that is made up as it goes."""
        self._effects.add(fault)

    def arrived(self, visit: Visit, charger: Charger, wall_s: float) -> None:
        """A vehicle was plugged in."""
        self.checkers.arrived(visit, charger, wall_s)
        self.report_checks.arrived(visit)
        self.availability.arrived(visit, wall_s)

    def left(self, visit: Visit, battery: Battery, wall_s: float) -> None:
        """A vehicle was unplugged."""
        self.checkers.left(visit, battery, wall_s)
        self.report_checks.left(visit, battery, wall_s)
        self.availability.left(visit)

    def hear(self, told: Told) -> None:
        """One tick of the controller."""
        self.report_checks.hear(told)
        self.availability.hear(told)

    def look(self, depot: Depot, dt_s: float) -> None:
        """Judge the present instant."""
        self.checkers.look(depot, dt_s)
        self.report_checks.look(depot, dt_s)
        self.rights.look(depot, dt_s)
        self.availability.look(depot, dt_s)
        self.deliveries.look(depot, dt_s)

    def finish(self, depot: Depot) -> None:
        """The run is over."""
        self.report_checks.finish(depot)

    @property
    def violations(self) -> list[Violation]:
        """Everything that was broken, in order of time."""
        return self.checkers.book.all()

    @property
    def departures(self) -> list[Departure]:
        """How each vehicle left."""
        return self.checkers.departures
