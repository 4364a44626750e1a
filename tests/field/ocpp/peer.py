"""A charging station for tests: our machine in the station's role over a real WebSocket, answering as the
test scripts it.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from v2g_edge.field.ocpp.wire.events import Answered, CallIn, Event, Expired, Refused
from v2g_edge.field.ocpp.wire.machine import Machine
from v2g_edge.field.ocpp.wire.messages import SUBPROTOCOL, Version

AT = "2026-03-01T12:00:00.000Z"
AT_S = 1_772_366_400.0

Script = Callable[[dict[str, Any]], dict[str, Any] | None]


class Clock:
    """A clock that stands where the test puts it; ``sleep_s`` runs ``scale`` times the loop's pace."""

    def __init__(self, wall_s: float = AT_S, scale: float = 1.0) -> None:
        self.now, self.wall, self.scale = 5_000.0, wall_s, scale

    def now_s(self) -> float:
        return self.now

    def wall_s(self) -> float:
        return self.wall

    def synced(self) -> bool:
        return True

    async def sleep_s(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s / self.scale)

    def advance(self, duration_s: float) -> None:
        self.now += duration_s
        self.wall += duration_s


async def until(condition: Callable[[], Any], timeout_s: float = 30.0) -> None:
    """Wait for a condition, without guessing how long it takes; the limit only ends a run that hangs, on a
    busy machine too.
    """
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.002)


ACCEPTED: dict[str, Any] = {"status": "Accepted"}
ANSWERS: dict[str, Any] = {
    "SetVariables": lambda p: {
        "setVariableResult": [
            {"attributeStatus": "Accepted", "component": d["component"], "variable": d["variable"]}
            for d in p["setVariableData"]
        ]
    },
}


class Peer:
    """``calls`` are all calls it got; ``scripts`` answer them by action (None: no answer at all), else
    "Accepted".

    ``profiles`` are those it accepted, by id; it reports them when it is asked.
    """

    def __init__(self, ws: ClientConnection, version: Version) -> None:
        self.ws = ws
        self.machine = Machine(version, "station", prefix="s")
        self.calls: list[CallIn] = []
        self.profiles: dict[int, dict[str, Any]] = {}
        self.scripts: dict[str, Script] = dict(ANSWERS)
        self._outcomes: dict[str, asyncio.Future[Event]] = {}
        self._task = asyncio.get_running_loop().create_task(self._run())

    @classmethod
    async def dial(cls, port: int, identity: str, version: Version, **options: Any) -> "Peer":
        scheme = "wss" if "ssl" in options else "ws"
        ws = await connect(
            f"{scheme}://localhost:{port}/ocpp/{identity}",
            subprotocols=[Subprotocol(SUBPROTOCOL[version])],
            **options,
        )
        return cls(ws, version)

    async def call(self, action: str, payload: dict[str, Any]) -> Any:
        """The answer's payload; a refusal or an expiry as the event."""
        call_id = self.machine.call(action, payload, 0.0)
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._outcomes[call_id] = future
        try:
            await self._flush()
        except ConnectionClosed:
            await self._task
        async with asyncio.timeout(60.0):
            event = await future
        return event.payload if isinstance(event, Answered) else event

    def later(self, action: str, payload: dict[str, Any]) -> None:
        """Call without waiting; the frame goes out with the next answer."""
        call_id = self.machine.call(action, payload, 0.0)
        self._outcomes[call_id] = asyncio.get_running_loop().create_future()

    def got(self, action: str) -> list[dict[str, Any]]:
        """Payloads of all calls of one action."""
        return [call.payload for call in self.calls if call.action == action]

    async def gone(self) -> int | None:
        """Wait until the other side has closed; the close code."""
        async with asyncio.timeout(60.0):
            await self._task
        return self.ws.close_code

    async def close(self) -> None:
        await self.ws.close()
        await self._task

    async def _run(self) -> None:
        try:
            async for frame in self.ws:
                self.machine.receive(frame, 0.0)
                for event in self.machine.events():
                    self._take(event)
                await self._flush()
        except ConnectionClosed:
            pass
        self.machine.lost()
        for event in self.machine.events():
            self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, CallIn):
            self.calls.append(event)
            script = self.scripts.get(event.action)
            answer = script(event.payload) if script else dict(ACCEPTED)
            if answer is not None:
                self._answer(event, answer)
            if (
                event.action == "SetChargingProfile"
                and answer == ACCEPTED
                and "chargingProfile" in event.payload
            ):
                self.profiles[event.payload["chargingProfile"]["id"]] = event.payload["chargingProfile"]
            if event.action == "GetChargingProfiles" and answer == ACCEPTED:
                self._report(event.payload)
        elif isinstance(event, Answered | Refused | Expired):
            self._outcomes.pop(event.id).set_result(event)

    def _answer(self, event: CallIn, answer: dict[str, Any]) -> None:
        try:
            self.machine.answer(event.id, answer)
        except ValueError:  # "Accepted" is no answer to this one: the test did not script it
            self.machine.refuse(event.id, "NotSupported")

    def _report(self, asked: dict[str, Any]) -> None:
        numbers = asked["chargingProfile"].get("chargingProfileId", self.profiles)
        wanted = [self.profiles[number] for number in numbers if number in self.profiles]
        if not wanted:
            return
        report = {
            "requestId": asked["requestId"],
            "evseId": asked.get("evseId", 1),
            "chargingLimitSource": "CSO",
            "chargingProfile": wanted,
        }
        call_id = self.machine.call("ReportChargingProfiles", report, 0.0)
        self._outcomes[call_id] = asyncio.get_running_loop().create_future()

    async def _flush(self) -> None:
        for frame in self.machine.frames():
            await self.ws.send(frame, text=True)
