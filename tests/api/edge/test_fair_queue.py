"""The fair queue: turns, a bound that the greediest meets first, and a lane for what nobody waits for."""

from dataclasses import dataclass

from heddle_api.edge.fair_queue import BACKGROUND_SECONDS, FairQueue


@dataclass(eq=False)
class One:
    owner: str
    rows: int = 1
    kind: object = "base"
    background: bool = False
    since: float = 0.0


def owners(works: list[One]) -> str:
    return "".join(work.owner for work in works)


def test_a_flood_delays_another_by_one_turn() -> None:
    queue: FairQueue[One] = FairQueue(100)
    for _ in range(50):
        assert queue.push(One("a")) == []
    queue.push(One("b"))
    queue.push(One("b"))
    assert owners(queue.take(4, 0.0)) == "abab"
    assert owners(queue.take(4, 0.0)) == "aaaa"
    assert queue.rows == 44


def test_turns_go_on_where_they_were() -> None:
    queue: FairQueue[One] = FairQueue(100)
    for owner in "aaabbbccc":
        queue.push(One(owner))
    assert [owners(queue.take(2, 0.0)) for _ in range(5)] == ["ab", "ca", "bc", "ab", "c"]
    assert not queue


def test_a_full_queue_refuses_who_filled_it_and_makes_room_for_others() -> None:
    queue: FairQueue[One] = FairQueue(4)
    held = [One("a") for _ in range(4)]
    for one in held:
        queue.push(one)
    assert queue.push(One("a")) is None
    assert queue.push(One("b")) == [held[3]]
    assert queue.push(One("b")) == [held[2]]
    assert queue.push(One("b")) is None  # it has as much as the other now
    assert queue.rows == 4
    assert owners(queue.take(4, 0.0)) == "abab"


def test_only_one_kind_goes_together_and_a_large_work_goes_alone() -> None:
    queue: FairQueue[One] = FairQueue(100)
    for work in (One("a"), One("b", kind="other"), One("c", rows=9), One("a")):
        queue.push(work)
    assert owners(queue.take(4, 0.0)) == "aa"
    assert owners(queue.take(4, 0.0)) == "b"
    assert owners(queue.take(4, 0.0)) == "c"


def test_the_background_gives_way_but_not_for_ever() -> None:
    queue: FairQueue[One] = FairQueue(100)
    queue.push(One("x", background=True))
    for _ in range(8):
        queue.push(One("a"))
    assert owners(queue.take(4, 0.0)) == "aaaa"
    assert owners(queue.take(4, BACKGROUND_SECONDS + 0.1)) == "xaaa"
    assert owners(queue.take(4, 0.0)) == "a"


def test_draining_empties_it() -> None:
    queue: FairQueue[One] = FairQueue(10)
    queue.push(One("a"))
    queue.push(One("b", background=True))
    assert len(queue.drain()) == 2
    assert (queue.rows, queue.take(4, 0.0)) == (0, [])
