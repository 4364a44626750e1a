"""``v2g-edge pki``: the site's own certificate authority for its charging stations."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.field.ocpp.trust.pki import SiteCa
from v2g_edge.host.clock import SystemClock
from v2g_edge.model.settings import HostSettings


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("pki", help="certificates of the listeners and the charging stations")
    default = Path(HostSettings().state_dir) / "pki"
    parser.add_argument(
        "--folder", type=Path, default=default, help=f"where the authority lives (default {default})"
    )
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    step = steps.add_parser("init", help="make the authority")
    step.add_argument("name", help="its name in every certificate, for example the depot's")
    step = steps.add_parser("server", help="an ECDSA and an RSA certificate for the listeners")
    step.add_argument("hosts", nargs="+", help="names and addresses that stations dial")
    step.add_argument("--out", type=Path, required=True, help="file names without their ending")
    step = steps.add_parser(
        "station", help="a client certificate for a station that cannot make its own request"
    )
    step.add_argument("identity")
    step.add_argument("--out", type=Path, required=True, help="file name without its ending")
    step = steps.add_parser("sign", help="sign a station's request by hand")
    step.add_argument("identity")
    step.add_argument("request", type=Path)
    steps.add_parser("list", help="what was issued, and what is due for renewal (exit 1)")
    step = steps.add_parser(
        "revoke", help="what must not be used any more; a running daemon cuts the station off at once"
    )
    step.add_argument(
        "name", help="the station's identity: all its certificates; or the serial number of one"
    )
    add_socket(step)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do one step."""
    wall_s = SystemClock().wall_s()
    try:
        if arguments.step == "init":
            SiteCa.create(arguments.folder, arguments.name, wall_s)
            print(
                f"authority {arguments.name} in {arguments.folder}; give stations"
                f" {arguments.folder / 'ca.pem'}"
            )
            return DONE
        return _step(SiteCa(arguments.folder), arguments, wall_s)
    except FileNotFoundError as error:
        raise CommandError(
            f"{error.filename} is missing; `v2g-edge pki init NAME` makes an authority", BAD_INPUT
        ) from error
    except (OSError, ValueError) as error:
        raise CommandError(str(error), BAD_INPUT) from error


def _step(authority: SiteCa, arguments: argparse.Namespace, wall_s: float) -> int:
    match arguments.step:
        case "server":
            for path in authority.issue_server(arguments.hosts, arguments.out, wall_s):
                print(f"{path} and {path.with_suffix('.key')}")
        case "station":
            path = authority.issue_station(arguments.identity, arguments.out, wall_s)
            print(f"{path} and {path.with_suffix('.key')}")
        case "sign":
            print(
                authority.sign_request(
                    arguments.request.read_text(encoding="ascii"), arguments.identity, wall_s
                ),
                end="",
            )
        case "revoke":
            _revoke(authority, arguments, wall_s)
        case _:
            due = {each.serial for each in authority.due(wall_s)}
            for each in authority.issued():
                until = datetime.fromtimestamp(each.expires_wall_s, UTC).date()
                state = "revoked" if each.revoked else "due" if each.serial in due else "good"
                print(f"{each.serial:<42} {each.name:<32} until {until} {state}")
            return FAILED if due else DONE
    return DONE


def _revoke(authority: SiteCa, arguments: argparse.Namespace, wall_s: float) -> None:
    serials = authority.revoke(arguments.name, wall_s)
    for serial in serials:
        print(f"{serial} is revoked")
    name = authority.name_of(serials[0])
    if stand := authority.standing(name, wall_s):
        print(
            f"{name} still comes in with {', '.join(stand)}; `v2g-edge pki revoke {name}` revokes all of them"
        )
    try:
        ask(arguments.socket, "ocpp", {"station": "@site", "operation": "reload"})
        print("the daemon has read the list, and its link is cut")
    except CommandError:
        print("no daemon was reached; one that runs reads the list within seconds")
