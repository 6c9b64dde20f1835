"""Fair queue: owners take turns, one work each, so that a flood of one delays the others by one turn at most.

It is bounded. When it is full, the newest work of whoever has most in it makes room for an owner that has less: a
flood pushes out itself. Works nobody waits for now stand in a lane of their own that moves when the other is empty,
or when its first work has waited `BACKGROUND_SECONDS`.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

BACKGROUND_SECONDS: Final = 0.5


class Queued(Protocol):
    """What stands in the queue."""

    @property
    def owner(self) -> str:
        """Whose it is."""

    @property
    def rows(self) -> int:
        """How much work it is."""

    @property
    def kind(self) -> object:
        """Only works of one kind are taken together."""

    @property
    def background(self) -> bool:
        """Whether nobody waits for it now."""

    @property
    def since(self) -> float:
        """When it came."""


_Work = TypeVar("_Work", bound=Queued)


@dataclass(eq=False)
class _Lane(Generic[_Work]):
    """Owners in the order of their turns, each with its works, oldest first."""

    turns: "OrderedDict[str, deque[_Work]]" = field(default_factory=OrderedDict)

    def push(self, work: _Work) -> None:
        self.turns.setdefault(work.owner, deque()).append(work)

    def oldest(self) -> float:
        return min((works[0].since for works in self.turns.values()), default=float("inf"))

    def take(self, most_rows: int, taken: list[_Work], rows: int) -> int:
        """Take one work of each owner in turn until `most_rows` are full or nothing fits; return the rows."""
        moved = True
        while moved and self.turns:
            moved = False
            for owner in list(self.turns):
                works = self.turns[owner]
                kind = taken[0].kind if taken else works[0].kind
                # its first of this kind: one whose works alternate between two bases still fills batches
                found = next((one for one in works if one.kind is kind), None)
                if found is None or (taken and rows + found.rows > most_rows):
                    continue
                works.remove(found)
                taken.append(found)
                rows += found.rows
                moved = True
                if works:
                    self.turns.move_to_end(owner)
                else:
                    del self.turns[owner]
                if rows >= most_rows:
                    return rows
        return rows


class FairQueue(Generic[_Work]):
    """See the module. Not safe for threads: its user holds a lock."""

    def __init__(self, most_rows: int) -> None:
        """Make an empty queue.

        Args:
            most_rows: bound of all works in it together.
        """
        self._most_rows = most_rows
        self._lanes: tuple[_Lane[_Work], _Lane[_Work]] = (_Lane(), _Lane())
        self._rows_of: dict[str, int] = {}
        self.rows = 0

    def __bool__(self) -> bool:
        return self.rows > 0

    def ahead_of(self, owner: str) -> int:
        """Return about how many rows are drawn before a new work of this owner's last one: its own, times the turns."""
        return min(self.rows, (1 + self._rows_of.get(owner, 0)) * max(1, len(self._rows_of)))

    def oldest(self) -> float:
        """Return since when the work waits that has waited longest; infinite if none does."""
        return min(lane.oldest() for lane in self._lanes)

    def push(self, work: _Work) -> list[_Work] | None:
        """Put a work in.

        Returns:
            The works that had to make room for it, newest first; None: it was refused, nothing has changed.
        """
        out = self._room_for(work)
        if out is None:
            return None
        for one in out:
            self._remove_newest(one)
        self._lanes[work.background].push(work)
        self._add(work.owner, work.rows)
        return out

    def take(self, most_rows: int, now: float) -> list[_Work]:
        """Take works of one kind, at most `most_rows` rows together (a single larger one goes alone)."""
        front, back = self._lanes
        taken: list[_Work] = []
        order = (back, front) if now - back.oldest() > BACKGROUND_SECONDS else (front, back)
        rows = 0
        for lane in order:
            rows = lane.take(most_rows, taken, rows)
            if taken and lane is front:
                break  # what nobody waits for must not make a batch longer for those who do
        for work in taken:
            self._add(work.owner, -work.rows)
        return taken

    def drain(self) -> list[_Work]:
        """Take everything out."""
        left = [work for lane in self._lanes for works in lane.turns.values() for work in works]
        self._lanes = (_Lane(), _Lane())
        self._rows_of, self.rows = {}, 0
        return left

    def _room_for(self, work: _Work) -> list[_Work] | None:
        short = self.rows + work.rows - self._most_rows
        if short <= 0:
            return []
        richest = max(self._rows_of, key=lambda owner: self._rows_of[owner], default=work.owner)
        if richest == work.owner or self._rows_of[richest] < self._rows_of.get(work.owner, 0) + work.rows + short:
            return None
        out: list[_Work] = []
        for lane in reversed(self._lanes):  # what nobody waits for goes first
            for one in reversed(lane.turns.get(richest, ())):
                if short <= 0:
                    break
                out.append(one)
                short -= one.rows
        return out if short <= 0 else None

    def _remove_newest(self, work: _Work) -> None:
        turns = self._lanes[work.background].turns
        turns[work.owner].pop()
        if not turns[work.owner]:
            del turns[work.owner]
        self._add(work.owner, -work.rows)

    def _add(self, owner: str, rows: int) -> None:
        self.rows += rows
        left = self._rows_of.get(owner, 0) + rows
        if left:
            self._rows_of[owner] = left
        else:
            self._rows_of.pop(owner, None)
