"""A real console before a real control socket; the daemon behind it answers with samples."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from v2g_edge.console.proxy import ProxyTrust
from v2g_edge.console.server import Console, Options
from v2g_edge.host.clock import SystemClock
from v2g_edge.host.control import BadRequestError, ControlSocket

NIGHT: dict[str, Any] = json.loads(Path("tests/cli/samples/night.json").read_text(encoding="utf-8"))
SILENT: dict[str, Any] = {
    "kind": "charger_silent",
    "severity": "warning",
    "subject": "E03",
    "text": "not heard",
    "data": [],
}
READY: dict[str, Any] = {
    "leaves_wall_s": NIGHT["wall_s"] + 7_200.0,
    "ready_wall_s": NIGHT["wall_s"] + 6_300.0,
    "leaves_with_pct": 89.0,
    "charged_kwh": 31.0,
    "exported_kwh": 24.0,
    "lacks_kwh": 0.0,
    "promise_per_kwh": 0.14,
}
"""A vehicle in the report of a plan."""
PASSWORD = "a depot at night"
PEOPLE = {"vera": "viewer", "otto": "operator", "erna": "engineer"}


class Clock(SystemClock):
    """The machine's clock, moved forward by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0
        self.stands_at_s: float | None = None

    def now_s(self) -> float:
        """Moved, or standing."""
        return super().now_s() + self.ahead_s if self.stands_at_s is None else self.stands_at_s

    def wall_s(self) -> float:
        """Moved as well."""
        return super().wall_s() + self.ahead_s


class FakeDaemon:
    """Answers as the daemon does, and keeps what was ordered."""

    def __init__(self, socket: Path) -> None:
        self.status: dict[str, Any] = json.loads(json.dumps(NIGHT))
        self.orders: list[dict[str, Any]] = []
        self.events = [SILENT | {"wall_s": NIGHT["wall_s"] - 60.0 * back} for back in range(3)]
        self.status["orders"] = []
        terms = {"version": "1.3", "wave": 1, "signed": True, "outcome": "done", "why": ""}
        member = {"station": "CP01", "wave": 1, "phase": "soaking", "status": "Installed", "why": ""}
        self.rollout: dict[str, Any] | None = terms | {
            "state": "running",
            "make": "Acme/X",
            "stations": [member],
        }
        self.changes = [{"key": "grid.export_limit_w", "old": 100_000.0, "new": 90_000.0, "live": True}]
        room = {"import_limit_w": 400_000.0, "held_w": 90_000.0, "free_w": 290_000.0}
        self.status["feeders"] = [{"id": "main", "parent": "", "power_w": -56_600.0, **room}]
        self._control = ControlSocket(
            str(socket),
            {
                "status": self._status,
                "operate": self._operate,
                "why": self._why,
                "events": self._events,
                "plan": self._plan,
                "ocpp": self._ocpp,
                "capacity": self._capacity,
                "what_if": self._what_if,
                "site_file": self._site_file,
                "health": self._health,
                "history": self._history,
                "night": self._night,
                "money": self._money,
                "trips": self._trips,
                "orders": self._orders,
                "order": self._order,
                "undo": self._undo,
            },
        )
        self.start, self.stop = self._control.start, self._control.stop

    async def _status(self, _params: dict[str, Any]) -> dict[str, Any]:
        self.status["seq"] += 1
        return self.status

    async def _operate(self, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("acknowledge"):
            raise BadRequestError(f"{params['acknowledge']!r} does not act; there act: none")
        self.orders.append(params)
        self.status["operator"].update({key: params[key] for key in ("stop", "export_hold") if key in params})
        return {**self.status["operator"], "not_kept": ""}

    async def _why(self, params: dict[str, Any]) -> dict[str, Any]:
        name = params["subject"]
        if name not in {known for evse in NIGHT["evses"] for known in (evse["id"], evse["vehicle"])}:
            raise BadRequestError(f"{name!r} is no outlet, vehicle, station or feeder")
        limits = [
            {
                "rule": "wish",
                "binds": True,
                "min_w": 0.0,
                "max_w": 75_000.0,
                "source": "nothing limits the wish",
            }
        ]
        outlet = {"evse": name, "wish_w": 0.0, "permit_w": 0.0, "reason": "waits for 01:04", "limits": limits}
        answer = ["It waits for 01:04, when energy costs 0.08."]
        return {
            "name": name,
            "asked": name,
            "wall_s": NIGHT["wall_s"],
            "timezone": "Europe/Amsterdam",
            "answer": answer,
            "outlets": [outlet],
        }

    async def _events(self, _params: dict[str, Any]) -> dict[str, Any]:
        return {"events": self.events}

    async def _plan(self, _params: dict[str, Any]) -> dict[str, Any]:
        edges = [NIGHT["wall_s"] + 900.0 * slot for slot in range(9)]
        powers = {"site_kw": [float(slot * 10) - 20.0 for slot in range(8)], "base_kw": [5.0] * 8}
        prices = {"buy": [0.1 + 0.02 * slot for slot in range(8)], "sell": [0.05] * 8}
        money = {"energy": 12.5, "export": -3.0, "wear": 0.4, "peaks": 0.0}
        report = {
            "solver": "highs-ipm",
            "made_wall_s": NIGHT["wall_s"],
            "money": money,
            "vehicles": [
                READY | {"evse": "E01", "soc_pct": [70, 66, 62, 62, 68, 76, 84, 89], "target_pct": 89.0}
            ],
            "prices": [
                {
                    "kind": "feeder import",
                    "name": "main",
                    "from_wall_s": edges[4],
                    "until_wall_s": edges[6],
                    "worth": 0.42,
                }
            ],
            "edges": edges,
        }
        planned = [-48_000.0, -48_000.0, 0.0, 0.0, 24_000.0, 40_000.0, 40_000.0, 20_000.0]
        slots = [
            {"start_wall_s": edge, "evse_w": [["E01", power]]}
            for edge, power in zip(edges, planned, strict=False)
        ]
        return {
            "plan": {**NIGHT["plan"], "slots": slots},
            "report": {**report, **powers, **prices, "warnings": [], "why": ""},
        }

    async def _what_if(self, params: dict[str, Any]) -> dict[str, Any]:
        if params["subject"] == "BUS99":
            raise BadRequestError("'BUS99' is no outlet, vehicle, station or feeder")
        money = {"energy": 12.5, "export": -3.0, "wear": 0.4, "peaks": 0.0, "total": 9.9}
        edges = [NIGHT["wall_s"], NIGHT["wall_s"] + 900.0]
        plan = {"money": money, "edges": edges, "site_kw": [10.0], "warnings": []}
        later = READY | {"leaves_wall_s": NIGHT["wall_s"] + 3_600.0, "exported_kwh": 0.0}
        return {
            "text": f"depart {params['subject']} at {params['at']}",
            "breaks": ["BUS03 would lack 12.0 kWh"],
            "costs": 2.35,
            "before": plan,
            "after": plan | {"money": money | {"export": -0.65, "total": 12.25}},
            "vehicles": [{"evse": "E01", "vehicle": "BUS01", "before": READY, "after": later}],
        }

    async def _night(self, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("night") == "2020-01-01":
            raise BadRequestError("nothing is recorded of this night")
        stay = {"vehicle": "BUS01", "outlet": "E01", "first_pct": 30.0, "last_pct": 89.0, "target_pct": 89.0}
        stay |= {"left_wall_s": NIGHT["wall_s"], "lacked_pct": 0.0, "in_wh": 98_000.0, "out_wh": 40_000.0}
        head = {"from_wall_s": NIGHT["wall_s"] - 86_400.0, "until_wall_s": NIGHT["wall_s"], "priced": True}
        words = {"says": "Nothing is proven of a first discharge", "remedy": "nothing; it is tried"}
        held = {"unproven_discharge": {"export_wh": 12_500.0, "import_wh": 0.0, "missed": 3.75} | words}
        services = {"local plan": {"in_wh": 98_000.0, "out_wh": 40_000.0, "paid": 14.0, "earned": 9.9}}
        stays = [{**stay, "cost": 4.1, "earned": 9.9}]
        return {**head, "stays": stays, "held": held, "services": services, "alarms": []}

    async def _money(self, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("from") == "2020-01-01":
            raise BadRequestError("the ledger is empty: no tick was recorded")
        flow = {
            "in_kwh": 98.0,
            "out_kwh": 40.0,
            "earned": 9.9,
            "paid": 14.0,
            "wear": 0.8,
            "unpriced_kwh": 2.0,
        }
        names = {"day": "2026-01-13", "vehicle": "BUS01", "service": "local plan"}
        empty = dict.fromkeys(names, "")
        return {
            "site": "Night-depot",
            "timezone": "Europe/Amsterdam",
            "from_wall_s": NIGHT["wall_s"] - 7 * 86_400.0,
            "until_wall_s": NIGHT["wall_s"],
            "currency": "EUR",
            "priced": True,
            "wear": "wear_per_kwh of the site file",
            "rows": [names | flow],
            "by": {key: [empty | {key: value} | flow] for key, value in names.items()},
        }

    async def _trips(self, _params: dict[str, Any]) -> dict[str, Any]:
        times = [NIGHT["wall_s"] - 3_600.0 + 0.1 * n for n in range(70)]
        hz = [50.0 if n < 20 else 50.6 for n in range(70)]
        volts = [[230.0 + phase + (n % 3) for n in range(70)] for phase in range(3)]
        trip = {"wall_s": times[20], "row": "grid_trip", "subject": "grid", "text": "frequency 50.6 Hz"}
        return {"trips": [trip | {"samples": {"wall_s": times, "hz": hz, "v": volts}}]}

    async def _history(self, params: dict[str, Any]) -> dict[str, Any]:
        name = params["subject"]
        evse = next((each for each in NIGHT["evses"] if name in (each["id"], each["vehicle"])), None)
        if evse is None:
            raise BadRequestError(f"{name!r} is no outlet, no vehicle that is plugged in, and not grid")
        times = [NIGHT["wall_s"] - 300.0 * back for back in range(23, -1, -1)]
        powers = [11_000.0] * 8 + [None] * 2 + [0.0] * 6 + [-48_000.0] * 8
        socs = [64.0 + n for n in range(8)] + [None] * 2 + [72.0] * 6 + [72.0 - 0.2 * n for n in range(8)]
        course = {"power_w": powers, "soc_pct": socs}
        return {
            "subject": evse["id"],
            "step_s": 300.0,
            "wall_s": times,
            "vehicle": [evse["vehicle"]] * 24,
            **course,
        }

    async def _orders(self, _params: dict[str, Any]) -> dict[str, Any]:
        return {"timezone": "Europe/Amsterdam", "orders": self.status["orders"]}

    async def _order(self, params: dict[str, Any]) -> dict[str, Any]:
        text = f"{params['kind']} {params['subject']} until 06:00"
        breaks = ["BUS03 would lack 12.0 kWh"] if params["kind"] == "boost" else []
        answer = {"given": not params.get("trial"), "text": text, "breaks": breaks, "kept": ""}
        if params.get("trial"):
            return answer
        self.orders.append(params)
        number = len(self.orders)
        self.status["orders"].append({"number": number, "subject": params["subject"], "text": text})
        return {**answer, "number": number}

    async def _undo(self, params: dict[str, Any]) -> dict[str, Any]:
        left = [each for each in self.status["orders"] if each["number"] != params["number"]]
        if left == self.status["orders"]:
            raise BadRequestError(f"there is no order {params['number']!r}; there stand: none")
        self.status["orders"] = left
        return {"text": "taken back", "kept": ""}

    async def _ocpp(self, params: dict[str, Any]) -> dict[str, Any]:
        operation = params.get("operation")
        if operation == "certificates":
            listener = {"listener": "0.0.0.0:8443", "file": "chain.pem", "until": "2026-02-03T00:00:00.000Z"}
            shown = {"station": "CP01", "serial": "3f", "until": "2099-01-01T00:00:00.000Z"}
            return {"outcome": "done", "stations": [shown], "listeners": [listener]}
        if operation == "rollout-status":
            if self.rollout is None:
                raise BadRequestError("there is no roll-out")
            return self.rollout
        if operation is not None:
            self.orders.append(params)
            if operation == "rollout-abort" and self.rollout is not None:
                self.rollout["state"] = "aborted"
            return {"outcome": "done"}
        outlet = {"evse": "E01", "discharge": "proven", "score": 0.98, "follows": True, "commanded_w": 0.0}
        station: dict[str, Any] = {
            "station": "CP01",
            "connected": True,
            "version": "2.1",
            "vendor": "Acme",
            "model": "X",
        }
        knock = {"station": "CP77", "peer": "192.0.2.7", "times": 3, "wall_s": NIGHT["wall_s"]}
        return {
            "stations": [station | {"firmware": "1.2", "outlets": [outlet], "told": {}}],
            "unknown": [knock | {"entry": '[[stations]]\nidentity = "CP77"\n'}],
        }

    async def _site_file(self, params: dict[str, Any]) -> dict[str, Any]:
        if "nonsense" in (params.get("text") or ""):
            raise BadRequestError("site.toml: line 1: Expected '=' after a key")
        if params.get("apply"):
            self.orders.append(params)
            applied, self.changes = self.changes, []
            return {"path": "/etc/v2g-edge/site.toml", "changes": applied, "applied": True}
        return {"path": "/etc/v2g-edge/site.toml", "changes": self.changes, "applied": False}

    async def _capacity(self, _params: dict[str, Any]) -> dict[str, Any]:
        sold = {"id": "r1", "service": "reserve", "until_wall_s": NIGHT["wall_s"] + 3_600.0}
        return {"offer": {}, "booked": False, "open": [sold | {"power_w": 40_000.0, "evse_w": {}}]}

    async def _health(self, _params: dict[str, Any]) -> dict[str, Any]:
        machine = {"memory_bytes": 90 << 20, "disk_free_bytes": 9 << 30, "temperature_c": None}
        facts = {"ready": True, "version": "0.4.0", "tick_age_s": 0.4, "links_up": 11, "links": 12}
        more = {"clock_synchronised": True, "journal_lost": 0, "acting": ["charger_silent"]}
        return facts | more | {"machine": machine}


@dataclass
class Place:
    """The console, its daemon, and clients of it."""

    console: Console
    daemon: FakeDaemon
    clock: Clock
    url: str
    _clients: list[httpx.AsyncClient] = field(default_factory=list)

    def client(self) -> httpx.AsyncClient:
        """A browser that has no session yet."""
        client = httpx.AsyncClient(base_url=self.url, timeout=30.0, trust_env=False)
        self._clients.append(client)
        return client

    async def as_(self, name: str) -> httpx.AsyncClient:
        """A browser in which ``name`` is logged in."""
        client = self.client()
        answer = await client.post("/api/login", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 204, answer.text
        client.headers["x-csrf-token"] = (await client.get("/api/session")).json()["csrf"]
        return client

    async def close(self) -> None:
        """Close all browsers."""
        for client in self._clients:
            await client.aclose()


@asynccontextmanager
async def serving(
    folder: Path, *, people: bool = True, read_s: float = 10.0, proxy: ProxyTrust | None = None
) -> AsyncIterator[Place]:
    """A console on a free port, its accounts made."""
    daemon, clock = FakeDaemon(folder / "control.sock"), Clock()
    await daemon.start()
    console = Console(
        Options("127.0.0.1", 0, str(folder / "control.sock"), folder / "state", read_s=read_s, proxy=proxy),
        clock,
    )
    for name, role in PEOPLE.items() if people else ():
        await console.accounts.add(name, role, PASSWORD)  # type: ignore[arg-type]
    task = asyncio.ensure_future(console.run())
    place = Place(console, daemon, clock, f"http://127.0.0.1:{console.port}")
    try:
        await until(lambda: console.is_up)
        yield place
    finally:
        await place.close()
        console.stop()
        await task
        await daemon.stop()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A console with one account of each role."""
    async with serving(tmp_path) as found:
        yield found


async def until(holds: Callable[[], bool], patience_s: float = 60.0) -> None:
    """Wait for it, on a busy machine too."""
    async with asyncio.timeout(patience_s):
        while not holds():  # noqa: ASYNC110 - it is not ours to signal
            await asyncio.sleep(0.01)
