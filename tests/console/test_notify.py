"""Alarms reach people: by a real SMTP server, a real webhook and a real broker, once, and in time."""

import asyncio
import hashlib
import hmac
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.cloud.broker import Broker, make_certificates
from tests.console.conftest import NIGHT, Clock, FakeDaemon, until
from v2g_edge import tasks
from v2g_edge.cli.main import main
from v2g_edge.console.daemon import Daemon
from v2g_edge.console.notify.entities import ORDERS, discovery, slug, states
from v2g_edge.console.notify.gather import WAITING_MAX, Gatherer, Message, is_quiet
from v2g_edge.console.notify.notifier import DOWN_S, Notifier, Way
from v2g_edge.console.notify.settings import (
    HomeAssistant,
    Mail,
    Quiet,
    Settings,
    SettingsError,
    Webhook,
    load,
)

NOW_S = NIGHT["wall_s"]
ALARM = {
    "kind": "departure_risk",
    "severity": "alarm",
    "subject": "BUS01",
    "text": "lacks 12 kWh",
    "data": [],
}


def alarm(wall_s: float = NOW_S, **changes: Any) -> dict[str, Any]:
    """An alarm of this time."""
    return {**ALARM, "wall_s": wall_s, **changes}


def test_events_go_out_once_together_and_worst_first() -> None:
    gatherer = Gatherer(Settings(gather_s=20.0))
    gatherer.zone = "Europe/Amsterdam"
    gatherer.observe([alarm(), alarm(kind="grid_trip", severity="trip"), alarm(severity="warning")], 100.0)
    assert gatherer.due(110.0, NOW_S) is None  # more may come
    gatherer.observe([alarm(), alarm(subject="BUS02")], 115.0)
    message = gatherer.due(120.0, NOW_S)
    assert message is not None
    assert message.subject == "depot: trip: grid trip (BUS01), and 2 more"
    assert [line.split(" ", 2)[2] for line in message.lines] == [
        "alarm BUS01: lacks 12 kWh (departure_risk)",
        "trip BUS01: lacks 12 kWh (grid_trip)",
        "alarm BUS02: lacks 12 kWh (departure_risk)",
    ]
    gatherer.observe([alarm(), alarm(subject="BUS02")], 200.0)
    assert gatherer.due(500.0, NOW_S) is None


def test_a_storm_is_bounded_and_counted() -> None:
    gatherer = Gatherer(Settings(gather_s=0.0, most_per_hour=2))
    for n in range(3 * WAITING_MAX):
        gatherer.observe([alarm(text=str(n))], 0.0)
    message = gatherer.due(0.0, NOW_S)
    assert message is not None
    assert message.lines[-1] == f"and {3 * WAITING_MAX - 40} more; see `v2g-edge events`"
    sent = 0
    for second in range(3_500):
        gatherer.observe([alarm(text=f"again {second}")], float(second))
        sent += gatherer.due(float(second), NOW_S) is not None
    assert sent == 1  # two an hour, and one has gone
    assert gatherer.due(3_600.0, NOW_S) is not None


@pytest.mark.parametrize(
    ("start", "end", "utc", "quiet"),
    [
        ("22:00", "06:00", "23:30", True),  # 00:30 in Amsterdam, in winter
        ("22:00", "06:00", "05:30", False),
        ("01:00", "06:00", "00:30", True),
        ("01:00", "06:00", "23:30", False),
        ("", "", "23:30", False),
    ],
)
def test_quiet_hours_are_the_sites(start: str, end: str, utc: str, quiet: bool) -> None:
    hours, minutes = (int(part) for part in utc.split(":"))
    wall_s = 1_768_435_200.0 + 3_600.0 * hours + 60.0 * minutes  # 2026-01-15 00:00 UTC
    assert is_quiet(Quiet(start, end), "Europe/Amsterdam", wall_s) is quiet


def test_quiet_hours_hold_alarms_back_and_never_a_trip() -> None:
    night = Settings(gather_s=0.0, quiet=Quiet("00:00", "23:59"))
    gatherer = Gatherer(night)
    gatherer.observe([alarm()], 0.0)
    assert gatherer.due(10.0, NOW_S) is None
    gatherer.observe([alarm(severity="trip", kind="grid_trip")], 20.0)
    message = gatherer.due(30.0, NOW_S)
    assert message is not None
    assert len(message.lines) == 2


def test_what_stands_too_long_goes_to_the_second_circle_once() -> None:
    gatherer = Gatherer(Settings(escalate_after_s=600.0))
    need = {"kind": "disobedient", "subjects": ["E05"], "text": "does not follow", "remedy": "retry E05"}
    old = {**need, "since_wall_s": NOW_S - 601.0, "waits": False}
    assert gatherer.escalate([{**old, "since_wall_s": NOW_S - 599.0}], NOW_S) is None
    assert gatherer.escalate([{**old, "waits": True}], NOW_S) is None
    message = gatherer.escalate([old], NOW_S)
    assert message is not None
    assert message.escalated
    assert "What to do: retry E05" in message.lines[0]
    assert gatherer.escalate([old], NOW_S) is None
    assert gatherer.escalate([], NOW_S) is None
    assert gatherer.escalate([old], NOW_S) is not None  # it ended, and stands again


BROKEN = [
    ("", "no [mail], [webhook] or [home_assistant]"),
    ("[mail]\nhost = 'x'", "missing required field `sender` - at `$.mail`"),
    ("[mail]\nhost='x'\nsender='a@b'\nto=[]", "length >= 1"),
    ("[mail]\nhost='x'\nsender='a b'\nto=['a@b']", "matching regex"),
    ("[mail]\nhost='x'\nsender='a@b'\nto=['a@b']\nport='25'", "Expected `int`, got `str` - at `$.mail.port`"),
    ("[mail]\nhost='x'\nsender='a@b'\nto=['a@b']\nsecurity='none'", "this machine alone"),
    ("[mail]\nhost='x'\nsender='a@b'\nto=['a@b']\nsubject='x'", "unknown field `subject`"),
    ("[webhook]\nurl='http://example.org/'", "matching regex"),
    ("[home_assistant]\nhost='x'\ntls=false", "this machine alone"),
    ("quiet={start='22:00'}\n[webhook]\nurl='https://example.org/'", "only one of start and end"),
    ("quiet={start='25:00', end='06:00'}\n[webhook]\nurl='https://example.org/'", 'found "25:00"'),
    ("severities=['info']\n[webhook]\nurl='https://example.org/'", "Invalid enum value 'info'"),
    ("[mail", "Expected ']' at the end of a table"),
    ("[mail]\nhost='x'\nsender='a@b'\nto=['a@b']\npassword_file='/nowhere'", "/nowhere"),
]


@pytest.mark.parametrize(("text", "says"), BROKEN)
def test_a_broken_file_is_named_with_what_is_wrong(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notify.toml"
    file.write_text(text, encoding="utf-8")
    assert main(["notify", "--check", "--config", str(file)]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert str(file) in said or says == "/nowhere"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "notify.toml")


class Inbox:
    """What a mail server got."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.refuses = 0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """The library's name for a letter that has come whole."""
        if self.refuses:
            self.refuses -= 1
            return "451 try again later"
        self.letters.append(envelope)
        return "250 OK"


@asynccontextmanager
async def running(
    folder: Path, settings: Settings, clock: Clock | None = None
) -> AsyncIterator[tuple[FakeDaemon, Clock]]:
    """A notifier beside a daemon on a real control socket."""
    daemon, clock = FakeDaemon(folder / "control.sock"), clock or Clock()
    daemon.events = []
    await daemon.start()
    notifier = Notifier(settings, Daemon(str(folder / "control.sock")), clock, folder)
    task = asyncio.ensure_future(notifier.run())
    try:
        await until((folder / "notify-seen.json").exists)
        yield daemon, clock
    finally:
        await tasks.end(task)
        await daemon.stop()


class Quick(Clock):
    """Waits of the notifier take no time worth speaking of."""

    async def sleep_s(self, duration_s: float) -> None:
        """A moment."""
        await asyncio.sleep(min(duration_s, 0.05))


async def test_an_alarm_arrives_by_mail_over_tls_with_a_password_and_after_a_refusal(tmp_path: Path) -> None:
    ca = make_certificates(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    inbox, tried = Inbox(), list[bytes]()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])

    def authenticate(_server: Any, _session: Any, _envelope: Any, _way: str, data: Any) -> AuthResult:
        tried.append(data.password)
        return AuthResult(success=data.password == b"mail secret")

    server = Controller(
        inbox,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )
    server.start()
    try:
        (tmp_path / "password").write_text("mail secret\n")
        mail = Mail(
            host="127.0.0.1",
            port=port,
            sender="depot@example.org",
            to=["night@example.org"],
            user="depot",
            password_file=str(tmp_path / "password"),
            ca_file=str(ca),
        )
        inbox.refuses = 2
        settings = Settings(gather_s=0.0, mail=mail, escalate_after_s=86_400.0)
        async with running(tmp_path, settings, Quick()) as (daemon, _):
            daemon.events.append(alarm(NOW_S + 60.0))
            await until(lambda: bool(inbox.letters))
            await asyncio.sleep(0.3)
        assert [letter.rcpt_tos for letter in inbox.letters] == [["night@example.org"]]
        text = inbox.letters[0].content.decode()
        assert "alarm: departure risk (BUS01)" in text.replace("\r\n ", " ")
        assert "lacks 12 kWh" in text
        assert tried == [b"mail secret"] * 3
    finally:
        server.stop()


def hook_into(posted: list[tuple[str, bytes]]) -> type[BaseHTTPRequestHandler]:
    """A handler that keeps signature and body of what is posted."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            posted.append((self.headers["X-V2G-Signature"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Silent."""

    return Hook


async def test_a_message_that_cannot_be_sent_holds_up_no_other() -> None:
    sent: list[str] = []

    def send(message: Message) -> None:
        if message.subject == "odd":
            raise UnicodeEncodeError("ascii", "ü", 0, 1, "an address that this server does not take")
        sent.append(message.subject)

    way = Way("mail", send, Quick())
    way.put(Message("odd", ()))
    way.put(Message("the next alarm", ()))
    task = asyncio.ensure_future(way.run())
    await until(lambda: bool(sent))
    await tasks.end(task)
    assert sent == ["the next alarm"]


async def test_a_daemon_that_is_away_is_an_alarm_of_its_own_by_a_signed_webhook(tmp_path: Path) -> None:
    posted: list[tuple[str, bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), hook_into(posted))
    Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "key").write_text("a key\n")
    url = f"http://127.0.0.1:{server.server_port}/alarms"
    settings = Settings(gather_s=0.0, webhook=Webhook(url, str(tmp_path / "key")), escalate_after_s=86_400.0)
    try:
        async with running(tmp_path, settings, Quick()) as (daemon, clock):
            await daemon.stop()
            clock.ahead_s += DOWN_S + 1.0
            await until(lambda: len(posted) == 1)
            await daemon.start()
            await until(lambda: len(posted) == 2)
    finally:
        server.shutdown()
        server.server_close()
    signature, body = posted[0]
    assert signature == "sha256=" + hmac.new(b"a key", body, hashlib.sha256).hexdigest()
    assert [json.loads(each)["subject"].partition(": ")[2] for _, each in posted] == [
        "alarm: the daemon does not answer",
        "the daemon answers again",
    ]


def test_every_entity_has_what_home_assistant_asks_for() -> None:
    status = {**NIGHT, "feeders": [{"id": "main.1", "power_w": 1.0, "free_w": 2.0}]}
    found = {
        topic: json.loads(body) for topic, body in discovery(status, "homeassistant", orders=True).items()
    }
    assert len(found) == 1 + len(NIGHT["evses"]) + 1
    seen = set()
    values = states(status)
    for topic, device in found.items():
        assert topic.startswith("homeassistant/device/")
        assert set(topic.split("/")[2]) <= set(slug(topic.split("/")[2]))
        assert device["origin"]["name"] == "v2g-edge"
        assert device["device"]["identifiers"]
        state = json.loads(values[device["state_topic"]])
        for entity in device["components"].values():
            assert entity["platform"] in {"sensor", "binary_sensor", "button"}
            assert entity["unique_id"] not in seen
            seen.add(entity["unique_id"])
            if entity["platform"] != "button":
                assert entity["value_template"].removeprefix("{{ value_json.").removesuffix(" }}") in state
        assert len(json.dumps(device)) < 20_000
    assert "device_v2g" not in str(seen)


async def test_home_assistant_learns_the_depot_and_gives_an_order_once(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    await broker.start()
    settings = Settings(
        home_assistant=HomeAssistant(
            host="localhost",
            port=broker.port,
            ca_file=str(broker.ca),
            user="cloud",
            password_file=str(tmp_path / "cloud.password"),
            orders=True,
        ),
        escalate_after_s=86_400.0,
    )
    base = f"v2g-edge/{slug(NIGHT['site'])}"
    got: dict[str, tuple[bytes, bool]] = {}

    async def listen(client: Any) -> None:
        async for message in client.messages:
            got[str(message.topic)] = bytes(message.payload), bool(message.retain)

    try:
        async with broker.client() as client:
            # An order that was retained is old: it must not act when the notifier connects.
            await client.publish(f"{base}/order", b"stop", qos=1, retain=True)
            await client.subscribe("homeassistant/#")
            await client.subscribe(f"{base}/#")
            listening = asyncio.ensure_future(listen(client))
            async with running(tmp_path, settings) as (daemon, _):
                await until(lambda: f"{base}/evse/E01" in got and f"{base}/availability" in got)
                assert got[f"{base}/availability"][0] == b"online"
                assert f"homeassistant/device/{slug(NIGHT['site'])}_evse_E01/config" in got
                assert daemon.orders == []
                await client.publish(f"{base}/order", b"", qos=1, retain=True)
                await client.publish(f"{base}/order", b"reboot", qos=1)
                await client.publish(f"{base}/order", b"hold", qos=1)
                await until(lambda: bool(daemon.orders))
                by = {"by": "home-assistant", "why": "button hold"}
                assert daemon.orders == [{**ORDERS["hold"], **by}]
                got.clear()
                await client.publish("homeassistant/status", b"online")
                await until(lambda: f"homeassistant/device/{slug(NIGHT['site'])}/config" in got)
            await tasks.end(listening)
    finally:
        broker.kill()
