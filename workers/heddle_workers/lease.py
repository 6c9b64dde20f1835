"""A lease: one job held by this dispatcher, what is being done for it, and why that was stopped."""

import asyncio
from dataclasses import dataclass, field
from typing import Literal

from heddle_infra.database.queue import Beat
from heddle_platform.records import Job

Stop = Literal["cancelled", "lost", "shutdown"]


@dataclass
class Lease:
    """A job in work.

    Attributes:
        job: as it was claimed; its `attempt` is the fencing token.
        stage, progress: what was reported last; progress never falls.
        stopped: why the work was stopped from outside, or None.
        ending: the work is done and its outcome is being written: it is not stopped any more.
    """

    job: Job
    stage: str = "starting"
    progress: float = 0.0
    stopped: Stop | None = None
    ending: bool = False
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def report(self, stage: str, share: float) -> None:
        """Note what is being done and the share of the whole job that is."""
        self.stage = stage
        self.progress = max(self.progress, min(share, 1.0))

    def beat(self) -> Beat:
        """Return what the database shall know."""
        return Beat(self.job.id, self.job.attempt, self.stage, round(self.progress, 3))

    def stop(self, why: Stop) -> None:
        """Stop the work, unless its outcome is being written already."""
        if not self.ending and self.task is not None and self.stopped is None:
            self.stopped = why
            self.task.cancel()
