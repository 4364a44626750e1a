"""What every study reads: the ledger, extended by the journal; prices; a span of local days."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from v2g_edge.cli.journal.past import opened
from v2g_edge.cli.outcome import BAD_INPUT, CommandError
from v2g_edge.config import ConfigError, load
from v2g_edge.market.price_file import read_prices
from v2g_edge.market.rows import BadPrices
from v2g_edge.model.plan import PriceRow
from v2g_edge.model.settings import PriceSettings, Settings
from v2g_edge.study.ledger.extend import extend
from v2g_edge.study.ledger.lifetime_throughput import NAME as LIVES
from v2g_edge.study.ledger.lifetime_throughput import write_lives
from v2g_edge.study.ledger.store import LedgerError, Store

CONFIG: Final = Path("/etc/v2g-edge/site.toml")


def study(subparsers: Any, name: str, text: str) -> Any:
    """The parser of a study: what it is for, and where it is shown at work."""
    return subparsers.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog="docs/energy-manager.md shows it at work on a simulated month.",
    )


def add_sources(parser: Any, *, prices: bool = False) -> None:
    """The options that every study has."""
    parser.add_argument(
        "--ledger", type=Path, metavar="FILE", help="the ledger (default: beside the journal)"
    )
    parser.add_argument("--journal", type=Path, metavar="FILE", help="take what this journal has since")
    parser.add_argument(
        "--config", type=Path, default=CONFIG, metavar="FILE", help=f"the site file (default {CONFIG})"
    )
    parser.add_argument("--from", dest="start", metavar="DATE", help="first local day, like 2026-01-31")
    parser.add_argument("--until", metavar="DATE", help="the day after the last one")
    parser.add_argument("--month", metavar="YYYY-MM", help="one local month")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it there instead")
    if prices:
        parser.add_argument(
            "--prices", type=Path, metavar="FILE", help="prices of energy, in any form that prices.file takes"
        )


def settings_of(arguments: argparse.Namespace) -> Settings | None:
    """The site file, None where there is none at the usual place. CommandError for a bad one."""
    if not arguments.config.exists() and arguments.config == CONFIG:
        return None
    try:
        return load(arguments.config)
    except ConfigError as error:
        text = f"{arguments.config}: cannot be used; `v2g-edge check` says why ({len(error.problems)})"
        raise CommandError(text, BAD_INPUT) from error


def journal_of(arguments: argparse.Namespace) -> Path | None:
    """The journal that is named, else the site file's; None where a ledger alone is named."""
    settings = settings_of(arguments)
    folder = Path(settings.host.state_dir) if settings is not None else None
    named: Path | None = arguments.journal
    return named or (folder / "journal.db" if folder and not arguments.ledger else None)


@contextmanager
def ledger(arguments: argparse.Namespace) -> Iterator[Store]:
    """The ledger, up to date with the journal where there is one. CommandError says what is missing."""
    journal = journal_of(arguments)
    path = arguments.ledger or (journal.with_name("ledger.db") if journal else None)
    if path is None:
        raise CommandError(
            f"no ledger: name one with --ledger, or a journal ({CONFIG} is not there)", BAD_INPUT
        )
    try:
        store = Store(path, write=journal is not None or hasattr(arguments, "correct"))
    except LedgerError as error:
        raise CommandError(str(error), BAD_INPUT) from error
    try:
        if journal is not None:
            with opened(journal) as reader:
                extend(store, reader.ticks, reader.site, quarters=reader.quarters)
            if path == journal.with_name("ledger.db"):
                _tell_lives(store, path.with_name(LIVES))
        yield store
    finally:
        store.close()


def _tell_lives(store: Store, path: Path) -> None:
    """What the daemon holds warranties' caps against."""
    try:
        write_lives(store, path)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written ({error})") from error


def span(arguments: argparse.Namespace, store: Store) -> tuple[float, float]:
    """The time that is asked for, in whole local days; without any: all that the ledger has."""
    zone, (first, last) = ZoneInfo(store.site.timezone), store.span()
    if not last:
        raise CommandError("the ledger is empty: no tick was recorded", BAD_INPUT)
    if arguments.month:
        try:
            begin = datetime.strptime(arguments.month, "%Y-%m").replace(tzinfo=UTC).date()
        except ValueError as error:
            raise CommandError(
                f"--month {arguments.month!r} is no month; write it like 2026-01", BAD_INPUT
            ) from error
        end = (begin.replace(day=28) + timedelta(days=4)).replace(day=1)
        return midnight(begin, zone), midnight(end, zone)
    start_s = midnight(_date(arguments.start, "--from"), zone) if arguments.start else first
    until_s = midnight(_date(arguments.until, "--until"), zone) if arguments.until else last
    if not start_s < until_s:
        raise CommandError("--until must be after --from", BAD_INPUT)
    return start_s, until_s


def _date(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{option} {text!r} is no date; write it like 2026-01-31", BAD_INPUT) from error


def midnight(day: date, zone: ZoneInfo) -> float:
    """The beginning of a local day, UTC epoch seconds."""
    return datetime.combine(day, time(), zone).timestamp()


def prices_of(arguments: argparse.Namespace) -> tuple[tuple[PriceRow, ...], PriceSettings]:
    """Prices from the file that is named, else from the site file's; none where neither names any."""
    settings = settings_of(arguments)
    prices = settings.prices if settings is not None else PriceSettings()
    path = arguments.prices or (Path(prices.file) if prices.file else None)
    if path is None:
        return (), prices
    try:
        return read_prices(path, prices), prices
    except BadPrices as error:
        raise CommandError(str(error), BAD_INPUT) from error


def plain(value: Any) -> Any:
    """Structs as JSON objects with the names of their fields, whatever form they have on disk."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return {name: plain(each) for name, each in value.items()} if isinstance(value, dict) else value


def hand_out(text: str, arguments: argparse.Namespace) -> None:
    """To the file that is named, else to the terminal."""
    if arguments.output:
        try:
            arguments.output.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{arguments.output}: cannot be written ({error})") from error
    else:
        print(text)
