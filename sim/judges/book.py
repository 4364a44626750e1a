"""Where judges write what was broken: conditions over time, each of which becomes one violation."""

from msgspec import Struct


class Violation(Struct, frozen=True):
    """``rule`` broken at ``place`` from ``wall_s`` on, for ``lasted_s``; ``found`` is the worst seen, in
    ``unit``.
    """

    rule: str
    place: str
    wall_s: float
    lasted_s: float
    found: float
    allowed: float
    unit: str


class Book:
    """Conditions over time: one that lasts longer than its grace becomes one violation, however long it
    goes on.
    """

    def __init__(self) -> None:
        self.follows: dict[tuple[str, str], float] = {}
        """Bad conditions by rule and place, since when. While there are none, a look that finds nothing bad
        changes nothing: the judges leave it out, for there are hundreds a played second.
        """
        self._open: dict[tuple[str, str], Violation] = {}
        self._closed: list[Violation] = []

    def note(
        self,
        rule: str,
        place: str,
        wall_s: float,
        bad: bool,
        grace_s: float,
        found: float,
        allowed: float,
        unit: str,
    ) -> None:
        """One look at one condition."""
        if not bad and not self.follows:
            return
        key = (rule, place)
        if not bad:
            if key in self.follows:
                del self.follows[key]
                if key in self._open:
                    self._closed.append(self._open.pop(key))
            return
        since = self.follows.setdefault(key, wall_s)
        if wall_s - since < grace_s:
            return
        worst = self._open.get(key)
        if worst is not None and abs(worst.found - allowed) > abs(found - allowed):
            found = worst.found
        self._open[key] = Violation(rule, place, since, wall_s - since, found, allowed, unit)

    def all(self) -> list[Violation]:
        """Everything so far, in order of time."""
        return sorted([*self._closed, *self._open.values()], key=lambda v: (v.wall_s, v.rule, v.place))
