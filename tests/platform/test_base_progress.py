"""A training's progress as a person sees it: bars on a terminal, lines in a file."""

import io

import pytest
from rich.console import Console

from heddle_platform.base.alarms import Alarm
from heddle_platform.base.progress import LineProgress, shown_progress
from heddle_platform.base.readings import Measurement, Reading
from heddle_platform.base.surroundings import TrainProgress

MEASURED = Measurement(
    step=5,
    elapsed_seconds=1,
    losses={},
    mse={"thumbs": 0.02},
    edges={"thumbs": 0.1},
    active_units=1,
    kl_per_latent=(2.0, 0.0),
    scores={"thumbs": {"mig": Reading(value=0.3)}},
    warnings=(Alarm(name="blurry", finding="flat", advice="train longer"),),
)
HALFWAY = TrainProgress(0.5, 1_200, 350.0, 65.0, {"kl": 12.34})


@pytest.mark.parametrize("terminal", [True, False])
def test_it_tells_speed_time_left_and_losses(terminal: bool) -> None:
    out = io.StringIO()
    with shown_progress(Console(file=out, force_terminal=terminal, width=200)) as progress:
        progress.rendering(500, 1_000)
        progress.training(HALFWAY)
        progress.measured(MEASURED)
        progress.exporting()
    for words in (
        "MSE 0.0200",
        "2.0 nats",
        "1 active units",
        "MIG 0.30",
        "warning blurry: flat; train longer",
        "500 of 1,000 images",
        "step 1,200",
        "350 images/s",
        "1:05 left",
        "kl 12.3",
        "exporting the bundle",
    ):
        assert words in out.getvalue()


def test_a_file_gets_one_line_a_minute_and_the_last_one() -> None:
    out = io.StringIO()
    lines = LineProgress(Console(file=out, width=200))
    for ready in range(0, 1_001, 10):
        lines.rendering(ready, 1_000)
    assert [line.split()[0:2] for line in out.getvalue().splitlines()] == [["rendering", "0%"], ["rendering", "100%"]]
