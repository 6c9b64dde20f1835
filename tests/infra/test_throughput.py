"""Throughput and foretold times against runs whose sums are known."""

from datetime import UTC, datetime, timedelta

import pytest

from heddle_infra.database.throughput import running_estimate, throughput_of, waiting_estimate
from heddle_platform.records import Job

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def a_job(**change: object) -> Job:
    kept: dict[str, object] = dict.fromkeys(("stage", "error", "result", "started_at", "finished_at"))
    kept |= {"id": "job_x", "tenant_id": "ten_x", "type": "fit", "status": "running", "spec": {}, "attempt": 1}
    return Job.model_validate(kept | {"progress": 0.0, "cancel_requested": False, "created_at": NOON} | change)


def test_idle_time_between_jobs_is_not_counted_and_side_by_side_is_once() -> None:
    runs = [(at(0), at(4), 400.0), (at(2), at(4), 200.0), (at(100), at(102), 200.0)]
    found = throughput_of(runs)
    assert found is not None
    assert found.units_per_second == pytest.approx(800 / 6)
    assert found.seconds_per_unit == pytest.approx(0.01)
    assert (found.jobs, found.seconds_each) == (3, 2.0)
    assert throughput_of([]) is None


def test_a_waiting_job_starts_when_those_before_it_are_through() -> None:
    found = throughput_of([(at(0), at(2), 200.0)])
    assert found is not None
    told = waiting_estimate(NOON, 1_000.0, 400.0, found)
    assert (told.start_at, told.end_at) == (at(10), at(14))


def test_a_running_job_is_told_by_its_progress_and_before_that_by_others() -> None:
    found = throughput_of([(at(0), at(2), 200.0)])
    told = running_estimate(at(6), a_job(started_at=NOON, progress=0.75, cost=200.0), found)
    assert told is not None
    assert told.end_at == at(8)
    fresh = running_estimate(at(1), a_job(started_at=NOON, progress=0.01, cost=300.0), found)
    assert fresh is not None
    assert fresh.end_at == at(3)
    late = running_estimate(at(60), a_job(started_at=NOON, cost=300.0), found)
    assert late is not None
    assert late.end_at == at(60), "never in the past"
    assert running_estimate(at(1), a_job(started_at=NOON), None) is None
