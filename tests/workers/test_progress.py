"""Progress out of running work: in order, coarse, with the result or the error last; stopped when nobody listens."""

import threading

import pytest

from heddle_platform.errors import InvalidInput
from heddle_workers.progress import Failed, Progress, Report, streamed


def test_reports_come_in_order_and_the_result_last() -> None:
    def work(report: Report) -> str:
        report("encoding", 0.0)
        report("encoding", 0.5)
        report("scoring", 0.5)
        return "done"

    assert list(streamed(work)) == [
        Progress("encoding", 0.0),
        Progress("encoding", 0.5),
        Progress("scoring", 0.5),
        "done",
    ]


def test_steps_too_fine_to_see_are_left_out() -> None:
    def work(report: Report) -> int:
        for step in range(1_001):
            report("encoding", step / 1_000)
        return 0

    messages = list(streamed(work))
    assert 40 <= len(messages) <= 52
    assert messages[-1] == 0


def test_what_the_work_raises_comes_as_a_value() -> None:
    def work(_report: Report) -> int:
        raise InvalidInput("too few labels", code="too_few_labels")

    [failed] = list(streamed(work))
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, InvalidInput)
    assert failed.error.code == "too_few_labels"


def test_work_stops_at_its_next_report_when_the_consumer_goes_away() -> None:
    closing, stopped = threading.Event(), threading.Event()

    def work(report: Report) -> int:
        try:
            report("encoding", 0.1)
            closing.wait(30)
            report("encoding", 0.9)
        except BaseException:
            stopped.set()
            raise
        return 0

    stream = streamed(work)
    assert next(stream) == Progress("encoding", 0.1)
    timer = threading.Timer(0.2, closing.set)  # close() has said stop by then, and waits for the work
    timer.start()
    stream.close()  # type: ignore[attr-defined]
    assert stopped.is_set()
    with pytest.raises(StopIteration):
        next(stream)
