"""A training's progress as a person sees it: bars on a terminal, lines in a file."""

import io

import pytest
from rich.console import Console

from heddle_platform.base.progress import LineProgress, shown_progress
from heddle_platform.base.train import TrainProgress

HALFWAY = TrainProgress(0.5, 1_200, 350.0, 65.0, {"kl": 12.34})


@pytest.mark.parametrize("terminal", [True, False])
def test_it_tells_speed_time_left_and_losses(terminal: bool) -> None:
    out = io.StringIO()
    with shown_progress(Console(file=out, force_terminal=terminal, width=200)) as progress:
        progress.rendering(500, 1_000)
        progress.training(HALFWAY)
        progress.exporting()
    for words in ("500 of 1,000 images", "step 1,200", "350 images/s", "1:05 left", "kl 12.3", "exporting the bundle"):
        assert words in out.getvalue()


def test_a_file_gets_one_line_a_minute_and_the_last_one() -> None:
    out = io.StringIO()
    lines = LineProgress(Console(file=out, width=200))
    for ready in range(0, 1_001, 10):
        lines.rendering(ready, 1_000)
    assert [line.split()[0:2] for line in out.getvalue().splitlines()] == [["rendering", "0%"], ["rendering", "100%"]]
