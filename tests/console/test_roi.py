"""*ROI*: a study in a child of the console; its progress, its reports, its end, and who may ask for one."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli

from tests.console.conftest import Place, until
from v2g_edge.console import studies
from v2g_edge.console.studies import Busy, Job, Studies

EXAMPLE = tomli.loads(Path("examples/roi-50-vans.toml").read_text(encoding="utf-8")) | {"paths": 50}
HANGS = "import time; print('no progress yet', flush=True); time.sleep(600)"


async def ended(client: httpx.AsyncClient) -> dict[str, Any]:
    """The study, once it has ended; its progress never went back."""
    done = 0
    async with asyncio.timeout(120):
        while True:
            state: dict[str, Any] = (await client.get("/api/roi")).json()
            assert state["done"] >= done
            done = state["done"]
            if state["state"] not in ("waiting", "running"):
                return state
            await asyncio.sleep(0.1)  # as the page does


async def test_a_study_of_the_example_with_its_reports(place: Place) -> None:
    otto, erna = await place.as_("otto"), await place.as_("erna")
    assert (await otto.get("/api/roi")).json()["state"] == "none"
    began = await otto.post("/api/roi", json=EXAMPLE)
    assert (began.status_code, began.json()["state"]) == (202, "waiting")
    assert (await otto.post("/api/roi", json=EXAMPLE)).status_code == 409
    state = await ended(otto)
    assert (state["state"], state["done"], state["of"]) == ("done", 12, 12), state
    assert state["forms"] == ["csv", "pdf", "html", "json"]
    assert state["asked"]["fleet"]["vehicles"] == 50.0
    sheet = await otto.get("/api/roi/csv")
    assert sheet.headers["content-disposition"] == 'attachment; filename="roi.csv"'
    rows = {(row[0], row[1]): row[3:6] for row in csv.reader(io.StringIO(sheet.text)) if row[2] == "npv"}
    for each in state["result"]["results"]:
        assert [f"{value:.2f}" for value in each["npv"]] == rows[each["scenario"], each["way"]]
    assert (await otto.get("/api/roi/pdf")).content.startswith(b"%PDF")
    assert (await erna.get("/api/roi")).json()["state"] == "none"  # of another one nothing is seen
    assert (await erna.get("/api/roi/csv")).status_code == 404


async def test_assumptions_that_cannot_be_used_are_said_in_words(place: Place) -> None:
    otto = await place.as_("otto")
    wrong = EXAMPLE | {"fleet": EXAMPLE["fleet"] | {"vehicles": 0}}
    assert (await otto.post("/api/roi", json=wrong)).status_code == 202
    state = await ended(otto)
    assert (state["state"], state["fault"]) == (
        "failed",
        "fleet.vehicles is 0; allowed are 1 to 100000",
    )


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"prices": {"file": "/etc/passwd"}}, "prices.file"),
        ({"wear": {"model": "../../etc/passwd"}}, "wear.model"),
        ({"wear": {"model": "x.toml"}}, "wear.model"),
        ({"paths": 10_000_000}, "paths"),
        ({"fleet": {"vehicles": "NaN"}}, "fleet.vehicles"),
        ({"fleet": {str(n): 1.0 for n in range(50)}}, "fleet"),
        ({"prices_csv": "x" * 50_000}, "prices_csv"),
        ({"name": "a\nb"}, "name"),
    ],
)
async def test_what_a_study_may_not_be_asked(place: Place, change: dict[str, Any], where: str) -> None:
    """No file of the machine is read for it, and nothing unbounded is begun."""
    otto = await place.as_("otto")
    answer = await otto.post("/api/roi", json=EXAMPLE | change)
    assert answer.status_code == 422
    assert where in answer.json()["detail"]


async def test_only_who_may_order_asks_for_a_study(place: Place) -> None:
    vera, stranger = await place.as_("vera"), place.client()
    for client, status in ((vera, 403), (stranger, 401)):
        assert (await client.post("/api/roi", json=EXAMPLE)).status_code == status
        assert (await client.get("/api/roi")).status_code == status
        assert (await client.delete("/api/roi")).status_code == status


@pytest.fixture
async def made(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[float], Studies]]:
    """Studies whose child never ends by itself."""
    monkeypatch.setattr(studies, "BEGIN", HANGS)
    all_of_them: list[Studies] = []

    def make(within_s: float) -> Studies:
        all_of_them.append(Studies(within_s))
        return all_of_them[-1]

    yield make
    for each in all_of_them:
        await each.stop()


def is_running(job: Job) -> Callable[[], bool]:
    return lambda: job.state == "running"


async def test_a_study_is_cancelled_and_the_next_has_its_turn(made: Callable[[float], Studies]) -> None:
    found = made(600.0)
    first, second = found.start("anna", {}, ""), found.start("bert", {}, "")
    await until(is_running(first))
    assert second.state == "waiting"
    await found.cancel("anna")
    assert first.state == "cancelled"
    await until(is_running(second))
    await found.cancel("bert")
    await found.cancel("nobody")
    assert [first.is_open, second.is_open] == [False, False]
    assert found.start("anna", {}, "") is not first


async def test_one_study_a_person_and_few_that_wait(made: Callable[[float], Studies]) -> None:
    found = made(600.0)
    for n in range(1 + studies.WAITING_MAX):
        found.start(f"p{n}", {}, "")
    with pytest.raises(Busy, match="has not ended") as own:
        found.start("p0", {}, "")
    with pytest.raises(Busy, match="4 studies of others wait") as others:
        found.start("another", {}, "")
    assert (own.value.own, others.value.own) == (True, False)
    await found.stop()
    for n in range(20):  # those that have ended are forgotten, the oldest first
        found.start(f"q{n}", {}, "")
        await found.stop()
    assert [found.of("p0"), found.of("q0")] == [None, None]
    assert found.of("q19") is not None


async def test_a_study_that_does_not_end_in_time_is_ended(made: Callable[[float], Studies]) -> None:
    found = made(0.05)
    job = found.start("anna", {}, "")
    await until(lambda: not job.is_open)
    assert (job.state, job.fault) == ("failed", "the study did not end within 0.05 s; ask for fewer futures")


async def test_a_child_that_dies_is_a_study_that_failed(
    made: Callable[[float], Studies], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "BEGIN", "import os; os.abort()")
    found = made(60.0)
    job = found.start("anna", {}, "")
    await until(lambda: not job.is_open)
    assert (job.state, job.fault) == ("failed", "it ended with -6")
