"""What a training is given beside its recipe and its corpus, and what it tells whoever listens."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from heddle_platform.base.checkpoint import Checkpoints
from heddle_platform.base.peers import Alone, Peers
from heddle_platform.base.readings import Measurement, Score
from heddle_platform.base.run_log import RunTracker


@dataclass(frozen=True)
class TrainProgress:
    """Where a training stands.

    Attributes:
        done: share of the training, 0..1.
        step: steps taken.
        images_per_second: since the last report.
        seconds_left: estimated from the share done.
        losses: term -> nats per image, unweighted, running mean.
    """

    done: float
    step: int
    images_per_second: float
    seconds_left: float
    losses: dict[str, float]


class TrainListener(Protocol):
    """Whoever shows a training's progress."""

    def rendering(self, ready: int, wanted: int) -> None:
        """Images of the corpus that are ready, and that are wanted."""

    def training(self, progress: TrainProgress) -> None:
        """Called about once a second."""

    def measured(self, measurement: Measurement) -> None:
        """Figures on held-out images, with warnings if something goes wrong."""

    def exporting(self) -> None:
        """The training is over; the bundle is being made."""


@dataclass(frozen=True)
class Surroundings:
    """What a training is given beside its recipe and its corpus.

    Attributes:
        progress: is told how it goes.
        score: computes scores on the labelled slice; None: none are measured.
        checkpoints: where its state is kept; None: in its folder.
        tracker: keeps the run's log elsewhere too (an experiment tracker).
        peers: the processes that train together.
        clock: seconds by which a recipe's minutes are counted.
    """

    progress: TrainListener | None = None
    score: Score | None = None
    checkpoints: Checkpoints | None = None
    tracker: RunTracker | None = None
    peers: Peers = field(default_factory=Alone)
    clock: Callable[[], float] = time.monotonic
