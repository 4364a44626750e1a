"""The notifier's loop: asks the daemon, and sends what is due by mail and webhook until it is delivered."""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from v2g_edge import tasks
from v2g_edge.console.daemon import Daemon, DaemonDown, DaemonRefuses
from v2g_edge.console.notify.broker import Entities
from v2g_edge.console.notify.channels import NotSent, post_webhook, send_mail
from v2g_edge.console.notify.gather import Gatherer, Message
from v2g_edge.console.notify.settings import Settings, SettingsError
from v2g_edge.model.ports import ClockPort

log = structlog.get_logger()

EVERY_S: Final = 2.0
DOWN_S: Final = 60.0
"""A daemon that restarts is back within this; longer is an alarm of its own."""
QUEUE_MAX: Final = 100
RETRY_S: Final = (30.0, 900.0)
KEEP_S: Final = 10.0


class Way:
    """One way out. Messages wait in order; the oldest is dropped, with a line in the log, when too many
    wait.
    """

    def __init__(self, name: str, send: Callable[[Message], None], clock: ClockPort) -> None:
        self._name, self._send, self._clock = name, send, clock
        self._queue: deque[Message] = deque()
        self._arrived = asyncio.Event()

    def put(self, message: Message) -> None:
        """Take a message to be sent."""
        if len(self._queue) >= QUEUE_MAX:
            dropped = self._queue.popleft()
            log.error("notification_dropped", way=self._name, subject=dropped.subject)
        self._queue.append(message)
        self._arrived.set()

    async def run(self) -> None:
        """Send what waits, again and again until it is delivered."""
        wait_s = RETRY_S[0]
        while True:
            await self._arrived.wait()
            if not self._queue:
                self._arrived.clear()
                continue
            message = self._queue[0]
            try:
                await asyncio.to_thread(self._send, message)
            except (NotSent, SettingsError) as fault:
                log.error("notification_not_sent", way=self._name, fault=str(fault), again_in_s=wait_s)
                await self._clock.sleep_s(wait_s)
                wait_s = min(wait_s * 2.0, RETRY_S[1])
                continue
            except Exception as fault:  # noqa: BLE001 - whatever it is, one message must not hold up the next alarms
                log.error("notification_dropped", way=self._name, subject=message.subject, fault=repr(fault))
            else:
                log.info("notification_sent", way=self._name, subject=message.subject)
            wait_s = RETRY_S[0]
            if self._queue and self._queue[0] is message:
                self._queue.popleft()


class Mark:
    """Until when events were looked at, in a small file: a restart neither repeats nor leaves out alarms."""

    def __init__(self, state: Path) -> None:
        self._file = state / "notify-seen.json"
        self._written_s = 0.0

    def read(self, wall_s: float) -> float:
        """The wall time up to which events are known; now, where there is no file yet."""
        try:
            seen_s = float(msgspec.json.decode(self._file.read_bytes(), type=float))
        except (OSError, msgspec.DecodeError, ValueError):
            return wall_s
        return min(seen_s, wall_s)  # a clock that was set back must not hide what comes now

    def write(self, wall_s: float) -> None:
        """Keep it, at most once in ten seconds. A disk that refuses costs a repetition after the next
        start.
        """
        if abs(wall_s - self._written_s) < KEEP_S:
            return
        self._written_s = wall_s
        try:
            fresh = self._file.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(wall_s))
            fresh.replace(self._file)
        except OSError as error:
            log.warning("notification_mark_not_kept", fault=str(error))


class Notifier:
    """Joins the daemon's events to the ways out."""

    def __init__(self, settings: Settings, daemon: Daemon, clock: ClockPort, state: Path) -> None:
        self._daemon, self._clock = daemon, clock
        self._mark = Mark(state)
        self._gatherer = Gatherer(settings)
        self._ways = []
        mail, hook = settings.mail, settings.webhook
        if mail is not None:
            self._ways.append(Way("mail", lambda message: send_mail(mail, message), clock))
        if hook is not None:
            self._ways.append(
                Way("webhook", lambda message: post_webhook(hook, self._gatherer.site, message), clock)
            )
        broker = settings.home_assistant
        self._entities = Entities(broker, daemon) if broker is not None else None
        self._seen_s = clock.now_s()
        self._is_down = False

    async def run(self) -> None:
        """Run until cancelled."""
        running = [tasks.keep(f"notify {number}", way.run) for number, way in enumerate(self._ways)]
        if self._entities is not None:
            running.append(tasks.keep("notify home assistant", self._entities.run))
        known = False
        try:
            while True:
                known = await self._look(known=known) or known
                await self._clock.sleep_s(EVERY_S)
        finally:
            await tasks.end(*running)

    async def _look(self, *, known: bool) -> bool:
        """One turn; True once the daemon has answered. Events of before the last turn of the run before
        are no news.
        """
        now_s = self._clock.now_s()
        try:
            status = await self._daemon.ask("status")
            events = (await self._daemon.ask("events"))["events"]
        except (DaemonDown, DaemonRefuses) as fault:
            self._note_down(now_s, str(fault))
            return False
        self._seen_s = now_s
        self._gatherer.site, self._gatherer.zone = str(status["site"]), str(status["timezone"])
        if self._is_down:
            self._is_down = False
            self._send(Message(f"{self._gatherer.site}: the daemon answers again", ("All is as before.",)))
        wall_s = float(status["wall_s"])
        if not known:
            before_s = self._mark.read(wall_s)
            self._gatherer.forget([event for event in events if event["wall_s"] <= before_s])
        self._gatherer.observe(events, now_s)
        self._mark.write(wall_s)
        needs: list[dict[str, Any]] = status.get("attention", [])
        for message in (self._gatherer.due(now_s, wall_s), self._gatherer.escalate(needs, wall_s)):
            if message is not None:
                self._send(message)
        return True

    def _note_down(self, now_s: float, fault: str) -> None:
        if self._is_down or now_s - self._seen_s < DOWN_S:
            return
        self._is_down = True
        lines = (fault, "Chargers fall to their default profiles until it is back.")
        self._send(Message(f"{self._gatherer.site}: alarm: the daemon does not answer", lines))

    def _send(self, message: Message) -> None:
        for way in self._ways:
            way.put(message)
