"""``v2g-edge``: one command for everything a person does with the daemon.

Exit codes: 0 done, 1 failed (the daemon does not answer, a promise did not hold), 2 the input cannot be used.
"""

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

from v2g_edge import __version__
from v2g_edge.cli.outcome import BAD_INPUT, FAILED, CommandError

COMMANDS: Final[dict[str, str]] = {
    "run": "v2g_edge.cli.site.run",
    "init": "v2g_edge.cli.site.init",
    "check": "v2g_edge.cli.site.check",
    "diff": "v2g_edge.cli.site.apply",
    "apply": "v2g_edge.cli.site.apply",
    "reload": "v2g_edge.cli.site.apply",
    "schema": "v2g_edge.cli.site.apply",
    "rehearse": "v2g_edge.cli.site.rehearse",
    "simulate": "v2g_edge.cli.site.simulate",
    "install-units": "v2g_edge.cli.site.units",
    "migrate": "v2g_edge.cli.site.migrate",
    "doctor": "v2g_edge.cli.site.doctor",
    "dump": "v2g_edge.cli.site.doctor",
    "backup": "v2g_edge.cli.site.backup",
    "restore": "v2g_edge.cli.site.backup",
    "update": "v2g_edge.cli.site.update",
    "status": "v2g_edge.cli.live.status",
    "why": "v2g_edge.cli.live.why",
    "events": "v2g_edge.cli.live.events",
    "plan": "v2g_edge.cli.live.plan",
    "capacity": "v2g_edge.cli.live.capacity",
    "stop": "v2g_edge.cli.live.operate",
    "hold": "v2g_edge.cli.live.operate",
    "release": "v2g_edge.cli.live.operate",
    "retry": "v2g_edge.cli.live.operate",
    "boost": "v2g_edge.cli.live.tonight",
    "depart": "v2g_edge.cli.live.tonight",
    "skip": "v2g_edge.cli.live.tonight",
    "no-v2g": "v2g_edge.cli.live.tonight",
    "priority": "v2g_edge.cli.live.tonight",
    "limit": "v2g_edge.cli.live.tonight",
    "mute": "v2g_edge.cli.live.tonight",
    "orders": "v2g_edge.cli.live.tonight",
    "undo": "v2g_edge.cli.live.tonight",
    "clear": "v2g_edge.cli.live.operate",
    "report": "v2g_edge.cli.journal.report",
    "ledger": "v2g_edge.cli.study.ledger",
    "bill": "v2g_edge.cli.study.bill",
    "settle": "v2g_edge.cli.study.settle",
    "wear": "v2g_edge.cli.study.wear",
    "kpi": "v2g_edge.cli.study.kpi",
    "money": "v2g_edge.cli.study.money",
    "carbon": "v2g_edge.cli.study.carbon",
    "anomalies": "v2g_edge.cli.study.anomalies",
    "whatif": "v2g_edge.cli.study.whatif",
    "roi": "v2g_edge.cli.study.roi",
    "portfolio": "v2g_edge.cli.study.portfolio",
    "replay": "v2g_edge.cli.journal.replay",
    "ordered": "v2g_edge.cli.journal.ordered",
    "history": "v2g_edge.cli.journal.history",
    "failsafe": "v2g_edge.cli.site.failsafe",
    "ocpp": "v2g_edge.cli.devices.ocpp",
    "modbus": "v2g_edge.cli.devices.modbus",
    "commission": "v2g_edge.cli.site.commission",
    "pki": "v2g_edge.cli.site.pki",
    "harden": "v2g_edge.cli.site.harden",
    "console": "v2g_edge.cli.site.console",
    "console-code": "v2g_edge.cli.site.console",
    "notify": "v2g_edge.cli.site.notify",
}
"""Each command and the module whose ``register(subparsers)`` adds it. Only what is asked for is loaded."""

PRIVATE: Final = frozenset(
    {"run", "backup", "restore", "dump", "pki", "ledger", "console", "console-code", "notify", "failsafe"}
)
"""Commands that write what no other user may read, whatever umask they are started with: keys, passwords, and
when which vehicle comes and goes.
"""


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of one command, or of all of them."""
    top = argparse.ArgumentParser(
        prog="v2g-edge", description="Runs an electric-vehicle depot.", allow_abbrev=False
    )
    top.add_argument("--version", action="version", version=f"v2g-edge {__version__}")
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    modules = [COMMANDS[command]] if command in COMMANDS else dict.fromkeys(COMMANDS.values())
    for module in modules:
        importlib.import_module(module).register(subparsers)
    return top


def _unknown(word: str) -> str:
    """A command that there is not, and which was meant."""
    close = difflib.get_close_matches(word.lower(), COMMANDS, 2, 0.6)
    meant = f"; did you mean {' or '.join(close)}?" if close else ";"
    return f"v2g-edge: there is no command {word!r}{meant} `v2g-edge --help` lists all"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        print(_unknown(words[0]), file=sys.stderr)
        raise SystemExit(BAD_INPUT)
    arguments = parser(words[0] if words else None).parse_args(words)
    umask = os.umask(0o077)
    if arguments.command not in PRIVATE:
        os.umask(umask)
    try:
        return int(arguments.run(arguments))
    except CommandError as error:
        print(f"v2g-edge {arguments.command}: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return FAILED
    except BrokenPipeError:  # `v2g-edge events | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    finally:
        os.umask(umask)


__all__ = ["BAD_INPUT", "COMMANDS", "main", "parser"]
