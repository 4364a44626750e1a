"""The moving mean: buckets of three seconds, a window of whole buckets, and silence that moves nothing."""

from v2g_edge.envelope.gridmean import MeanMemory, mean_add


def after(samples: list[tuple[float, float | None]], window_s: float = 6.0) -> MeanMemory:
    memory = MeanMemory()
    for at_s, volt in samples:
        memory = mean_add(memory, at_s, (volt,), window_s)
    return memory


def test_samples_of_three_seconds_share_a_bucket() -> None:
    memory = after([(0.0, 100.0), (2.9, 104.0), (3.0, 110.0)])
    assert memory.buckets == ((0.0, 2, (102.0,)), (3.0, 1, (110.0,)))
    assert memory.means == (106.0,)


def test_a_bucket_as_old_as_the_window_is_forgotten() -> None:
    assert [start_s for start_s, _, _ in after([(0.0, 1.0), (3.0, 1.0), (6.0, 1.0)]).buckets] == [3.0, 6.0]
    assert [start_s for start_s, _, _ in after([(0.0, 1.0), (3.0, 1.0), (6.0, 1.0)], 6.5).buckets] == [
        0.0,
        3.0,
        6.0,
    ]


def test_silence_counts_with_the_last_known_value_and_begins_nothing() -> None:
    assert after([(0.0, None)]) == MeanMemory()
    assert after([(0.0, 100.0), (1.0, None), (2.0, 103.0)]).means == (101.0,)
