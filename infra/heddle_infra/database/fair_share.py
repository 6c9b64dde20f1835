"""Weighted deficit round robin: whose job goes next, as arithmetic without a database.

Tenants with waiting jobs sit in a ring. At its turn a tenant's deficit grows by its weight times a quantum, and its
jobs go, each charged rows x latents, while the deficit covers them; then the next tenant has its turn (Shreedhar and
Varghese 1996, "Efficient fair queuing using deficit round robin"). A tenant with nothing waiting keeps no deficit.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

USUAL_ROWS: Final = 256  # of a set that is not validated yet
USUAL_LATENTS: Final = 64
QUANTUM: Final = float(USUAL_ROWS * USUAL_LATENTS)


class Waiting(NamedTuple):
    """A job that could go.

    Attributes:
        job_id: the job.
        cost: what it is charged, rows x latents; a job that was charged already costs 0.
        size: how much of what may run at once it takes.
    """

    job_id: str
    cost: float
    size: int = 1


@dataclass(frozen=True)
class Share:
    """Where a tenant stands.

    Attributes:
        weight: how many quanta it is given each turn.
        turn: its place in the ring, ascending.
        deficit: what it may still spend.
        visiting: its turn has begun, and ended only because enough jobs had been taken.
        room: how many more of its jobs may run; None: any number.
    """

    weight: float = 1.0
    turn: int = 0
    deficit: float = 0.0
    visiting: bool = False
    room: int | None = None


@dataclass(frozen=True)
class Dealt:
    """What was dealt: job ids in order, and where each tenant that still has jobs waiting stands now."""

    job_ids: tuple[str, ...]
    shares: Mapping[str, Share]


def deal(waiting: Mapping[str, Sequence[Waiting]], shares: Mapping[str, Share], limit: int) -> Dealt:
    """Take jobs of up to `limit` sizes together; the first that does not fit any more ends it.

    Args:
        waiting: tenant -> its jobs, first things first; tenants new to the ring in the order in which they came.
        shares: tenant -> where it stands; tenants without a share join the ring at its end.
        limit: most sizes to take.
    """
    ring = _Ring(waiting, shares, limit)
    while ring.seats and not ring.full:
        ring.visit()
    return Dealt(tuple(ring.taken), ring.shares())


@dataclass(slots=True)
class _Seat:
    """A tenant in the ring: its `Share` and its jobs, changed in place, for thousands of jobs are dealt at once."""

    tenant: str
    jobs: deque[Waiting]
    weight: float
    turn: int
    deficit: float
    visiting: bool
    room: int | None


class _Ring:
    def __init__(self, waiting: Mapping[str, Sequence[Waiting]], shares: Mapping[str, Share], limit: int) -> None:
        self._left = limit
        self.full = limit <= 0
        self._last = max((share.turn for share in shares.values()), default=0)
        self._all = [self._seat(tenant, jobs, shares.get(tenant, Share())) for tenant, jobs in waiting.items() if jobs]
        self.taken: list[str] = []
        self.seats = deque(sorted(self._all, key=lambda seat: seat.turn))
        self._fruitless = 0

    def _seat(self, tenant: str, jobs: Sequence[Waiting], share: Share) -> _Seat:
        turn = share.turn
        if turn == 0:
            self._last = turn = self._last + 1
        return _Seat(tenant, deque(jobs), share.weight, turn, share.deficit, share.visiting, share.room)

    def shares(self) -> dict[str, Share]:
        """Return where each tenant stands that still has jobs waiting."""
        return {
            seat.tenant: Share(seat.weight, seat.turn, seat.deficit, seat.visiting, seat.room)
            for seat in self._all
            if seat.jobs
        }

    def visit(self) -> None:
        """Give the tenant at the head its turn, or what is left of it."""
        seat = self.seats[0]
        jobs = seat.jobs
        if not seat.visiting:
            seat.deficit += seat.weight * QUANTUM
        before = len(self.taken)
        while jobs and jobs[0].cost <= seat.deficit and seat.room != 0:
            if jobs[0].size > self._left:
                self.full = True
                break
            job = jobs.popleft()
            self.taken.append(job.job_id)
            seat.deficit -= job.cost
            self._left -= job.size
            if seat.room is not None:
                seat.room -= 1
        self.full = self.full or self._left <= 0
        self._fruitless = 0 if len(self.taken) > before else self._fruitless + 1
        if not jobs:
            self.seats.popleft()
            return
        seat.visiting = self.full and seat.room != 0 and jobs[0].cost <= seat.deficit
        if seat.visiting:
            return
        seat.turn = self._last = self._last + 1
        self.seats.popleft()
        if seat.room != 0:
            self.seats.append(seat)
        else:  # held by its cap: it saves no more than one turn's worth meanwhile
            seat.deficit = min(seat.deficit, seat.weight * QUANTUM)
        if self.seats and self._fruitless >= len(self.seats):
            self._skip_rounds()

    def _skip_rounds(self) -> None:
        """Go through as many whole rounds at once as nobody could take a job in."""
        rounds = min(math.ceil((seat.jobs[0].cost - seat.deficit) / (seat.weight * QUANTUM)) for seat in self.seats)
        for seat in self.seats if rounds > 1 else ():
            seat.deficit += (rounds - 1) * seat.weight * QUANTUM
        self._fruitless = 0
