"""What an aggregator asks of a depot: a regulation signal every few seconds, and events with notice."""

import random
from typing import Final

from msgspec import Struct

from v2g_edge.model.service import CapacityLimit

SOURCE: Final = "aggregator"
KEPT: Final = 0.985
NEWS: Final = 0.07
"""From one value to the next a signal keeps so much of itself, and so much is new: swings take minutes."""


class Silence(Struct, frozen=True):
    """No signal reaches the depot from ``from_wall_s`` to ``until_wall_s``."""

    from_wall_s: float
    until_wall_s: float


class RegulationSignal(Struct, frozen=True):
    """A neutral signal: as much up as down over time.

    Attributes:
        service: The service of the site that it is for.
        from_wall_s: Its first value.
        until_wall_s: It ends then.
        every_s: A value each so often.
        seed: Of its course.
        silences: When none of it arrives.
    """

    service: str
    from_wall_s: float
    until_wall_s: float
    every_s: float = 2.0
    seed: int = 1
    silences: tuple[Silence, ...] = ()


class DemandEvent(Struct, frozen=True):
    """The depot may draw at most ``power_w``; announced ``notice_s`` before it begins."""

    power_w: float
    from_wall_s: float
    until_wall_s: float
    notice_s: float = 600.0


class Aggregator(Struct, frozen=True):
    """Everything that one aggregator will ask."""

    signals: tuple[RegulationSignal, ...] = ()
    events: tuple[DemandEvent, ...] = ()


class Asked(Struct, frozen=True):
    """What it asks at an instant: by service the value, when it was sent and how often; limits so far."""

    signals: tuple[tuple[str, float, float, float], ...] = ()
    limits: tuple[CapacityLimit, ...] = ()


class Dispatcher:
    """Plays an aggregator."""

    def __init__(self, aggregator: Aggregator) -> None:
        self._aggregator = aggregator
        self._courses = {each.service: course_of(each) for each in aggregator.signals}

    def asked(self, wall_s: float) -> Asked:
        """The newest value of each signal that has arrived, and the events announced and not over."""
        found = []
        for signal in self._aggregator.signals:
            sent = self._sent(signal, wall_s)
            if sent is not None:
                value = self._courses[signal.service][sent]
                found.append(
                    (signal.service, value, signal.from_wall_s + sent * signal.every_s, signal.every_s)
                )
        limits = tuple(
            CapacityLimit("import", each.power_w, each.from_wall_s, each.until_wall_s, SOURCE)
            for each in self._aggregator.events
            if each.from_wall_s - each.notice_s <= wall_s < each.until_wall_s
        )
        return Asked(tuple(found), limits)

    def value_at(self, service: str, wall_s: float) -> float:
        """What the aggregator wants, whether or not it arrives."""
        signal = next(each for each in self._aggregator.signals if each.service == service)
        course = self._courses[service]
        place = int((wall_s - signal.from_wall_s) // signal.every_s)
        return course[place] if 0 <= place < len(course) else 0.0

    def _sent(self, signal: RegulationSignal, wall_s: float) -> int | None:
        """Number of the newest value that has arrived by ``wall_s``."""
        place = min(
            int((wall_s - signal.from_wall_s) // signal.every_s), len(self._courses[signal.service]) - 1
        )
        while place >= 0:
            at_s = signal.from_wall_s + place * signal.every_s
            if not any(each.from_wall_s <= at_s < each.until_wall_s for each in signal.silences):
                return place
            place -= 1
        return None


def course_of(signal: RegulationSignal) -> tuple[float, ...]:
    """All its values, −1 to 1, with their mean taken out: what is asked up is asked down again."""
    dice = random.Random(signal.seed)
    count = int((signal.until_wall_s - signal.from_wall_s) // signal.every_s)
    value, values = 0.0, []
    for _ in range(count):
        value = KEPT * value + dice.gauss(0.0, NEWS)
        values.append(value)
    mean = sum(values) / count if count else 0.0
    return tuple(min(max(value - mean, -1.0), 1.0) for value in values)
