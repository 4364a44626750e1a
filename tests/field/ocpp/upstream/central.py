"""A central system of the ``ocpp`` package, to be run with `-m tests.field.ocpp.upstream.central PORT LOG
FIRST SUBPROTOCOLS`.

It writes every frame that a station sends to LOG before it answers, one JSON line each, and gives 1.6
transactions numbers from FIRST on, the same one for a message that is repeated under its id. A line on its
standard input ``{"station", "action", "payload"}`` is called at that station; its answer goes to LOG too.
"""

import asyncio
import contextlib
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ocpp.routing import on
from ocpp.v16 import ChargePoint as Station16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v21 import ChargePoint as Station21
from ocpp.v21 import call as call21
from ocpp.v21 import call_result as result21
from ocpp.v201 import ChargePoint as Station201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

FIRST = int(sys.argv[3]) if len(sys.argv) > 3 else 1
LOG = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("/dev/null")
HERE: dict[str, Any] = {}


def write(line: dict[str, Any]) -> None:
    """To the disk before anything is answered."""
    with LOG.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def now() -> str:
    return datetime.now(UTC).isoformat()


def number_of(message_id: str) -> int:
    """The transaction number of a StartTransaction: by the order in which their ids came first."""
    ids: list[str] = []
    for line in LOG.read_text(encoding="utf-8").splitlines():
        frame = json.loads(line)["frame"]
        if frame[0] == 2 and frame[2] == "StartTransaction" and frame[1] not in ids:
            ids.append(frame[1])
    return FIRST + ids.index(message_id)


class Central16(Station16):  # type: ignore[misc]
    async def route_message(self, raw_msg: str) -> None:
        write({"station": self.id, "frame": json.loads(raw_msg)})
        await super().route_message(raw_msg)

    @on("BootNotification")  # type: ignore[untyped-decorator]
    def on_boot(self, **_: Any) -> Any:
        return result16.BootNotification(current_time=now(), interval=300, status="Accepted")

    @on("Heartbeat")  # type: ignore[untyped-decorator]
    def on_heartbeat(self) -> Any:
        return result16.Heartbeat(current_time=now())

    @on("StatusNotification")  # type: ignore[untyped-decorator]
    def on_status(self, **_: Any) -> Any:
        return result16.StatusNotification()

    @on("MeterValues")  # type: ignore[untyped-decorator]
    def on_meter(self, **_: Any) -> Any:
        return result16.MeterValues()

    @on("Authorize")  # type: ignore[untyped-decorator]
    def on_authorize(self, id_tag: str) -> Any:
        return result16.Authorize(id_tag_info={"status": "Blocked" if id_tag == "thief" else "Accepted"})

    @on("StartTransaction")  # type: ignore[untyped-decorator]
    def on_start(self, id_tag: str, call_unique_id: str, **_: Any) -> Any:
        info = {"status": "Blocked" if id_tag == "thief" else "Accepted"}
        return result16.StartTransaction(transaction_id=number_of(call_unique_id), id_tag_info=info)

    @on("StopTransaction")  # type: ignore[untyped-decorator]
    def on_stop(self, **_: Any) -> Any:
        return result16.StopTransaction()

    @on("DataTransfer")  # type: ignore[untyped-decorator]
    def on_data(self, vendor_id: str, **_: Any) -> Any:
        known = vendor_id == "com.example"
        return result16.DataTransfer(status="Accepted" if known else "UnknownVendorId")


class Central201(Station201):  # type: ignore[misc]
    async def route_message(self, raw_msg: str) -> None:
        write({"station": self.id, "frame": json.loads(raw_msg)})
        await super().route_message(raw_msg)

    @on("BootNotification")  # type: ignore[untyped-decorator]
    def on_boot(self, **_: Any) -> Any:
        return result201.BootNotification(current_time=now(), interval=300, status="Accepted")

    @on("Heartbeat")  # type: ignore[untyped-decorator]
    def on_heartbeat(self, **_: Any) -> Any:
        return result201.Heartbeat(current_time=now())

    @on("StatusNotification")  # type: ignore[untyped-decorator]
    def on_status(self, **_: Any) -> Any:
        return result201.StatusNotification()

    @on("MeterValues")  # type: ignore[untyped-decorator]
    def on_meter(self, **_: Any) -> Any:
        return result201.MeterValues()

    @on("NotifyEvent")  # type: ignore[untyped-decorator]
    def on_event(self, **_: Any) -> Any:
        return result201.NotifyEvent()

    @on("Authorize")  # type: ignore[untyped-decorator]
    def on_authorize(self, id_token: dict[str, Any], **_: Any) -> Any:
        return result201.Authorize(id_token_info={"status": "Accepted"})

    @on("TransactionEvent")  # type: ignore[untyped-decorator]
    def on_transaction(self, **_: Any) -> Any:
        return result201.TransactionEvent()

    @on("NotifyChargingLimit")  # type: ignore[untyped-decorator]
    def on_limit(self, **_: Any) -> Any:
        return result201.NotifyChargingLimit()

    @on("ClearedChargingLimit")  # type: ignore[untyped-decorator]
    def on_no_limit(self, **_: Any) -> Any:
        return result201.ClearedChargingLimit()


class Central21(Station21):  # type: ignore[misc]
    async def route_message(self, raw_msg: str) -> None:
        write({"station": self.id, "frame": json.loads(raw_msg)})
        await super().route_message(raw_msg)

    @on("BootNotification")  # type: ignore[untyped-decorator]
    def on_boot(self, **_: Any) -> Any:
        return result21.BootNotification(current_time=now(), interval=300, status="Accepted")

    @on("Heartbeat")  # type: ignore[untyped-decorator]
    def on_heartbeat(self, **_: Any) -> Any:
        return result21.Heartbeat(current_time=now())

    @on("TransactionEvent")  # type: ignore[untyped-decorator]
    def on_transaction(self, **_: Any) -> Any:
        return result21.TransactionEvent()

    @on("Authorize")  # type: ignore[untyped-decorator]
    def on_authorize(self, id_token: dict[str, Any], **_: Any) -> Any:
        group = {"idToken": "g" * 200, "type": "Central"}
        return result21.Authorize(id_token_info={"status": "Accepted", "groupIdToken": group})


KINDS: dict[Any, Any] = {"ocpp1.6": Central16, "ocpp2.0.1": Central201, "ocpp2.1": Central21}
SPOKEN: list[Any] = sys.argv[4].split(",") if len(sys.argv) > 4 else list(KINDS)


async def serve_station(ws: ServerConnection) -> None:
    assert ws.request is not None
    identity = ws.request.path.rpartition("/")[2]
    HERE[identity] = station = KINDS[str(ws.subprotocol)](identity, ws)
    with contextlib.suppress(ConnectionClosed):
        await station.start()


async def order(line: str) -> None:
    said = json.loads(line)
    station = HERE[said["station"]]
    calls = {Central16: call16, Central201: call201, Central21: call21}[type(station)]
    answer = await station.call(getattr(calls, said["action"])(**said["payload"]), suppress=False)
    write({"station": said["station"], "frame": [3, "", answer.__dict__ if answer else None]})


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with serve(serve_station, "127.0.0.1", port, subprotocols=SPOKEN):
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        tasks = set()
        while line := await reader.readline():
            tasks.add(asyncio.create_task(order(line.decode())))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
