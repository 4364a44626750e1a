"""``v2g-edge plan validate`` and ``publish``: judge a plan file as the daemon would, and hand it over
through the broker.
"""

import argparse
import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import aiomqtt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError
from v2g_edge.cloud.inbox import PlanMessage, Refusal, parse_plan, receive_plan
from v2g_edge.cloud.session import tls_context
from v2g_edge.cloud.signed import sign
from v2g_edge.cloud.topics import topics_of
from v2g_edge.config.load import load
from v2g_edge.config.problems import ConfigError
from v2g_edge.host.clock import SystemClock
from v2g_edge.model.settings import CloudSettings, Settings

ANSWER_S: Final = 15.0
"""How long ``publish`` waits for the verdict: a depot that is online answers within a second or two."""

SITE_FILE: Final = Path("/etc/v2g-edge/site.toml")


def add_verbs(verbs: Any) -> None:
    """Add both verbs to the subparsers of ``plan``. A refused plan is bad input (2), a silent broker or
    depot a failure (1).
    """
    validate = verbs.add_parser("validate", help="judge a plan file as the daemon would")
    publish = verbs.add_parser(
        "publish", help="validate a plan file, publish it, wait for the daemon's verdict"
    )
    publish.add_argument(
        "--username", help="instead of the site file's: the depot's own user may not be allowed to publish"
    )
    publish.add_argument("--password-file", type=Path, metavar="PATH", help="password of that user")
    publish.add_argument(
        "--key", type=Path, metavar="PATH", help="sign it with this private key (JWK, Ed25519, with its kid)"
    )
    reset = verbs.add_parser(
        "reset", help="forget the newest plan's revision: the next plan is taken whatever its number"
    )
    reset.add_argument("--why", default="", help="the reason, for the log")
    add_socket(reset)
    reset.set_defaults(run=run_reset)
    for verb, run in ((validate, run_validate), (publish, run_publish)):
        verb.add_argument("file", type=Path, help="a plan in JSON, see docs/cloud.md")
        verb.add_argument(
            "--config",
            type=Path,
            default=SITE_FILE,
            metavar="PATH",
            help=f"the site file (default {SITE_FILE})",
        )
        verb.set_defaults(run=run)


def run_reset(arguments: argparse.Namespace) -> int:
    """Have the daemon forget the newest revision."""
    answer = ask(arguments.socket, "cloud", {"reset_revision": True, "why": arguments.why})
    print(f"revision {answer['forgotten']} is forgotten; the cloud's next plan is taken whatever its number")
    return DONE


def run_validate(arguments: argparse.Namespace) -> int:
    """The plan as a table in local time, and that the daemon would take it, were it the first."""
    settings, _, message = _judged(arguments)
    print("\n".join(table(message, ZoneInfo(settings.site.timezone))))
    print(f"{arguments.file}: would be taken")
    return DONE


def run_publish(arguments: argparse.Namespace) -> int:
    """Publish as a retained message, so that a daemon that is away finds it later; then wait for its
    answer.
    """
    settings, payload, message = _judged(arguments)
    cloud = settings.cloud
    if not cloud.host:
        raise CommandError(
            f"{arguments.config}: there is no [cloud] table, so nowhere to publish to", BAD_INPUT
        )
    if arguments.key is not None:
        payload = _signed(payload, arguments.key, cloud.site_id or settings.site.name)
    username, secret = arguments.username or cloud.username, arguments.password_file or cloud.password_file
    try:
        password = Path(secret).read_text(encoding="utf-8").strip() if secret else ""
        answer = asyncio.run(send_plan(settings, payload, message.revision, username, password))
    except (aiomqtt.MqttError, OSError) as fault:
        raise CommandError(f"{cloud.host}:{cloud.port}: {fault}") from fault
    if answer is None:
        raise CommandError(
            f"published, but no answer within {ANSWER_S:.0f} s: the depot will find it when it is back"
        )
    if answer.get("result") != "accepted":
        raise CommandError(
            f"{arguments.file}: refused by the depot: {answer.get('reason')}: {answer.get('text')}", BAD_INPUT
        )
    print(f"{arguments.file}: revision {message.revision} accepted by the depot")
    return DONE


async def send_plan(
    settings: Settings, payload: bytes, revision: int, username: str, password: str
) -> dict[str, Any] | None:
    """Publish and wait for the verdict on ``revision``; None when none comes in time."""
    cloud = settings.cloud
    topics = topics_of(cloud.topic_prefix, cloud.site_id or settings.site.name)
    async with _client(cloud, username, password) as client:
        await client.subscribe(topics.plan_ack, qos=1)
        await client.publish(topics.plan, payload, qos=1, retain=True)
        try:
            async with asyncio.timeout(ANSWER_S):
                async for message in client.messages:
                    answer = json.loads(message.payload) if isinstance(message.payload, bytes) else {}
                    if isinstance(answer, dict) and answer.get("revision") == revision:
                        return answer
        except TimeoutError:
            return None
    return None


def table(message: PlanMessage, zone: ZoneInfo) -> list[str]:
    """Heading and one line a slot: local time, the site's target, and each charger's power in kW."""
    start, end = (
        f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" for moment in (message.valid_from, message.valid_until)
    )
    lines = [f"revision {message.revision}, valid {start} to {end} ({zone.key})"]
    for slot in message.slots:
        site = "" if slot.site_w is None else f"  site {slot.site_w / 1_000:+.1f}"
        each = "".join(f"  {evse} {power_w / 1_000:+.1f}" for evse, power_w in sorted(slot.evse_w.items()))
        lines.append(f"  {_clock(slot.start, zone)}-{_clock(slot.end, zone)}  kW:{site}{each}")
    return lines


def _clock(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%a %H:%M")


def _client(cloud: CloudSettings, username: str, password: str) -> aiomqtt.Client:
    return aiomqtt.Client(
        cloud.host,
        cloud.port,
        username=username or None,
        password=password or None,
        protocol=aiomqtt.ProtocolVersion.V5,
        tls_context=tls_context(cloud) if cloud.tls else None,
    )


def _judged(arguments: argparse.Namespace) -> tuple[Settings, bytes, PlanMessage]:
    """Settings, the file's bytes and the plan in it. CommandError (2) when any of them is not usable."""
    try:
        settings, payload = load(arguments.config), arguments.file.read_bytes()
    except (ConfigError, OSError) as fault:
        raise CommandError(str(fault), BAD_INPUT) from fault
    message = parse_plan(payload)
    verdict = receive_plan(payload, settings.site, -1, SystemClock().wall_s())
    for refusal in (message, verdict):
        if isinstance(refusal, Refusal):
            raise CommandError(f"{arguments.file}: refused: {refusal.reason}: {refusal.text}", BAD_INPUT)
    assert isinstance(message, PlanMessage)  # noqa: S101 - the loop above has ended every other case
    return settings, payload, message


def _signed(payload: bytes, path: Path, audience: str) -> bytes:
    try:
        key = OKPKey.import_key(json.loads(path.read_text(encoding="utf-8")))
        kid = str(key.as_dict(private=False)["kid"])
        return sign(payload, key, kid, audience)
    except (OSError, ValueError, KeyError, JoseError) as fault:
        raise CommandError(
            f"{path}: not a private Ed25519 key as JWK with a kid: {fault}", BAD_INPUT
        ) from fault
