"""The OCPP-J message machine: frames in, events and frames out. No socket, no clock, no wait.

Both sides use it: ``Machine("2.1", "central", …)`` in our central system, ``Machine("2.1", "station", …)`` in
the simulator.

    machine.receive(frame, now_s)             a frame arrived
    machine.call(action, payload, now_s)      → message id; queued until the line is free
    machine.send(action, payload)             unconfirmed (2.1)
    machine.answer(id, payload), machine.refuse(id, code, description)
    machine.tick(now_s)                       deadlines; call it at ``next_deadline_s()`` at the latest
    machine.events(), machine.frames()        what came of it: take both after every step

Duties of the owner: answer every ``CallIn``; send ``frames()`` in order, as text; call ``lost(…)`` when the
link dies. A handler may call out before it answers: the two directions do not wait for each other.
"""

from collections.abc import Callable
from typing import Any, Final

from v2g_edge.field.ocpp.wire import frames
from v2g_edge.field.ocpp.wire.events import (
    Answered,
    AnswerRejected,
    CallIn,
    Duplicate,
    Event,
    Expired,
    MessageId,
    Refused,
    SendIn,
    Stray,
)
from v2g_edge.field.ocpp.wire.messages import SENDS, Role, Version, incoming_actions, known_actions
from v2g_edge.field.ocpp.wire.queue import ROUTINE, SAFETY, SETPOINT, Outgoing, Queue
from v2g_edge.field.ocpp.wire.schemas import SchemaProblem, may_be_empty, problems

TIMEOUT_S: Final = 30.0
"""Default deadline of a call: stations answer within 30 s or not at all (six independent ones, reference
ocpp.md).
"""

SAFETY_PATIENCE_S: Final = 0.5
"""How long a safety call waits for the answer to the call before it. A local network answers in
milliseconds; a station that does not may not hold up a stop. The specifications leave the time-out of a
call to its sender.
"""

SETPOINT_PATIENCE_S: Final = 3.0
"""The same for a lease: some stations never answer an action they do not know, and a lease may not run out
meanwhile.
"""

_PATIENCE_S: Final = {SAFETY: SAFETY_PATIENCE_S, SETPOINT: SETPOINT_PATIENCE_S}

SETTLED_MAX: Final = 32
"""Calls remembered after their end, to tell late and duplicate answers from strays."""

OPEN_MAX: Final = 16
"""Unanswered calls of the peer. It may have one; stations in the field were seen to send a few at once
after an outage.
"""


class Machine:
    """See the module. ``handles`` are the incoming actions that the owner answers; None: all that its role
    may get.

    ``strict``: what violates the schema is refused (CALLERROR, 2.1 CALLRESULTERROR); otherwise it is passed
    on with its ``problems``. ``prefix`` begins every message id of this machine; ids are at most 36
    characters.
    """

    __slots__ = (
        "_events", "_frames", "_handles", "_known", "_line", "_next", "_octets", "_open", "_prefix", "_queue",
        "_settled", "role", "strict",
        "version",
    )  # fmt: skip

    def __init__(
        self,
        version: Version,
        role: Role,
        *,
        prefix: str = "",
        strict: bool = True,
        handles: frozenset[str] | None = None,
    ) -> None:
        self.version = version
        self.role = role
        self.strict = strict
        self._known = known_actions(version)
        self._handles = incoming_actions(version, role) if handles is None else handles
        self._prefix = prefix[:20]
        self._next = 0
        self._octets = 0
        self._events: list[Event] = []
        self._frames: list[bytes] = []
        self._queue = Queue()
        self._line: Outgoing | None = None
        self._open: dict[MessageId, str] = {}
        self._settled: dict[str, tuple[str, str]] = {}

    # What came of it

    def events(self) -> list[Event]:
        """Events since the last call, oldest first."""
        taken, self._events = self._events, []
        return taken

    def frames(self) -> list[bytes]:
        """Frames to send since the last call, UTF-8 JSON, to go out in this order."""
        taken, self._frames = self._frames, []
        return taken

    def next_deadline_s(self) -> float | None:
        """When ``tick`` has something to do; None when nothing is outstanding."""
        return self._line.deadline_s if self._line else None

    def idle(self) -> bool:
        """Whether no call of ours is outstanding or queued."""
        return self._line is None and not self._queue

    # Our side calls

    def call(
        self,
        action: str,
        payload: dict[str, Any],
        now_s: float,
        *,
        priority: int = ROUTINE,
        key: str = "",
        timeout_s: float = TIMEOUT_S,
        still: Callable[[], bool] | None = None,
        message_id: str = "",
        encoded: bytes = b"",
    ) -> str:
        """Queue a call and return its message id (``message_id`` where it is repeated under its own).

        ``encoded`` is the payload as JSON, from a caller that has checked that it conforms;
        "" where it is to be checked.

        A queued call of the same ``key`` (not "") is replaced; one
        whose ``still`` says no when its turn comes is left out ("superseded").

        Raises ValueError when the payload violates the schema: that is our own mistake, never the peer's.
        """
        if not encoded and (wrong := problems(self.version, action, "request", payload)):
            raise ValueError(f"{action} ({self.version}) {wrong[0].where}: {wrong[0].what}")
        self._next += 1
        out_id = message_id or f"{self._prefix}{self._next}"
        out = Outgoing(out_id, action, payload, priority, key, timeout_s, still, encoded)
        for gone, why in self._queue.put(out):
            self._events.append(Expired(gone.id, gone.action, why, sent=False))
        if priority in _PATIENCE_S and self._line is not None and self._line.priority > priority:
            deadline_s = now_s + _PATIENCE_S[priority]
            if deadline_s < self._line.deadline_s:
                self._line.deadline_s, self._line.why = deadline_s, "gave_way"
        self._pump(now_s)
        return out.id

    def send(self, action: str, payload: dict[str, Any]) -> None:
        """Send an unconfirmed message (2.1). ValueError when the version has none of this name or the
        payload is wrong.
        """
        if action not in SENDS[self.version]:
            raise ValueError(f"{action} is not an unconfirmed message of {self.version}")
        if wrong := problems(self.version, action, "request", payload):
            raise ValueError(f"{action} ({self.version}) {wrong[0].where}: {wrong[0].what}")
        self._next += 1
        self._frames.append(frames.encode([frames.SEND, f"{self._prefix}{self._next}", action, payload]))

    def tick(self, now_s: float) -> None:
        """Give up the outstanding call when its deadline has passed, and send the next one."""
        line = self._line
        if line is not None and now_s >= line.deadline_s:
            self._line = None
            self._settle(line, "expired")
            self._events.append(Expired(line.id, line.action, line.why, sent=True))
            self._pump(now_s)

    def lost(self) -> None:
        """The link is gone: nothing outstanding or queued will be answered, nothing open can be."""
        if self._line is not None:
            self._events.append(Expired(self._line.id, self._line.action, "link_lost", sent=True))
        self._events.extend(
            Expired(out.id, out.action, "link_lost", sent=False) for out in self._queue.drain()
        )
        self._line = None
        self._open.clear()
        self._frames.clear()

    # Our side answers

    def answer(self, message_id: MessageId, payload: dict[str, Any]) -> None:
        """Answer a ``CallIn``. ValueError when the payload violates the schema; the call stays open then."""
        action = self._open.get(message_id)
        if action is None:
            return  # the link was lost in between, or the peer repeated an id
        if (payload or not may_be_empty(self.version, action)) and (
            wrong := problems(self.version, action, "response", payload)
        ):
            raise ValueError(f"{action}Response ({self.version}) {wrong[0].where}: {wrong[0].what}")
        del self._open[message_id]
        self._frames.append(frames.encode([frames.CALLRESULT, message_id, payload]))

    def refuse(self, message_id: MessageId, code: str, description: str = "") -> None:
        """Answer a ``CallIn`` with a CALLERROR; ``code`` in its 2.x spelling."""
        if self._open.pop(message_id, None) is not None:
            self._error(frames.CALLERROR, message_id, code, description)

    # The peer's frames

    def receive(self, frame: str | bytes, now_s: float) -> None:
        """Take one frame. Never raises; whatever is wrong with it becomes an event and, where due, an
        error to the peer.
        """
        line = self._line
        if line is not None and frame in line.bare and may_be_empty(self.version, line.action):
            self._line = None
            self._settle(line, "settled")
            self._events.append(Answered(line.id, line.action, {}))
            if self._queue:
                self._pump(now_s)
            return
        try:
            parts = frames.decode(frame, strict=self.strict)
        except frames.Unreadable as fault:
            self._events.append(Stray(fault.why))
            if self.version != "1.6" or frames.looks_like_call(frame):
                self._error(frames.CALLERROR, fault.message_id, fault.code, fault.why)
            return
        self._octets = len(frame)
        _RECEIVERS[parts[0]](self, parts, now_s)

    def _on_call(self, parts: list[Any], now_s: float) -> None:
        _, message_id, action, payload = parts
        if (refusal := self._refusal(action)) is not None:
            self._error(frames.CALLERROR, message_id, *refusal)
            return
        wrong = problems(self.version, action, "request", payload, self._octets)
        if wrong and (self.strict or type(payload) is not dict):
            self._error(frames.CALLERROR, message_id, wrong[0].code, _told(wrong))
            return
        if message_id in self._open:
            self._events.append(Stray(f"{action} repeated while its answer is due"))
            return  # the one answer serves both
        if len(self._open) >= OPEN_MAX:
            self._error(
                frames.CALLERROR,
                message_id,
                "RpcFrameworkError",
                f"{OPEN_MAX} calls are unanswered; one is allowed",
            )
            return
        self._open[message_id] = action
        self._events.append(CallIn(message_id, action, payload, wrong))

    def _refusal(self, action: Any) -> tuple[str, str] | None:
        if type(action) is not str:
            return "RpcFrameworkError", "the action must be a string"
        if action not in self._known:
            return "NotImplemented", f"{action[:50]} is not an action of OCPP {self.version}"
        if action not in self._handles:
            return "NotSupported", f"{action} is not supported here"
        return None

    def _on_send(self, parts: list[Any], now_s: float) -> None:
        _, _, action, payload = parts
        if (
            self.version != "2.1"
            or type(action) is not str
            or action not in SENDS["2.1"]
            or type(payload) is not dict
        ):
            self._events.append(Stray(f"unconfirmed message {frames.told(action, 50)!r} is not known"))
            return
        wrong = problems(self.version, action, "request", payload, self._octets)
        if wrong and self.strict:
            self._events.append(Stray(f"{action}: {_told(wrong)}"))
            return
        self._events.append(SendIn(action, payload, wrong))

    def _on_result(self, parts: list[Any], now_s: float) -> None:
        _, message_id, payload = parts
        found = self._match(message_id, now_s)
        if found is None:
            return
        out_id, action, late = found
        wrong = problems(self.version, action, "response", payload, self._octets)
        if type(payload) is not dict or (wrong and self.strict):
            if self.version == "2.1":
                self._error(frames.CALLRESULTERROR, out_id, wrong[0].code, _told(wrong))
            self._events.append(Refused(out_id, action, "FormatViolation", _told(wrong), late))
            return
        self._events.append(Answered(out_id, action, payload, wrong, late))

    def _on_error(self, parts: list[Any], now_s: float) -> None:
        found = self._match(parts[1], now_s)
        if found is not None:
            self._events.append(
                Refused(
                    found[0],
                    found[1],
                    frames.told(parts[2], 64),
                    frames.told(parts[3], frames.DESCRIPTION_MAX),
                    found[2],
                )
            )

    def _on_result_error(self, parts: list[Any], now_s: float) -> None:
        self._events.append(
            AnswerRejected(parts[1], frames.told(parts[2], 64), frames.told(parts[3], frames.DESCRIPTION_MAX))
        )

    # Inside

    def _match(self, message_id: MessageId, now_s: float) -> tuple[str, str, bool] | None:
        """The call that an answer belongs to, as (id, action, late); tells what it is otherwise."""
        key = str(message_id)
        line = self._line
        if line is not None and line.id == key:
            self._line = None
            self._settle(line, "settled")
            self._pump(now_s)
            return key, line.action, False
        if key not in self._settled:
            self._events.append(Stray(f"answer to an unknown call {key[:40]!r}"))
            return None
        action, how = self._settled[key]
        if how == "expired":
            self._settled[key] = (action, "settled")
            return key, action, True
        self._events.append(Duplicate(message_id, action))
        return None

    def _settle(self, line: Outgoing, how: str) -> None:
        self._settled[line.id] = (line.action, how)
        if len(self._settled) > SETTLED_MAX:
            del self._settled[next(iter(self._settled))]

    def _pump(self, now_s: float) -> None:
        while self._line is None and (out := self._queue.take()) is not None:
            if out.still is not None and not out.still():
                self._events.append(Expired(out.id, out.action, "superseded", sent=False))
                continue
            out.deadline_s = now_s + out.timeout_s
            out.bare = (f'[3,"{out.id}",{{}}]', f'[3, "{out.id}", {{}}]')
            self._line = out
            self._frames.append(
                frames.encode_call(out.id, out.action, out.encoded)
                if out.encoded
                else frames.encode([frames.CALL, out.id, out.action, out.payload])
            )
            if self._queue.holds_safety():
                out.deadline_s = min(out.deadline_s, now_s + SAFETY_PATIENCE_S)

    def _error(self, kind: int, message_id: MessageId, code: str, description: str) -> None:
        spelled = frames.error_code(self.version, code)
        self._frames.append(
            frames.encode([kind, message_id, spelled, description[: frames.DESCRIPTION_MAX], {}])
        )


_RECEIVERS: Final[dict[int, Callable[[Machine, list[Any], float], None]]] = {
    frames.CALL: Machine._on_call,
    frames.CALLRESULT: Machine._on_result,
    frames.CALLERROR: Machine._on_error,
    frames.CALLRESULTERROR: Machine._on_result_error,
    frames.SEND: Machine._on_send,
}


def _told(wrong: tuple[SchemaProblem, ...]) -> str:
    return "; ".join(f"{problem.where or 'payload'}: {problem.what}" for problem in wrong)
