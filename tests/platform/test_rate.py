"""Rates: a whole burst at once, then one request an interval, to the microsecond."""

import pytest

from heddle_platform.rate import Rate, take

RATE = Rate(per_second=4.0, burst=3)
INTERVAL = 250_000  # microseconds


def test_a_full_bucket_gives_its_burst_and_then_one_request_an_interval() -> None:
    full_at, now = 0.0, 1_000_000.0
    remaining = []
    for _ in range(3):
        full_at, taken = take(full_at, now, RATE)
        assert (taken.allowed, taken.retry_after_seconds) == (True, 0.0)
        remaining.append(taken.remaining)
    assert remaining == [2, 1, 0]
    assert taken.reset_seconds == 0.75
    full_at, taken = take(full_at, now, RATE)
    assert (taken.allowed, taken.remaining, taken.retry_after_seconds) == (False, 0, 0.25)
    _, taken = take(full_at, now + INTERVAL - 1, RATE)
    assert not taken.allowed
    full_at, taken = take(full_at, now + INTERVAL, RATE)
    assert (taken.allowed, taken.remaining) == (True, 0)
    assert not take(full_at, now + INTERVAL, RATE)[1].allowed


def test_a_refused_request_costs_nothing() -> None:
    full_at, now = 0.0, 0.0
    for _ in range(3):
        full_at, _ = take(full_at, now, RATE)
    for _ in range(50):
        unchanged, taken = take(full_at, now, RATE)
        assert (unchanged, taken.allowed) == (full_at, False)
    assert take(full_at, now + INTERVAL, RATE)[1].allowed


def test_over_any_time_no_more_than_burst_and_rate_pass() -> None:
    full_at, passed = 0.0, 0
    for millisecond in range(10_000):
        full_at, taken = take(full_at, 1000.0 * millisecond, RATE)
        passed += taken.allowed
    assert passed == 3 + 39  # the burst, and one at each whole interval of 10 s after the first


def test_a_long_pause_fills_the_bucket_and_not_more() -> None:
    full_at, _ = take(0.0, 0.0, RATE)
    _, taken = take(full_at, 3_600e6, RATE)
    assert taken.remaining == 2


@pytest.mark.parametrize(("per_second", "burst", "window"), [(4.0, 3, 1), (0.5, 3, 6), (2_000.0, 4_000, 2)])
def test_the_window_is_the_time_that_fills_an_empty_bucket(per_second: float, burst: int, window: int) -> None:
    assert Rate(per_second, burst).window_seconds == window
