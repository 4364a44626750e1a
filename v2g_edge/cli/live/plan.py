"""``v2g-edge plan``: the plan that is followed now; and, with a verb, a plan file for the daemon."""

import argparse
import json
from typing import Any

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.live.plan_file import add_verbs
from v2g_edge.cli.outcome import DONE
from v2g_edge.cli.screen import kilowatts, local_time


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("plan", help="the plan that is followed now; validate or publish another")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_socket(parser)
    parser.set_defaults(run=run)
    verbs.add_parser("show", help="the same as without a verb; options stand before it")
    add_verbs(verbs)


def run(arguments: argparse.Namespace) -> int:
    """Print it slot by slot."""
    plan = ask(arguments.socket, "plan")["plan"]
    if arguments.json:
        print(json.dumps(plan, indent=2))
    elif plan is None:
        print("no plan: vehicles are charged for their departures, nothing is sold")
    else:
        until = local_time(plan["valid_until_wall_s"], "%Y-%m-%d %H:%M")
        print(f"{plan['source']} plan {plan['revision']}, valid until {until}")
        for slot in plan["slots"]:
            parts = [f"{evse} {kilowatts(watts)}" for evse, watts in slot["evse_w"]]
            if slot["site_w"] is not None:
                parts.append(f"{'others' if parts else 'site'} {kilowatts(slot['site_w'])}")
            print(f"  {local_time(slot['start_wall_s'])}-{local_time(slot['end_wall_s'])}  kW: {', '.join(parts) or 'none'}")
    return DONE
