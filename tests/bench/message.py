"""Where the time of one message goes, from the frame's text to the answer's frame, without the socket: in
one process, warm.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, cast

import structlog

from tests.bench.ocpp import frames as messages
from tests.depot import small_site
from tests.field.ocpp.peer import Clock
from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.link.station_link import VERSION_ADAPTERS
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.wire import frames
from v2g_edge.field.ocpp.wire.connection import Connection
from v2g_edge.field.ocpp.wire.machine import Machine
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.schemas import problems
from v2g_edge.field.ocpp.wire.websocket import Wire
from v2g_edge.model.settings import StationEvse, StationSettings

ROUNDS: Final = 150
"""Passes over all messages of the load, the stages taking turns; the best one of each counts."""


class Sink:
    """Takes the place of the socket: counts frames."""

    def __init__(self) -> None:
        self.transport = self
        self.posted = 0

    def post(self, _frame: bytes) -> None:
        self.posted += 1

    def get_write_buffer_size(self) -> int:
        return 0


def pass_us(step: Callable[[Any], Any], inputs: list[Any]) -> float:
    """Microseconds of one step, in one pass over ``inputs``."""
    began_s = time.thread_time()
    for each in inputs:
        step(each)
    return 1e6 * (time.thread_time() - began_s) / len(inputs)


async def stages(version: Version, action: str, kind: str) -> dict[str, float]:
    """Microseconds by stage."""
    site = small_site(1)
    central = CentralSystem(
        [],
        [StationSettings("cp0", (StationEvse("b1"),), strict=True)],
        site,
        Board(site, lambda: None),
        Clock(),
    )
    link, sink = central.links["cp0"], Sink()
    link.station.link_up(version)
    link._adapter = dialect = VERSION_ADAPTERS[version](link.station, Clock().wall_s)
    machine = Machine(version, "central", handles=dialect.handles)
    link.connection = Connection(cast("Wire", sink), machine, link, "cp0")
    texts = [message.decode() for message in messages(kind)]
    payloads = [frames.decode(text, strict=True)[3] for text in texts]
    link.connection._take(texts[0])
    await asyncio.sleep(0.1)  # the transaction's start reaches the disk
    steps: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
        "from frame to answer": (link.connection._take, texts),
        "JSON": (lambda text: frames.decode(text, strict=True), texts),
        "schema": (lambda payload: problems(version, action, "request", payload), payloads),
        "sessions, samples and board": (lambda payload: dialect.answer(action, payload), payloads),
    }
    passes = [[pass_us(step, inputs) for step, inputs in steps.values()] for _ in range(ROUNDS)]
    found = dict(zip(steps, map(min, zip(*passes, strict=True)), strict=True))
    assert sink.posted > ROUNDS * len(texts), "something was not answered"
    return found


def rows() -> list[tuple[str, float, str, str, float, float, str]]:
    """(name, value, unit, baseline, its value, ratio, goal) of each stage."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    result: list[tuple[str, float, str, str, float, float, str]] = []
    for name, version, action, kind in (
        ("MeterValues 1.6, 8 samples", "1.6", "MeterValues", "meter16"),
        ("TransactionEvent 2.0.1", "2.0.1", "TransactionEvent", "tx201"),
    ):
        found = asyncio.run(stages(cast("Version", version), action, kind))
        whole = found["from frame to answer"]
        result += [
            (f"{name}: {stage}", us, "µs", "the whole", whole, us / whole, "reported")
            for stage, us in found.items()
        ]
        rest = 2.0 * whole - sum(found.values())
        result.append(
            (
                f"{name}: message machine, link and answer",
                rest,
                "µs",
                "the whole",
                whole,
                rest / whole,
                "reported",
            )
        )
    return result
