"""Broken frames of all versions: no crash, no unanswered call, no growth (``make fuzz`` looks longer)."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.ocpp import Target, mutate, seeds, vary

SEEDS = seeds()
JUNK = st.binary(max_size=8) | st.sampled_from(
    [b"null", b"1e308", b"-1", b'""', b"[]", b"{}", b'"x"', b"true", b"\xff", b"9" * 30]
)
TARGET = Target()


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), st.tuples(st.integers(0, 4_000), st.integers(0, 4_000)), JUNK)
def test_a_damaged_message_is_answered_and_breaks_nothing(
    seed: bytes, cuts: tuple[int, int], junk: bytes
) -> None:
    TARGET.feed(mutate(seed, cuts, junk))


@settings(max_examples=600, deadline=None)
@given(st.sampled_from([seed for seed in SEEDS if seed.startswith((b"[2,", b"[6,"))]), st.integers(0, 2**32))
def test_any_values_may_be_replaced_or_left_out(seed: bytes, dice: int) -> None:
    TARGET.feed(vary(seed, dice))


METER_16 = (
    '[2,"1","MeterValues",{"connectorId":1,"meterValue":'
    '[{"timestamp":"2026-01-01T00:00:00Z","sampledValue":%s}]}]'
)


@pytest.mark.parametrize("values", ['[{"value":"1"}]', "null", "7", '[null,{"value":null}]'])
def test_meter_values_of_any_kind_are_answered(values: str) -> None:
    TARGET.feed((METER_16 % values).encode())


def test_every_whole_message_is_answered() -> None:
    for seed in SEEDS:
        TARGET.feed(seed)
