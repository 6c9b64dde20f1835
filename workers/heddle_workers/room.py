"""Room: how much more a dispatcher takes on. A job takes as much as half a chunk of fits with brief cards."""

import math
from collections.abc import Sequence

from heddle_platform.records import Job
from heddle_platform.settings import DispatchSettings


def is_small(job: Job) -> bool:
    """Tell whether a job goes to Ray in a chunk with others."""
    return job.type == "fit" and job.spec.get("card") == "brief"


class Room:
    """What fits at once.

    Attributes:
        whole: what a job takes that does not go in a chunk; one that does takes 1.
    """

    def __init__(self, settings: DispatchSettings) -> None:
        self._chunk = settings.chunk_fits
        self.whole = max(1, math.ceil(2 * settings.chunk_fits / settings.jobs_in_flight))
        self._total = self.whole * settings.jobs_in_flight

    def free(self, held: Sequence[Job]) -> int:
        """Return how much may be claimed beside the jobs that are held.

        While chunks run, nothing is claimed until a whole one fits: outcomes come one by one, and jobs claimed one by
        one would make chunks of one.
        """
        small = sum(is_small(job) for job in held)
        free = self._total - small - self.whole * (len(held) - small)
        return 0 if small and free < min(self._chunk, self._total) else free
