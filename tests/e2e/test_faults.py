"""The short form of the faults benchmark: ten blows from a seed while twenty fits run, and the reconciler's verdict."""

from heddle_infra import local
from tests.bench.fault_schedule import schedule
from tests.bench.faults import run
from tests.conftest import new_data_dir, running_stack, start_up


def test_the_same_seed_gives_the_same_schedule_and_strikes_everything() -> None:
    assert schedule(7, 200, 4.0) == schedule(7, 200, 4.0)
    assert schedule(7, 200, 4.0) != schedule(8, 200, 4.0)
    assert len({fault.victim for fault in schedule(7, 200, 4.0)}) == 7
    assert {fault.blow for fault in schedule(7, 200, 4.0)} == {"kill", "cut"}


def test_every_fit_succeeds_once_whatever_is_killed_meanwhile() -> None:
    data_dir = new_data_dir()  # of its own: other tests' stack shall not be killed under them
    try:
        stack = running_stack(start_up(data_dir))
        outcome = run(stack, seed=7, kills=10, fits=20, tenants=4, every_seconds=1.5, patience=240)
    finally:
        local.erase(data_dir)
        data_dir.parent.rmdir()
    assert sum(outcome.struck.values()) >= 5, "the fits were over before anything was killed"
    assert outcome.good, outcome.document()
