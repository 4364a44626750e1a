"""Reports come in parts, under the number of the request that announced them; what nobody waits for is
left alone.
"""

import time

import pytest
import structlog

from v2g_edge.field.ocpp.vocabulary.reports import OCTETS_MAX, PARTS_MAX, Reports


async def test_a_report_is_complete_with_its_last_part() -> None:
    reports = Reports()
    number, report = reports.expect()
    assert reports.took(number, [{"a": 1}], more=True)
    assert not report.done()
    assert reports.took(number, [{"b": 2}], more=False)
    assert await report == [{"a": 1}, {"b": 2}]
    assert reports.took(number, [{"late": 3}], more=False), "a repeated last part does no harm"


async def test_two_reports_do_not_mix_and_numbers_are_not_used_again() -> None:
    reports = Reports()
    (one, first), (two, second) = reports.expect(), reports.expect()
    assert one != two
    reports.took(two, [{"of": "two"}], more=False)
    reports.took(one, [{"of": "one"}], more=False)
    assert (await first, await second) == ([{"of": "one"}], [{"of": "two"}])
    reports.forget(one)
    assert reports.expect()[0] not in {one, two}


async def test_what_nobody_waits_for_is_not_kept() -> None:
    reports = Reports()
    number, report = reports.expect()
    reports.took(number, [{"a": 1}], more=True)
    assert reports.forget(number) == [{"a": 1}], "what has come so far"
    assert not reports.took(number, [{"b": 2}], more=False)
    assert not reports.took(999, [{}], more=False)
    assert reports.forget(number) == []
    assert not report.done()


@pytest.mark.parametrize(
    ("action", "payload", "parts"),
    [
        ("NotifyReport", {"reportData": [{"x": 1}]}, [{"x": 1}]),
        ("NotifyMonitoringReport", {"monitor": [{"x": 1}]}, [{"x": 1}]),
        ("NotifyReport", {}, []),
        ("NotifyReport", {"reportData": {"x": 1}}, [{"x": 1}]),
    ],
)
async def test_a_message_that_carries_the_number_is_a_part(
    action: str, payload: dict[str, object], parts: list[dict[str, int]]
) -> None:
    reports = Reports()
    number, report = reports.expect()
    for odd in (None, "1", 1_000):
        reports.on_message(action, {**payload, "requestId": odd})
    reports.on_message("Heartbeat", {"requestId": number})
    assert not report.done()
    reports.on_message(action, {**payload, "requestId": number})
    assert await report == parts


@pytest.mark.parametrize(
    ("part", "kept"),
    [({"x": "y" * 1_000}, OCTETS_MAX // 1_008), ({}, PARTS_MAX)],
    ids=["octets", "rows"],
)
async def test_a_report_without_end_is_kept_up_to_a_size_and_never_complete(
    part: dict[str, str], kept: int
) -> None:
    reports = Reports("new")
    number, report = reports.expect()
    with structlog.testing.capture_logs() as logged:
        for _ in range(50):
            reports.took(number, [dict(part) for _ in range(1_000)], more=True)
        reports.took(number, [], more=False)
    assert not report.done()
    assert len(reports.forget(number)) == kept
    assert [(each["event"], each["station"], each["parts"]) for each in logged] == [
        ("report_too_long", "new", kept)
    ]


async def test_a_part_that_is_heard_twice_counts_once_however_many_there_are() -> None:
    reports = Reports()
    number, report = reports.expect()
    parts = [{"row": row} for row in range(15_000)]
    began_s = time.process_time()
    reports.took(number, parts, more=True)
    reports.took(number, parts, more=False)
    assert await report == parts
    assert time.process_time() - began_s < 2.0, "comparing each with each took minutes"
