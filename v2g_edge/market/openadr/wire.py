"""Objects of OpenADR 3.1 as far as they are used, its times and durations. Unknown fields are passed over."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

FOREVER_S: Final = 1e12
"""Stands for P9999Y and all that is as long, in seconds."""

_DURATION: Final = re.compile(
    r"^(?P<sign>[+-]?)P(?:(?P<Y>\d{1,6})Y)?(?:(?P<Mo>\d{1,6})M)?(?:(?P<W>\d{1,6})W)?(?:(?P<D>\d{1,6})D)?"
    r"(?:T(?:(?P<H>\d{1,9})H)?(?:(?P<M>\d{1,9})M)?(?:(?P<S>\d{1,12}(?:\.\d{1,9})?)S)?)?$"
)
_SECONDS: Final = {
    "Y": 365.0 * 86_400.0,
    "Mo": 30.0 * 86_400.0,
    "W": 7.0 * 86_400.0,
    "D": 86_400.0,
    "H": 3_600.0,
    "M": 60.0,
    "S": 1.0,
}

Text = Annotated[str, Meta(max_length=512)]


class BadAnswer(ValueError):  # noqa: N818 - names the fault of a VTN
    """What a VTN sent cannot be used; the message says what was found."""


class Payload(Struct, frozen=True):
    """Values of one type, such as PRICE or IMPORT_CAPACITY_LIMIT."""

    type: Text
    values: list[Any]


class Period(Struct, frozen=True, rename="camel"):
    """A start, a length, and how far a start may be moved at random."""

    start: Text = ""
    duration: Text = ""
    randomize_start: Text = ""


class Interval(Struct, frozen=True, rename="camel"):
    """One step of an event. Without a period of its own it begins where the one before ends."""

    payloads: list[Payload]
    id: int = 0
    interval_period: Period | None = None


class Descriptor(Struct, frozen=True, rename="camel"):
    """Unit and currency of a type of payload."""

    payload_type: Text
    units: Text | None = None
    currency: Text | None = None


class ReportDescriptor(Struct, frozen=True, rename="camel"):
    """What an event asks to be reported."""

    payload_type: Text
    units: Text | None = None


class Programme(
    Struct, frozen=True, rename={"id": "id", "name": "programName", "descriptors": "payloadDescriptors"}
):
    """A programme; its descriptors hold where an event has none."""

    id: Text
    name: Text = ""
    descriptors: list[Descriptor] | None = None


class AdrEvent(
    Struct,
    frozen=True,
    rename={
        "programme": "programID",
        "name": "eventName",
        "created": "createdDateTime",
        "modified": "modificationDateTime",
        "descriptors": "payloadDescriptors",
        "reports": "reportDescriptors",
        "period": "intervalPeriod",
    },
):
    """An event. Lower ``priority`` is more important; None is least."""

    id: Text
    programme: Text
    intervals: Annotated[list[Interval], Meta(max_length=3_000)]
    name: Text | None = None
    created: Text = ""
    modified: Text = ""
    duration: Text | None = None
    priority: int | None = None
    targets: list[Text] | None = None
    descriptors: list[Descriptor] | None = None
    reports: list[ReportDescriptor] | None = None
    period: Period | None = None


def duration_s(text: str | None) -> float | None:
    """Seconds of an ISO 8601 duration; None for "". ``BadAnswer`` where it is none."""
    if not text:
        return None
    found = _DURATION.match(text)
    if found is None or text.rstrip("T") in {"P", "+P", "-P"}:
        raise BadAnswer(f"{text[:40]!r} is no duration; allowed are such as PT1H, P1D, P9999Y")
    total_s = sum(float(found[unit] or 0.0) * each_s for unit, each_s in _SECONDS.items())
    return min(-total_s if found["sign"] == "-" else total_s, FOREVER_S)


def wall_s(text: str) -> float | None:
    """UTC epoch seconds of a time; None for the year 1, which stands for "now". ``BadAnswer`` where it is
    no time; one without an offset counts as UTC.
    """
    try:
        moment = datetime.fromisoformat(text.strip().upper())
        if moment.year == 1:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as fault:
        raise BadAnswer(f"{text[:40]!r} is no time; allowed are such as 2026-11-28T12:00:00Z") from fault


def read_list(data: bytes, kind: type[Any], what: str) -> tuple[list[Any], list[str]]:
    """The objects of an answer, and what is wrong with those that cannot be used. One bad object spoils no
    other. ``BadAnswer`` where the whole is no list.
    """
    if data.lstrip()[:1] != b"[":
        shown = data[:60].decode("utf-8", "replace")
        raise BadAnswer(f"the list of {what} begins with {shown!r}: it is no JSON list")
    try:
        raw = msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError) as fault:
        raise BadAnswer(f"the list of {what} is no JSON: {fault}") from fault
    good, bad = [], []
    for each in raw:
        try:
            good.append(msgspec.json.decode(each, type=kind))
        except (msgspec.MsgspecError, RecursionError) as fault:
            bad.append(f"one of the {what} cannot be used: {str(fault)[:150]}")
    return good, bad
