"""No answer repeats what a station need not hear again: what it sends beside OCPP's own words stays there."""

from typing import Any, Final

import msgspec
import pytest

from tests.field.ocpp.samples import sample
from tests.fuzz.ocpp import UNREADABLE, Target
from v2g_edge.field.ocpp.wire.events import CallIn
from v2g_edge.field.ocpp.wire.messages import FROM_STATION, VERSIONS, Version

ANSWER_MAX: Final = 1 << 10
"""Octets of an answer to a message with one element in each of its lists."""
BESIDE: Final = {"customData": {"vendorId": "x"} | {f"k{n}": "x" for n in range(200)}}
"""OCPP 2.x allows it in each table, with whatever is in it."""


def crowded(value: Any) -> Any:
    """``value`` with ``BESIDE`` in each of its tables."""
    if isinstance(value, dict):
        return {key: crowded(part) for key, part in value.items()} | BESIDE
    return [crowded(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("version", VERSIONS)
def test_an_answer_is_short_however_much_stands_beside_the_words_of_a_call(version: Version) -> None:
    """Lenient links let unknown names pass."""
    (machine, adapter), *_ = (
        side for side in Target()._sides if side[0].version == version and not side[0].strict
    )
    longest: dict[str, int] = {}
    for action in sorted(FROM_STATION[version]):
        request = crowded(sample(version, action, "request"))
        machine.receive(msgspec.json.encode([2, action, action, request]), 0.0)
        for event in machine.events():
            assert isinstance(event, CallIn)
            try:
                machine.answer(event.id, adapter.answer(event.action, event.payload))
            except UNREADABLE:
                machine.refuse(event.id, "FormatViolation")
        longest[action] = sum(map(len, machine.frames()))
    assert {action: size for action, size in longest.items() if size > ANSWER_MAX} == {}
    assert longest["BootNotification"] > len("[]")
