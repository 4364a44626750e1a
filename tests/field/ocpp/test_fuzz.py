"""Broken frames of all versions: no crash, no unanswered call, no growth (``make fuzz`` looks longer)."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.ocpp import Target, mutate, seeds

SEEDS = seeds()
JUNK = st.binary(max_size=8) | st.sampled_from(
    [b"null", b"1e308", b"-1", b'""', b"[]", b"{}", b'"x"', b"true", b"\xff", b"9" * 30]
)
TARGET = Target()


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), st.tuples(st.integers(0, 4_000), st.integers(0, 4_000)), JUNK)
def test_a_damaged_message_is_answered_and_breaks_nothing(seed: bytes, cuts: tuple[int, int], junk: bytes) -> None:
    TARGET.feed(mutate(seed, cuts, junk))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.integers(0, 40), JUNK)
@example(b'[2,"1","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-01-01T00:00:00Z","sampledValue":[{"value":"1"}]}]}]', 3, b"null")  # fmt: skip  # noqa: E501
def test_any_single_value_may_be_replaced(seed: bytes, index: int, junk: bytes) -> None:
    places = [i for i, byte in enumerate(seed) if byte == ord(":")]
    if places:
        start = places[index % len(places)] + 1
        ends = [i for i in range(start, len(seed)) if seed[i] in b",}]"]
        TARGET.feed(seed[:start] + junk + seed[ends[0] :])


def test_every_whole_message_is_answered() -> None:
    for seed in SEEDS:
        TARGET.feed(seed)
