"""Weighted deficit round robin: whose job goes next, as arithmetic without a database.

Tenants with waiting jobs sit in a ring. At its turn a tenant's deficit grows by its weight times a quantum, and its
jobs go, each charged rows x latents, while the deficit covers them; then the next tenant has its turn (Shreedhar and
Varghese 1996, "Efficient fair queuing using deficit round robin"). A tenant with nothing waiting keeps no deficit.
"""

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

USUAL_ROWS: Final = 256  # of a set that is not validated yet
USUAL_LATENTS: Final = 64
USUAL_COST: Final = float(USUAL_ROWS * USUAL_LATENTS)  # of a job on no labelled set
QUANTUM: Final = float(USUAL_ROWS * USUAL_LATENTS)


class Waiting(NamedTuple):
    """A job that could go.

    Attributes:
        job_id: the job.
        cost: what it is charged, rows x latents; a job that was charged already costs 0.
        size: how much of what may run at once it takes.
        priority: the tenant's own; of its jobs those with a higher one go first.
    """

    job_id: str
    cost: float
    size: int = 1
    priority: int = 0


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


class Line:
    """A queue dealt out to its end, which tells a further job its place without being dealt out again.

    A job is taken in some visit to its tenant, and in every round tenants are visited in the same order; so what goes
    before a job are all that are taken in earlier visits to their tenants, and in as late a one to those that sit
    before its tenant.
    """

    def __init__(self, waiting: Mapping[str, Sequence[Waiting]], shares: Mapping[str, Share]) -> None:
        """Deal a queue out.

        Args:
            waiting, shares: as for `deal`, without rooms: what holds a tenant back for now says nothing of its place.
        """
        count = sum(map(len, waiting.values()))
        ring = _Ring(waiting, shares, sum(job.size for jobs in waiting.values() for job in jobs) + 1)
        seats = list(ring.seats)
        while ring.seats and not ring.full:
            ring.visit()
        if len(ring.taken) != count:
            raise ValueError(f"{len(ring.taken)} of {count} jobs were dealt; a line takes shares without rooms")
        self.job_ids: tuple[str, ...] = tuple(ring.taken)
        self._seats = seats
        self._places = {seat.tenant: place for place, seat in enumerate(seats)}
        self._lowest = {tenant: min(job.priority for job in jobs) for tenant, jobs in waiting.items() if jobs}

    def join(self, tenant: str, job: Waiting) -> tuple[int, float] | None:
        """Put a job that came last into the line; return how many go before it, and what these cost together.

        None where that cannot be told: the tenant has none in line, or one that is less urgent.
        """
        place = self._places.get(tenant)
        if place is None or self._lowest[tenant] < job.priority:
            return None
        seat = self._seats[place]
        if job.cost > seat.deficit:
            rounds = math.ceil((job.cost - seat.deficit) / (seat.weight * QUANTUM))
            seat.visits += rounds
            seat.deficit += rounds * seat.weight * QUANTUM
        seat.deficit -= job.cost
        count, cost = 0, 0.0
        for other, each in enumerate(self._seats):
            before = (bisect_right if other <= place else bisect_left)(each.taken_in, seat.visits)
            count += before
            cost += each.spent[before - 1] if before else 0.0
        seat.note(job)
        self._lowest[tenant] = job.priority
        return count, cost


@dataclass(slots=True)
class _Seat:
    """A tenant in the ring: its `Share` and its jobs, changed in place, for thousands of jobs are dealt at once.

    `visits` counts those to it; of each job taken, `taken_in` says in which, `spent` what it and those before cost.
    """

    tenant: str
    jobs: deque[Waiting]
    weight: float
    turn: int
    deficit: float
    visiting: bool
    room: int | None
    visits: int = 0
    taken_in: list[int] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)

    def note(self, job: Waiting) -> None:
        """Note that a job is taken in the present visit."""
        self.taken_in.append(self.visits)
        self.spent.append((self.spent[-1] if self.spent else 0.0) + job.cost)


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
        seat.visits += 1
        before = len(self.taken)
        while jobs and jobs[0].cost <= seat.deficit and seat.room != 0:
            if jobs[0].size > self._left:
                self.full = True
                break
            job = jobs.popleft()
            self.taken.append(job.job_id)
            seat.note(job)
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
            seat.visits += rounds - 1
        self._fruitless = 0
