"""``python -m tests.cloud.kills [COUNT]`` (``make kills``): a depot and its broker that are killed.

A depot (a process of its own, the product's session over TLS 1.3 with a client certificate) tells events
all the time, a cloud stores each by its id and acknowledges it. COUNT (1,000) times one of the two sides is
killed with SIGKILL at a random moment, the broker a third of the times with its database wiped. At the end
each event whose ``publish_events`` had returned must be in the cloud once, and the plans that the depot took
must be in order, the newest last.
"""

# ruff: noqa: T201 - it is a command: printing is its job
import asyncio
import contextlib
import gc
import json
import multiprocessing
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiomqtt
import psutil
import structlog

from tests.cloud.broker import SITE, Broker
from tests.cloud.clock import QuickClock
from tests.cloud.plans import WALL_S, plan_bytes
from tests.depot import small_site
from tests.processes import die_with
from v2g_edge.cloud import session
from v2g_edge.model.event import Event
from v2g_edge.model.plan import Plan
from v2g_edge.model.settings import CloudSettings
from v2g_edge.tasks import end, is_cancelled

SEED: Final = 16
LIFE_S: Final = 0.4
"""Longest time between two kills, in three of four cases from the first event of the depot on."""
TALKING: Final = 0.75
"""Share of the kills that wait for this first event: one that comes sooner meets a process that starts."""
EVERY_S: Final = 0.1
"""Between two events of the depot."""
PATIENCE_S: Final = 2.0
"""Of both with a broker that dies between handshake and answer: none of them looks before."""
DRAIN_S: Final = 120.0
"""Without any progress, until what waits counts as lost; on a machine with other work."""


def life(broker: Path, port: int, state: Path, number: int, events: int, judge: int) -> None:
    """A process of its own, forked from one that has imported all: a life begins in milliseconds."""
    die_with(os.getppid())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    vars(session).update(TIMEOUT_S=PATIENCE_S)
    asyncio.run(depot(broker, port, state, number, events, judge))


async def depot(broker: Path, port: int, state: Path, number: int, events: int, judge: int) -> None:
    """Tell ``events`` events, write down each that was promised and each plan taken, then wait."""
    diary = os.open(state / "diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(line: str) -> None:
        os.write(diary, f"{line}\n".encode())

    def take(plan: Plan) -> None:
        note(f"plan {number} {plan.revision}")

    settings = CloudSettings(
        host="127.0.0.1", port=port, ca_file=str(broker / "ca.pem"), site_id="depot-1",
        certificate_file=str(broker / "client.pem"), key_file=str(broker / "client.key"), username="depot",
        password_file=str(broker / "depot.password"), events_ack="cloud", telemetry_kept_s=0.05,
    )  # fmt: skip
    sender = session.CloudSession(settings, small_site(), QuickClock(), take, state_dir=state)
    await sender.start()
    for event in range(events):
        if not psutil.pid_exists(judge):
            return  # the counting process is gone; the one that forks stays as long as this one
        severity: Any = "alarm" if event % 7 == 6 else "info"
        sender.publish_events((Event("test", severity, f"{number}-{event}", "something", WALL_S),))
        note(f"event {number}-{event}")
        sender.publish_telemetry({"n": event})
        await asyncio.sleep(EVERY_S)
    while psutil.pid_exists(judge):  # noqa: ASYNC110 - until it is killed
        await asyncio.sleep(0.5)


class Cloud:
    """Stores events by id, acknowledges what is stored, and gives its newest plan to a depot that asks."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.stored: dict[str, str] = {}
        self.latest = ""
        self.repeats = 0
        self.acks: list[dict[str, Any]] = []
        self.revision = 0
        self._client: aiomqtt.Client | None = None

    async def run(self) -> None:
        """Be there whenever the broker is."""
        while not is_cancelled():
            with contextlib.suppress(aiomqtt.MqttError, OSError):
                async with self._broker.client(timeout_s=PATIENCE_S) as client:
                    await client.subscribe(f"{SITE}/#", qos=1)
                    self._client = client
                    await self._tell_plan()  # a depot that was sooner has had no answer
                    await self._serve(client)
            self._client = None
            await asyncio.sleep(0.02)

    async def new_plan(self) -> None:
        """A newer plan. Where the broker is away it goes out when the depot asks."""
        self.revision += 1
        await self._tell_plan()

    async def _tell_plan(self) -> None:
        if self._client is not None and self.revision:
            with contextlib.suppress(aiomqtt.MqttError):
                plan = plan_bytes(revision=self.revision)
                await self._client.publish(f"{SITE}/plan", plan, qos=1, retain=True)

    async def _serve(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            topic = str(message.topic).removeprefix(f"{SITE}/")
            if topic == "plan/request":
                await self._tell_plan()
            elif topic == "plan/ack":
                self.acks.append(json.loads(bytes(message.payload)))
            elif topic == "events":
                said = json.loads(bytes(message.payload))
                self.repeats += said["id"] in self.stored
                self.stored[said["id"]] = self.latest = said["subject"]
                await client.publish(f"{SITE}/events/ack", json.dumps({"ids": [said["id"]]}), qos=1)


class Experiment:
    """A depot and a broker as processes, a cloud here."""

    def __init__(self, folder: Path) -> None:
        self.broker = Broker(folder / "broker", client_certificates=True, persistence=True)
        self.state = folder / "state"
        self.state.mkdir()
        self.cloud = Cloud(self.broker)
        self.life = -1
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload(["tests.cloud.kills"])
        self.process: Any = None
        self.done = {"depot": 0, "broker": 0, "wiped": 0}

    def begin(self, events: int = 10_000) -> None:
        """The depot's next life."""
        self.life += 1
        words = (self.broker.folder, self.broker.port, self.state, self.life, events, os.getpid())
        self.process = self._forks.Process(target=life, args=words, daemon=True)
        self.process.start()

    def end(self) -> None:
        """By SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.join(20.0)
            self.process.close()
            self.process = None

    async def kill(self, victim: str) -> None:
        """One side, which comes back at once."""
        self.done[victim] += 1
        if victim == "depot":
            self.end()
            self.begin()
            return
        self.broker.kill()
        if victim == "wiped":
            self.broker.wipe()
        await self.broker.start()

    def told(self, what: str) -> list[str]:
        """What the depot wrote down; a line that a kill cut short was not promised."""
        diary = self.state / "diary"
        lines = diary.read_text(encoding="utf-8").split("\n")[:-1] if diary.exists() else []
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{what} ")]

    def missing(self) -> str:
        """What is not there yet."""
        lost = set(self.told("event")) - set(self.cloud.stored.values())
        plans = self.told("plan")[-1:]
        return f"{len(lost)} events, such as {sorted(lost)[:3]}; plan {plans} of {self.cloud.revision}"

    def talks(self) -> bool:
        """Whether an event of this life has arrived."""
        return self.cloud.latest.startswith(f"{self.life}-")

    def drained(self) -> bool:
        """Whether the cloud has all that was promised, and the depot the newest plan."""
        promised = set(self.told("event"))
        return (
            f"{self.life}-0" in promised
            and promised <= set(self.cloud.stored.values())
            and self.told("plan")[-1:] == [f"{self.life} {self.cloud.revision}"]
        )


async def kills(folder: Path, count: int, drawn: random.Random) -> str:
    """Kill ``count`` times and judge; the figures. AssertionError where a promise did not hold."""
    trial = Experiment(folder)
    cloud = trial.cloud
    await trial.broker.start()
    serving = asyncio.create_task(cloud.run())
    try:
        trial.begin()
        for turn in range(count):
            if drawn.random() < TALKING:
                await until(trial.talks, lambda: len(cloud.stored))
            await asyncio.sleep(drawn.uniform(0.0, LIFE_S))  # the moment of the kill is the experiment
            await cloud.new_plan()
            await trial.kill(drawn.choices(("depot", "broker", "wiped"), (3, 2, 1))[0])
            if turn % 50 == 49:
                print(f"{turn + 1} kills, {len(cloud.stored)} events stored", flush=True)
        trial.end()
        await cloud.new_plan()
        trial.begin(events=1)
        await until(trial.drained, lambda: len(cloud.stored), trial.missing)
        return judged(cloud, trial.told("event"), trial.told("plan"), trial.done)
    finally:
        trial.end()
        await end(serving)
        trial.broker.kill()
        gc.collect()  # paho leaves the socket of a handshake that a kill broke to it


def judged(cloud: Cloud, events: list[str], plans: list[str], done: dict[str, int]) -> str:
    """The figures, once all promises were looked at."""
    subjects = list(cloud.stored.values())
    lost = set(events) - set(subjects)
    assert not lost, f"{len(lost)} events lost, such as {sorted(lost)[:3]}"
    assert len(subjects) == len(set(subjects)), "an event came under two ids"
    revisions = [int(line.split()[1]) for line in plans]
    assert revisions == sorted(revisions), "an older plan was taken after a newer one"
    return (
        f"{sum(done.values())} kills ({done['depot']} of the depot, {done['broker']} of the broker,"
        f" {done['wiped']} of the broker with its database wiped): {len(events)} events promised,"
        f" {len(subjects)} stored, {cloud.repeats} repetitions told by their id, {len(set(revisions))} plans"
        " taken in order; nothing lost, nothing doubled"
    )


async def until(
    promise: Callable[[], bool], progress: Callable[[], int], missing: Callable[[], str] = lambda: "an event"
) -> None:
    """Wait for what another process does, as long as it does something."""
    known, end_s = progress(), time.monotonic() + DRAIN_S
    while not promise():
        if progress() != known:
            known, end_s = progress(), time.monotonic() + DRAIN_S
        assert time.monotonic() < end_s, f"what waits does not arrive: {missing()}"
        await asyncio.sleep(0.02)
