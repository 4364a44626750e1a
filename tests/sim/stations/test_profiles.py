"""Profile stacking as OCPP has it: a lapsed transaction profile falls back to the default, maxima cut,
same id replaces.
"""

from sim.stations.profiles import NEVER_S, Profile, ProfileStore

T = 1_768_000_000.0


def profile(
    ident: int, purpose: str, limit_w: float, *, stack: int = 0, start_s: float = T, end_s: float = NEVER_S
) -> Profile:
    transaction = "t1" if purpose == "tx" else ""
    return Profile(ident, stack, purpose, 1, start_s, end_s, ((0, limit_w),), transaction)  # type: ignore[arg-type]


def test_a_lapsed_lease_falls_back_to_the_default() -> None:
    store = ProfileStore()
    assert store.limit_w(1, "t1", T) is None
    store.put(profile(1, "default", 6_000))
    store.put(profile(2, "tx", -50_000, end_s=T + 30))
    assert store.limit_w(1, "t1", T + 29.9) == -50_000
    assert store.limit_w(1, "t1", T + 30) == 6_000
    assert store.limit_w(1, "", T + 1) == 6_000, "a transaction's profile rules in that transaction only"
    assert store.limit_w(1, "t2", T + 1) == 6_000
    store.put(profile(2, "tx", -50_000, end_s=T + 90))
    assert store.limit_w(1, "t1", T + 60) == -50_000


def test_the_highest_stack_level_in_force_wins_and_a_maximum_cuts() -> None:
    store = ProfileStore()
    store.put(profile(1, "default", 6_000))
    store.put(profile(2, "default", 9_000, stack=3, end_s=T + 10))
    assert store.limit_w(1, "", T) == 9_000
    assert store.limit_w(1, "", T + 10) == 6_000
    store.put(Profile(3, 0, "max", 0, T, NEVER_S, ((0, 8_000), (5, 2_000))))
    assert [store.limit_w(1, "", T + n) for n in (0, 5, 10)] == [8_000, 2_000, 2_000]


def test_another_id_at_the_same_level_conflicts_for_a_transaction_and_replaces_a_default() -> None:
    store = ProfileStore()
    assert store.put(profile(1, "tx", 1_000))
    assert not store.put(profile(2, "tx", 2_000))
    assert store.put(profile(3, "default", 3_000))
    assert store.put(profile(4, "default", 4_000))
    assert {known.id for known in store.all()} == {1, 4}


def test_clearing_takes_what_matches_every_criterion() -> None:
    store = ProfileStore()
    store.put(profile(1, "tx", 1_000))
    store.put(profile(2, "default", 2_000))
    assert store.clear(purpose="tx", outlet=2) == 0
    assert store.clear(purpose="tx") == 1
    assert store.limit_w(1, "t1", T) == 2_000
    assert store.clear() == 1


def test_a_composite_schedule_shows_what_will_happen() -> None:
    store = ProfileStore()
    store.put(profile(1, "default", 6_000))
    store.put(profile(2, "tx", -50_000, end_s=T + 30))
    assert store.composite(1, "t1", T + 10, 100, 99_000) == [(0, -50_000), (20, 6_000)]
    store.clear()
    assert store.composite(1, "t1", T, 100, 99_000) == [(0, 99_000)]
