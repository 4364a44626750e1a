"""What goes out when: an account of alarms that are new or wait for quiet hours to end, and of needs that
stand too long. It has no clock and sends nothing.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from v2g_edge.console.notify.settings import Quiet, Settings

LINES_MAX: Final = 40
"""Lines of one message; a storm of events is counted beyond."""
WAITING_MAX: Final = 500
SEEN_MAX: Final = 5_000
"""More than the daemon keeps (1,000)."""
HOUR_S: Final = 3_600.0


class Message(NamedTuple):
    """One message to people. ``escalated``: it goes to the second circle."""

    subject: str
    lines: tuple[str, ...]
    events: tuple[dict[str, Any], ...] = ()
    escalated: bool = False


class Gatherer:
    """Takes events and needs, and gives messages when they are due."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: dict[tuple[Any, ...], None] = {}
        self._waiting: deque[dict[str, Any]] = deque(maxlen=WAITING_MAX)
        self._lost = 0
        self._first_s = 0.0
        self._sent_s: deque[float] = deque()
        self._escalated: set[str] = set()
        self.site = "depot"
        self.zone = "UTC"

    def forget(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Count these events as known."""
        for event in events:
            self._remember(event)

    def observe(self, events: Iterable[Mapping[str, Any]], now_s: float) -> None:
        """Take the daemon's recent events; each counts once."""
        for event in events:
            if not self._remember(event) or event.get("severity") not in self._settings.severities:
                continue
            if not self._waiting:
                self._first_s = now_s
            if len(self._waiting) == WAITING_MAX:
                self._lost += 1
            self._waiting.append(dict(event))

    def due(self, now_s: float, wall_s: float) -> Message | None:
        """The message that is due now, if any; it counts as sent."""
        if not self._waiting or now_s - self._first_s < self._settings.gather_s:
            return None
        urgent = {str(each.get("severity")) for each in self._waiting} & set(self._settings.quiet.severities)
        if is_quiet(self._settings.quiet, self.zone, wall_s) and not urgent:
            return None
        while self._sent_s and now_s - self._sent_s[0] >= HOUR_S:
            self._sent_s.popleft()
        if len(self._sent_s) >= self._settings.most_per_hour:
            return None
        self._sent_s.append(now_s)
        return self._message()

    def escalate(self, needs: Iterable[Mapping[str, Any]], wall_s: float) -> Message | None:
        """A message for needs of a person that stand too long; each goes once."""
        old, present = [], set()
        for need in needs:
            key = f"{need.get('kind')}:{','.join(need.get('subjects', ()))}"
            present.add(key)
            since = need.get("since_wall_s")
            if need.get("waits") or since is None or wall_s - since < self._settings.escalate_after_s:
                continue
            if key not in self._escalated:
                self._escalated.add(key)
                old.append(need)
        self._escalated &= present
        if not old:
            return None
        lines = tuple(_need_line(need, self.zone) for need in old[:LINES_MAX])
        return Message(f"{self.site}: {len(old)} still need a person", lines, escalated=True)

    def _message(self) -> Message:
        events = tuple(self._waiting)
        self._waiting.clear()
        lost, self._lost = self._lost, 0
        lines = [_line(event, self.zone) for event in events[:LINES_MAX]]
        more = len(events) - len(lines) + lost
        if more:
            lines.append(f"and {more} more; see `v2g-edge events`")
        worst = max(events, key=lambda event: ("warning", "alarm", "trip").index(str(event["severity"])))
        head = f"{worst['kind'].replace('_', ' ')} ({worst['subject']})"
        rest = f", and {len(events) - 1 + lost} more" if len(events) + lost > 1 else ""
        return Message(f"{self.site}: {worst['severity']}: {head}{rest}", tuple(lines), events)

    def _remember(self, event: Mapping[str, Any]) -> bool:
        key = tuple(event.get(name) for name in ("wall_s", "kind", "subject", "text"))
        if key in self._seen:
            return False
        self._seen[key] = None
        while len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        return True


def is_quiet(quiet: Quiet, zone: str, wall_s: float) -> bool:
    """Whether quiet hours run; an end before the start is on the next day."""
    if not quiet.start:
        return False
    now = datetime.fromtimestamp(wall_s, UTC).astimezone(ZoneInfo(zone)).strftime("%H:%M")
    if quiet.start <= quiet.end:
        return quiet.start <= now < quiet.end
    return now >= quiet.start or now < quiet.end


def _clock(wall_s: float, zone: str) -> str:
    return datetime.fromtimestamp(wall_s, UTC).astimezone(ZoneInfo(zone)).strftime("%a %H:%M")


def _line(event: Mapping[str, Any], zone: str) -> str:
    head = f"{_clock(event['wall_s'], zone)} {event['severity']} {event['subject']}"
    return f"{head}: {event['text']} ({event['kind']})"


def _need_line(need: Mapping[str, Any], zone: str) -> str:
    remedy = f" What to do: {need['remedy']}" if need.get("remedy") else ""
    since = _clock(need["since_wall_s"], zone)
    return f"{', '.join(need['subjects'])}: {need['text']}, since {since}.{remedy}"
