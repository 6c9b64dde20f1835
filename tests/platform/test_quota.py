"""Quotas: a refusal names its limit and holds all numbers."""

from typing import Any

import pytest

from heddle_platform.errors import QuotaExceeded, RateLimited
from heddle_platform.quota import COUNTED, LIMITS, Counted, default_quota, refusal
from heddle_platform.settings import QuotaSettings


def test_up_to_the_limit_fits_and_one_more_does_not() -> None:
    assert refusal("images", used=90, wanted=10, most=100) is None
    error = refusal("images", used=90, wanted=11, most=100)
    assert isinstance(error, QuotaExceeded)
    assert (error.code, error.param, error.retryable) == ("quota_exceeded", "images", False)
    assert all(number in error.message for number in ("90", "11", "100"))


def test_who_has_too_much_queued_need_only_wait() -> None:
    error = refusal("queued_jobs", used=5, wanted=1, most=5)
    assert isinstance(error, RateLimited)
    assert (error.code, error.retryable, error.retry_after_seconds > 0) == ("quota_exceeded", True, True)


@pytest.mark.parametrize("limit", COUNTED)
def test_every_refusal_says_what_to_do(limit: Counted) -> None:
    error = refusal(limit, 1, 1, 1)
    assert error is not None
    assert error.message.endswith(("operator for more", "cancel some"))


def test_every_limit_has_a_default_that_settings_change(monkeypatch: Any) -> None:
    monkeypatch.setenv("HEDDLE_QUOTA_ADAPTERS", "7")
    quota = default_quota(QuotaSettings())
    assert (quota.adapters, quota.weight, quota.running_jobs) == (7, 1.0, None)
    assert all(getattr(quota, name) is not None for name in LIMITS if name != "running_jobs")
