"""``night``: the report of a past night; ``money``: what some days earned. Each is made by a process of its
own, because it reads for seconds.
"""

import asyncio
import sys
from collections import OrderedDict
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec

from v2g_edge.host.control import BadRequestError

WITHIN_S: Final = 120.0
"""A night of 200 outlets takes some 20 s on a small computer."""
KEPT: Final = 8
"""Reports that are kept: people look at the last few nights again and again."""
REPORT_MAX: Final = 4 << 20
"""Octets; the report of 1,000 outlets has half a megabyte."""
DONE: Final = (0, 1)
"""Exit codes with a report: all were ready, some were not."""
BEGIN: Final = (
    "from v2g_edge.priority import give_way; give_way(); from v2g_edge.cli.main import main; import sys;"
    " sys.exit(main())"
)
"""The decision goes first: the report takes what is left of the processor."""


MONEY_KEPT_S: Final = 600.0
"""The ledger grows once a day: the same question gets the same answer for so long."""


class PastApi:
    """Answers for past nights, one question at a time. ``config`` is the site file, with its prices."""

    def __init__(self, config: Path, journal: Path) -> None:
        site = ("--format", "json", "--config", str(config))
        self._report = ("report", *site, "--journal", str(journal))
        self._money = ("money", *site, "--ledger", str(journal.with_name("ledger.db")))
        self._asked: tuple[tuple[str, ...], float, dict[str, Any]] | None = None
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._one = asyncio.Lock()

    async def night(self, params: dict[str, Any]) -> dict[str, Any]:
        """The night of the evening ``night`` (ISO date), else the last whole one. BadRequestError says why
        there is none.
        """
        evening = _day(params, "night")
        self._check_free()
        async with self._one:
            if evening not in self._kept:
                report = await _made((*self._report, *(("--night", evening) if evening else ())))
                if not evening:
                    return report  # the last night is another one tomorrow
                self._kept[evening] = report
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            return self._kept[evening]

    async def money(self, params: dict[str, Any]) -> dict[str, Any]:
        """What was earned, paid and worn from the local day ``from`` up to ``until`` (ISO dates), by the
        ledger as it is; all of it without them. BadRequestError says why there is none.
        """
        days = [(f"--{name}", day) for name in ("from", "until") if (day := _day(params, name))]
        words = (*self._money, *(word for pair in days for word in pair))
        self._check_free()
        async with self._one:
            now_s = asyncio.get_running_loop().time()
            if self._asked is None or self._asked[0] != words or now_s - self._asked[1] > MONEY_KEPT_S:
                self._asked = words, now_s, await _made(words)
            return self._asked[2]

    def _check_free(self) -> None:
        if self._one.locked():
            raise BadRequestError("another report is being made; ask again in a few seconds")


def _day(params: dict[str, Any], name: str) -> str:
    asked = str(params.get(name) or "")
    try:
        return date.fromisoformat(asked).isoformat() if asked else ""
    except ValueError as error:
        raise BadRequestError(f"{asked!r} is no date; write it like 2026-01-31") from error


async def _made(words: tuple[str, ...]) -> dict[str, Any]:
    """What the command line says in a child, as JSON."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BEGIN, *words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            out, said = await child.communicate()
    except TimeoutError as error:
        raise BadRequestError(f"the report was not made within {WITHIN_S:g} s") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode not in DONE or not out or len(out) > REPORT_MAX:
        lines = said.decode("utf-8", "replace").strip().splitlines() or ["no report was made"]
        raise BadRequestError(lines[-1][:500])
    report: dict[str, Any] = msgspec.json.decode(out, type=dict[str, Any])
    return report
