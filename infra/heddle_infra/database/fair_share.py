"""Weighted deficit round robin: whose job goes next, as arithmetic without a database.

Tenants with waiting jobs sit in a ring. At its turn a tenant's deficit grows by its weight times a quantum, and its
jobs go, each charged rows x latents, while the deficit covers them; then the next tenant has its turn (Shreedhar and
Varghese 1996, "Efficient fair queuing using deficit round robin"). A tenant with nothing waiting keeps no deficit.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

USUAL_ROWS: Final = 256  # of a set that is not validated yet
USUAL_LATENTS: Final = 64
QUANTUM: Final = float(USUAL_ROWS * USUAL_LATENTS)


@dataclass(frozen=True)
class Waiting:
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
    while ring.tenants and not ring.full:
        ring.visit()
    return Dealt(tuple(ring.taken), ring.shares)


class _Ring:
    def __init__(self, waiting: Mapping[str, Sequence[Waiting]], shares: Mapping[str, Share], limit: int) -> None:
        self._left = limit
        self.full = limit <= 0
        self.jobs = {tenant: deque(jobs) for tenant, jobs in waiting.items() if jobs}
        last = max((share.turn for share in shares.values()), default=0)
        self.shares: dict[str, Share] = {}
        for tenant in self.jobs:
            share = shares.get(tenant, Share())
            if share.turn == 0:
                last += 1
                share = replace(share, turn=last)
            self.shares[tenant] = share
        self._last = last
        self.taken: list[str] = []
        self.tenants = deque(sorted(self.jobs, key=lambda tenant: self.shares[tenant].turn))
        self._fruitless = 0

    def visit(self) -> None:
        """Give the tenant at the head its turn, or what is left of it."""
        tenant = self.tenants[0]
        share, jobs = self.shares[tenant], self.jobs[tenant]
        deficit = share.deficit + (0.0 if share.visiting else share.weight * QUANTUM)
        room = math.inf if share.room is None else share.room
        before = len(self.taken)
        while jobs and room > 0 and jobs[0].cost <= deficit:
            if jobs[0].size > self._left:
                self.full = True
                break
            job = jobs.popleft()
            self.taken.append(job.job_id)
            deficit -= job.cost
            room -= 1
            self._left -= job.size
        self.full = self.full or self._left <= 0
        left = None if share.room is None else int(room)
        self._fruitless = 0 if len(self.taken) > before else self._fruitless + 1
        if not jobs:
            self.tenants.popleft()
            del self.shares[tenant]
            return
        if self.full and room > 0 and jobs[0].cost <= deficit:
            self.shares[tenant] = replace(share, deficit=deficit, visiting=True, room=left)
            return
        self._last += 1
        self.tenants.popleft()
        if room > 0:
            self.tenants.append(tenant)
        else:  # held by its cap: it saves no more than one turn's worth meanwhile
            deficit = min(deficit, share.weight * QUANTUM)
        self.shares[tenant] = replace(share, turn=self._last, deficit=deficit, visiting=False, room=left)
        if self.tenants and self._fruitless >= len(self.tenants):
            self._skip_rounds()

    def _skip_rounds(self) -> None:
        """Go through as many whole rounds at once as nobody could take a job in."""
        rounds = min(
            math.ceil((self.jobs[tenant][0].cost - share.deficit) / (share.weight * QUANTUM))
            for tenant, share in ((tenant, self.shares[tenant]) for tenant in self.tenants)
        )
        for tenant in self.tenants if rounds > 1 else ():
            share = self.shares[tenant]
            self.shares[tenant] = replace(share, deficit=share.deficit + (rounds - 1) * share.weight * QUANTUM)
        self._fruitless = 0
