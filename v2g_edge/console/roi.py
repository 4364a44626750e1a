"""The REST of *ROI*: assumptions in; a study of thousands of futures out, its progress and its reports."""

from typing import Annotated, Any, Final, Literal

import msgspec
import structlog
from fastapi import Depends, FastAPI, HTTPException, Response
from pydantic import BaseModel, Field, FiniteFloat

from v2g_edge.console.accounts import Person
from v2g_edge.console.authorization import Authorization
from v2g_edge.console.bodies import Strict
from v2g_edge.console.schema import Answer, Refusal
from v2g_edge.console.studies import Busy, Job, State, Studies

log = structlog.get_logger()

FUTURES_MAX: Final = 20_000
"""More would take more memory than the console's unit has; the command line takes 200,000."""
PRICES_MAX: Final = 48_000
"""Characters of a price file: a month of hours. A body has 64 KiB at most."""
MEDIA: Final = {"csv": "text/csv", "pdf": "application/pdf", "html": "text/html", "json": "application/json"}
REPORT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The report",
        "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA.values()},
    }
}

Name = Annotated[str, Field(max_length=40)]
Figures = Annotated[dict[Name, FiniteFloat], Field(max_length=40)]


class RoiPrices(Strict):
    """Prices of energy; 24 of a curve, or a price file beside."""

    curve: list[FiniteFloat] = Field(default=[], max_length=24)
    day_spread: FiniteFloat | None = None
    buy_add: FiniteFloat | None = None
    sell_add: FiniteFloat | None = None
    growth_pct: FiniteFloat | None = None
    growth_sd_pct: FiniteFloat | None = None


class RoiWear(Strict):
    """The battery's cost, by a shipped wear model or as it is given."""

    model: str = Field(default="", pattern="^[a-z0-9-]{0,40}$")
    pack_price_per_kwh: FiniteFloat | None = None
    per_kwh: FiniteFloat | None = None
    sd_pct: FiniteFloat | None = None


class RoiRequest(Strict):
    """Assumptions, as the file of ``v2g-edge roi`` has them. ``prices_csv``: the text of a price file, in
    place of a curve.
    """

    name: str = Field(default="Depot", min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")
    currency: str = Field(default="EUR", pattern="^[A-Z]{3}$")
    years: int = Field(default=10, ge=1, le=40)
    discount_pct: FiniteFloat = 6.0
    paths: int = Field(default=10_000, ge=10, le=FUTURES_MAX)
    seed: int = Field(default=1, ge=0, le=2**31)
    fleet: Figures
    prices: RoiPrices
    services: Figures = Field(default={})
    wear: RoiWear = RoiWear()
    costs: Figures = Field(default={})
    risk: Figures = Field(default={})
    seasonal_weight: dict[Literal["winter", "spring", "summer", "autumn"], FiniteFloat] = Field(default={})
    scenarios: Annotated[dict[Name, Figures], Field(max_length=6)] | None = None
    prices_csv: str = Field(default="", max_length=PRICES_MAX)


class RoiState(BaseModel):
    """How far the last study of the person is. ``fault`` says why it failed, ``forms`` which reports there
    are.
    """

    state: State
    done: int
    of: int
    fault: str
    forms: list[str]
    asked: Answer | None
    result: Answer | None


def add_roi(api: FastAPI, studies: Studies, doors: Authorization) -> None:
    """Add the routes."""
    operator = Depends(doors.operator)

    @api.post(
        "/api/roi", status_code=202, response_model=RoiState,
        responses={409: {"model": Refusal, "description": "A study of the same person has not ended"}},
    )  # fmt: skip
    async def begin(body: RoiRequest, person: Annotated[Person, operator]) -> Response:
        """Begin a study of an investment. It runs beside control, one at a time; ask for it with GET."""
        asked = body.model_dump(exclude_none=True, exclude={"prices_csv"})
        if body.prices_csv:
            asked["prices"] = {**asked["prices"], "file": "prices.csv", "curve": []}
        try:
            job = studies.start(person.name, asked, body.prices_csv)
        except Busy as fault:
            raise HTTPException(409 if fault.own else 503, str(fault)) from fault
        log.info("console_study", by=person.title, paths=body.paths)
        return _state(job, 202)

    @api.get("/api/roi", response_model=RoiState)
    async def state(person: Annotated[Person, operator]) -> Response:
        """One's last study: its progress, then its result."""
        return _state(studies.of(person.name))

    @api.delete("/api/roi", status_code=204)
    async def cancel(person: Annotated[Person, operator]) -> None:
        """End one's study, if one waits or runs."""
        await studies.cancel(person.name)

    @api.get("/api/roi/{form}", response_class=Response, responses=REPORT)
    async def report(
        form: Literal["csv", "pdf", "html", "json"], person: Annotated[Person, operator]
    ) -> Response:
        """The report of one's last study, as a file."""
        job = studies.of(person.name)
        if job is None or form not in job.reports:
            raise HTTPException(404, f"there is no {form} of a study of yours; begin one with POST /api/roi")
        headers = {"content-disposition": f'attachment; filename="roi.{form}"'}
        return Response(job.reports[form], media_type=MEDIA[form], headers=headers)


def _state(job: Job | None, status: int = 200) -> Response:
    told: dict[str, Any] = {"state": "none", "done": 0, "of": 0, "fault": "", "asked": None, "result": None}
    forms: list[str] = []
    if job is not None:
        told = {key: getattr(job, key) for key in told}
        forms = list(job.reports)
    return Response(msgspec.json.encode({**told, "forms": forms}), status, media_type="application/json")
