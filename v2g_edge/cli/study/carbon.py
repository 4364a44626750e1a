"""``v2g-edge carbon``: what charging caused and giving took off, by average and by marginal factors."""

import argparse
import json
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError
from v2g_edge.cli.screen import table, wrapped
from v2g_edge.cli.study.sources import add_sources, hand_out, ledger, span, study
from v2g_edge.study.insight.carbon import COLUMNS, Carbon, CarbonError, carbon_of, factors_of, read_factors

TIMEOUT_S: Final = 20.0
METHOD: Final = (
    "Method: metered energy of each quarter hour at the chargers, times the factor of that quarter hour."
    " Average factors give a location-based inventory (GHG Protocol, scope 2); marginal ones what the grid"
    " emitted more or less because of it. The two answer different questions and are never added. Losses"
    " are in the energy charged. A quarter hour without a factor counts in neither, and is named."
)


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = study(subparsers, "carbon", "what charging caused and giving took off, in kg of CO2")
    add_sources(parser)
    parser.add_argument(
        "--factors",
        required=True,
        metavar="FILE|URL",
        help=f"CSV with {', '.join(COLUMNS)}; JSON of Energy-Charts (co2eq) or the Carbon Intensity API",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=run)


def _asked(url: str) -> str:
    """The answer of a service. Raises ``CarbonError``."""
    if not url.startswith("https:"):
        raise CarbonError(f"{url}: a service is asked over https only")
    try:
        answer = httpx.get(url, timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise CarbonError(f"{url}: no answer that can be used ({error})") from error
    return answer.text


def run(arguments: argparse.Namespace) -> int:
    """Read, reckon, show."""
    try:
        named: str = arguments.factors
        is_url = named.startswith(("https:", "http:"))
        factors = factors_of(_asked(named), named) if is_url else read_factors(Path(named))
    except CarbonError as error:
        raise CommandError(str(error), BAD_INPUT) from error
    with ledger(arguments) as store:
        from_s, until_s = span(arguments, store)
        outlets = set(store.site.outlets)
        lines = [line for line in store.lines(from_s, until_s) if line.meter in outlets]
    found = carbon_of(lines, factors)
    if arguments.format == "json":
        text = json.dumps({"method": METHOD, "kinds": {k: _plain(v) for k, v in found.items()}}, indent=2)
    else:
        text = _text(found)
    hand_out(text, arguments)
    return DONE


def _plain(carbon: Carbon) -> dict[str, float]:
    return {**msgspec.to_builtins(carbon), "net_kg": carbon.net_kg}


def _text(found: dict[str, Carbon]) -> str:
    rows: list[tuple[str, ...]] = [
        (name, *(f"{v:.1f}" for v in (each.charged_kg, each.given_kg, each.net_kg, each.covered_kwh)))
        for name, each in found.items()
    ]
    lines = table(("factors", "charged kg", "given kg", "net kg", "of kWh"), rows, frozenset({0}))
    lines += ["", *wrapped(METHOD)]
    for name, each in found.items():
        if each.missing_kwh:
            lines += wrapped(f"{name}: no factor for {each.missing_kwh:.1f} kWh", "! ", "  ")
    return "\n".join(lines)
