"""Price services on the Internet: what is asked of each, and when its prices for tomorrow are due. Pure: no
socket, no clock.

The addresses are those that the services document; ``url`` of the site file names another one (a mirror, a
proxy, a test server). Prices of a service that needs a key come with the key of the site's own contract.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from v2g_edge.market.entsoe_xml import request_of


class Call(NamedTuple):
    """One HTTP GET: address, query, headers, and (user, password) of HTTP Basic or None."""

    url: str
    query: dict[str, str]
    headers: Mapping[str, str] = MappingProxyType({})
    basic: tuple[str, str] | None = None


class Feed(NamedTuple):
    """A service: its address, the zone of its days, when tomorrow's prices are due, and the call for one day.

    ``call`` takes the address, the zone or node, the local day and the key. ``gap_s`` is the least time
    between two calls.
    """

    url: str
    timezone: str
    due: time
    late: time
    needs_key: bool
    gap_s: float
    call: Callable[[str, str, date, str], Call]

    def start(self, day: date) -> datetime:
        """The beginning of a local day, in UTC."""
        return datetime.combine(day, time(), ZoneInfo(self.timezone)).astimezone(UTC)


EIC: Final = {
    "NL": "10YNL----------L",
    "BE": "10YBE----------2",
    "FR": "10YFR-RTE------C",
    "DE-LU": "10Y1001A1001A82H",
}
"""Bidding zones by short name (ENTSO-E's list of energy identification codes); any other code is given
whole.
"""

CENTRAL_EUROPE: Final = "Europe/Brussels"
NORD_POOL: Final = "https://dataportal-api.nordpoolgroup.com/api/DayAheadPrices"


def _bounds(day: date, timezone: str) -> tuple[datetime, datetime]:
    zone = ZoneInfo(timezone)
    start, end = (
        datetime.combine(each, time(), zone).astimezone(UTC) for each in (day, day + timedelta(days=1))
    )
    return start, end


def _entsoe(url: str, zone: str, day: date, key: str) -> Call:
    start, end = _bounds(day, CENTRAL_EUROPE)
    return Call(url, request_of(EIC.get(zone, zone), start, end) | {"securityToken": key})


def _energy_charts(url: str, zone: str, day: date, _key: str) -> Call:
    return Call(f"{url}/price", {"bzn": zone, "start": f"{day}", "end": f"{day}"})


def _nord_pool(url: str, zone: str, day: date, _key: str) -> Call:
    return Call(url, {"date": f"{day}", "market": "DayAhead", "deliveryArea": zone, "currency": "EUR"})


def _awattar(url: str, _zone: str, day: date, _key: str) -> Call:
    start, end = _bounds(day, CENTRAL_EUROPE)
    return Call(
        f"{url}/v1/marketdata",
        {"start": f"{start.timestamp() * 1e3:.0f}", "end": f"{end.timestamp() * 1e3:.0f}"},
    )


def _octopus(url: str, zone: str, day: date, key: str) -> Call:
    start, end = _bounds(day, "Europe/London")
    query = {
        "period_from": f"{start:%Y-%m-%dT%H:%MZ}",
        "period_to": f"{end:%Y-%m-%dT%H:%MZ}",
        "page_size": "100",
    }
    product, _, tariff = zone.partition("/")
    address = f"{url}/v1/products/{product}/electricity-tariffs/{tariff}/standard-unit-rates/"
    return Call(address, query, basic=(key, "") if key else None)


def _iso_ne(url: str, zone: str, day: date, key: str) -> Call:
    user, _, password = key.partition(":")
    address = f"{url}/hourlylmp/da/final/day/{day:%Y%m%d}/location/{zone}"
    return Call(address, {}, {"Accept": "application/json"}, (user, password))


def _pjm(url: str, zone: str, day: date, key: str) -> Call:
    query = {
        "startRow": "1",
        "rowCount": "200",
        "pnode_id": zone,
        "row_is_current": "true",
        "datetime_beginning_ept": f"{day} 00:00 to {day} 23:00",
        "fields": "datetime_beginning_utc,pnode_id,pnode_name,total_lmp_da,row_is_current,version_nbr",
    }
    return Call(f"{url}/da_hrl_lmps", query, {"Ocp-Apim-Subscription-Key": key})


def _oasis(url: str, zone: str, day: date, _key: str) -> Call:
    start, end = _bounds(day, "America/Los_Angeles")
    query = {
        "resultformat": "6",
        "queryname": "PRC_LMP",
        "version": "12",
        "market_run_id": "DAM",
        "node": zone,
        "startdatetime": f"{start:%Y%m%dT%H:%M}-0000",
        "enddatetime": f"{end:%Y%m%dT%H:%M}-0000",
    }
    return Call(f"{url}/SingleZip", query)


EUROPE_DUE: Final = time(12, 45)
"""The coupled day-ahead auction publishes at about 12:57 CET; asking begins a little before."""
EUROPE_LATE: Final = time(15)
"""After three in the afternoon a missing day is worth telling: the auction's own fall-back procedures end
before.
"""

FEEDS: Final = {
    "entsoe": Feed(
        "https://web-api.tp.entsoe.eu/api", CENTRAL_EUROPE, EUROPE_DUE, EUROPE_LATE, True, 1.0, _entsoe
    ),
    "energy-charts": Feed(
        "https://api.energy-charts.info", CENTRAL_EUROPE, EUROPE_DUE, EUROPE_LATE, False, 1.0, _energy_charts
    ),
    "nord-pool": Feed(NORD_POOL, CENTRAL_EUROPE, EUROPE_DUE, EUROPE_LATE, False, 1.0, _nord_pool),
    "awattar": Feed(
        "https://api.awattar.de", CENTRAL_EUROPE, time(13, 45), EUROPE_LATE, False, 1.0, _awattar
    ),
    "octopus": Feed("https://api.octopus.energy", "Europe/London", time(16), time(20), False, 1.0, _octopus),
    "iso-ne": Feed(
        "https://webservices.iso-ne.com/api/v1.1", "America/New_York", time(13), time(17), True, 1.0, _iso_ne
    ),
    "pjm": Feed("https://api.pjm.com/api/v1", "America/New_York", time(13, 30), time(17), True, 10.0, _pjm),
    "caiso": Feed(
        "https://oasis.caiso.com/oasisapi", "America/Los_Angeles", time(13), time(17), False, 5.0, _oasis
    ),
}
"""Each service by the name that ``prices.feed`` takes. CAISO refuses a second call within 5 s; PJM allows
six a minute.
"""
