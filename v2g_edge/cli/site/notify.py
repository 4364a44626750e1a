"""``v2g-edge notify``: alarms by mail and webhook, and the depot in Home Assistant."""

import argparse
import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from v2g_edge.cli.client import add_socket
from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.host.clock import SystemClock
from v2g_edge.host.logs import set_up_logs

CONFIG: Final = Path("/etc/v2g-edge-console/notify.toml")
STATE: Final = Path("/var/lib/v2g-edge-console")


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("notify", help="send alarms by mail and webhook, and serve Home Assistant")
    parser.add_argument(
        "--config", type=Path, default=CONFIG, metavar="FILE", help=f"its own file (default {CONFIG})"
    )
    parser.add_argument("--check", action="store_true", help="only say whether the file can be used")
    parser.add_argument(
        "--test", action="store_true", help="send one test message by each way, and say how it went"
    )
    parser.add_argument(
        "--state", type=Path, default=STATE, metavar="DIR", help=f"where it keeps its mark (default {STATE})"
    )
    add_socket(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal ends it."""
    # Mail, HTTP and MQTT are loaded by this command alone: every other one starts without them.
    from v2g_edge.console.daemon import Daemon  # noqa: PLC0415
    from v2g_edge.console.notify.notifier import Notifier  # noqa: PLC0415
    from v2g_edge.console.notify.settings import SettingsError, load, secret  # noqa: PLC0415

    try:
        settings = load(arguments.config)
        for each in (settings.mail, settings.home_assistant):
            secret(each.password_file if each is not None else "")
        secret(settings.webhook.secret_file if settings.webhook is not None else "")
    except SettingsError as error:
        raise CommandError(str(error), BAD_INPUT) from error
    if arguments.check:
        print(f"{arguments.config}: no problem")
        return DONE
    if arguments.test:
        return _test(settings)
    clock = SystemClock()
    set_up_logs(
        "info",
        lambda: datetime.fromtimestamp(clock.wall_s(), UTC).isoformat(timespec="milliseconds"),
        "auto",
        clock.now_s,
    )
    asyncio.run(_serve(Notifier(settings, Daemon(arguments.socket), clock, arguments.state)))
    return DONE


async def _serve(notifier: Any) -> None:
    await notifier.run()


def _test(settings: Any) -> int:
    from v2g_edge.console.notify.channels import NotSent, post_webhook, send_mail  # noqa: PLC0415
    from v2g_edge.console.notify.gather import Message  # noqa: PLC0415

    message = Message("v2g-edge: a test message", ("The way works. No alarm stands behind this message.",))
    failed = False
    for name, way, send in (
        ("mail", settings.mail, send_mail),
        ("webhook", settings.webhook, lambda hook, said: post_webhook(hook, "test", said)),
    ):
        if way is None:
            continue
        try:
            send(way, message)
            print(f"{name}: sent")
        except NotSent as fault:
            print(f"{name}: not sent: {fault}")
            failed = True
    return FAILED if failed else DONE
