"""``v2g-edge ocpp``: the charging stations, and everything that can be asked of them."""

import argparse
from typing import Any

import msgspec

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.cli.screen import local_time
from v2g_edge.field.ocpp.upkeep.catalogue import Operation, spelled
from v2g_edge.field.ocpp.upkeep.maintenance import SITE, SITE_OPERATIONS
from v2g_edge.field.ocpp.upkeep.operations import NEW_PASSWORD, OPERATIONS, RETRY_DISCHARGE
from v2g_edge.field.ocpp.wire.messages import VERSIONS

ANSWER_S = 90.0
"""A station answers within 30 s or not at all, a report takes 25 s more, and its queue may hold a call
before ours.
"""


def register(subparsers: Any) -> None:
    """Add the command."""
    rows = "\n".join(f"  {name:<20} {row.text}\n{_forms(row)}" for name, row in OPERATIONS.items())
    call = (
        f"  {'call':<20} any message: action, payload (JSON)\n  {NEW_PASSWORD:<20} a new Basic password that"
        " is not shown"
    )
    call += f"\n  {RETRY_DISCHARGE:<20} probe a refuted make's discharge again: engineer"
    site = "\n".join(
        f"  {name:<20} {text}\n{'':<24}{spelled(takes)}" for name, (text, takes) in SITE_OPERATIONS.items()
    )
    parser = subparsers.add_parser(
        "ocpp",
        help="list the charging stations, or ask one of them for something",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"operations:\n{call}\n{rows}\n\nat {SITE}, for all stations:\n{site}",
    )
    parser.add_argument(
        "station", nargs="?", help=f"identity, or {SITE} for all together; without one: list all"
    )
    parser.add_argument("operation", nargs="?", help="see below; without one: what the station said last")
    parser.add_argument(
        "params",
        nargs="*",
        metavar="NAME=VALUE",
        help='VALUE is a text or a number; lists, tables and quoted texts are JSON, as [1, "10%%"]',
    )
    add_socket(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask the daemon and print what came of it."""
    if arguments.operation is None:
        answer = ask(arguments.socket, "ocpp")
        return _show(answer["stations"], answer.get("unknown", []), arguments.station)
    request = {
        "station": arguments.station,
        "operation": arguments.operation,
        "params": _params(arguments.params),
    }
    result = ask(arguments.socket, "ocpp", request, timeout_s=ANSWER_S)
    print(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
    return DONE if result["outcome"] in ("answered", "done") else FAILED


def _show(stations: list[dict[str, Any]], unknown: list[dict[str, Any]], wanted: str | None) -> int:
    if wanted is not None:
        knock = next((each for each in unknown if each["station"] == wanted), None)
        if knock is not None:
            return _entry(knock)
        found = [station for station in stations if station["station"] == wanted]
        if not found:
            raise CommandError(
                f"no station {wanted!r}; there are {', '.join(s['station'] for s in stations)}", BAD_INPUT
            )
        print(msgspec.json.format(msgspec.json.encode(found[0]), indent=2).decode())
        return DONE
    print(f"{'station':<24} {'link':<5} {'OCPP':<6} {'make':<32} outlets")
    for station in stations:
        make = f"{station['vendor']} {station['model']} {station['firmware']}"
        outlets = ", ".join(
            f"{o['evse']} (discharge {o['discharge']}, follows {o['score']:.2f})" for o in station["outlets"]
        )
        for upstream in station.get("upstreams", ()):
            state = "up" if upstream["connected"] else "down"
            outlets += f"; upstream {upstream['id']} {state}, {upstream['waiting']} waiting"
        print(
            f"{station['station']:<24} {'up' if station['connected'] else 'down':<5} {station['version']:<6}"
            f" {make:<32} {outlets}"
        )
    if unknown:
        print("\ndialled in, and not in the site file (`v2g-edge ocpp IDENTITY` writes the entry):")
    for knock in unknown:
        versions = ", ".join(knock["versions"]) or "no OCPP that is spoken here"
        agent = f", {knock['agent']}" if knock["agent"] else ""
        print(
            f"{knock['station']:<24} from {knock['peer']}, last {local_time(knock['wall_s'])},"
            f" {knock['times']} times; {versions}{agent}"
        )
    return DONE


def _entry(knock: dict[str, Any]) -> int:
    """A drop-in for a station that is not in the site file."""
    if not knock["entry"]:
        raise CommandError(
            f"{knock['station']!r} cannot be a station's name: 1 to 48 letters, digits, * - _ = : + | @ .",
            BAD_INPUT,
        )
    print(f"# {knock['station']}, which dialled in from {knock['peer']}. Complete the lines marked with <<,")
    print("# save it in site.d beside the site file, write its password, and run `v2g-edge check`.")
    print(knock["entry"], end="")
    return DONE


def _forms(row: Operation) -> str:
    """Its parameters, listed once for the versions that take the same."""
    versions: dict[str, list[str]] = {}
    for version in reversed(VERSIONS):
        form = row.form(version)
        if form is not None:
            versions.setdefault(spelled(form.takes), []).append(version)
    return "\n".join(f"{'':<24}{', '.join(of)}: {takes}" for takes, of in versions.items())


def _params(words: list[str]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise CommandError(f"{word!r} is not NAME=VALUE", BAD_INPUT)
        params[name] = _value(name, value)
    return params


def _value(name: str, text: str) -> Any:
    """Lists, tables, quoted texts, true and false are JSON. The rest stays as it was written: 2.10 may be
    a version.
    """
    if text[:1] not in ("[", "{", '"') and text not in ("true", "false"):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise CommandError(f"{name}: {text!r} is not JSON ({error})", BAD_INPUT) from error
