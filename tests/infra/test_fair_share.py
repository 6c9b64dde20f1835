"""Deficit round robin against orders worked out by hand, and what must hold for any queue."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from heddle_infra.database.fair_share import QUANTUM, Dealt, Line, Share, Waiting, deal


def jobs_of(tenant: str, count: int, cost: float = QUANTUM) -> list[Waiting]:
    return [Waiting(f"{tenant}{index}", cost) for index in range(count)]


def order(dealt: Dealt) -> str:
    return " ".join(dealt.job_ids)


def test_equal_tenants_take_turns_and_a_flood_waits() -> None:
    dealt = deal({"a": jobs_of("a", 5), "b": jobs_of("b", 2), "c": jobs_of("c", 1)}, {}, 7)
    assert order(dealt) == "a0 b0 c0 a1 b1 a2 a3"
    assert set(dealt.shares) == {"a"}, "who has nothing waiting keeps nothing"


def test_weights_one_to_three_give_one_job_to_three() -> None:
    shares = {"a": Share(weight=1.0, turn=1), "b": Share(weight=3.0, turn=2)}
    assert order(deal({"a": jobs_of("a", 4), "b": jobs_of("b", 9)}, shares, 9)) == "a0 b0 b1 b2 a1 b3 b4 b5 a2"


def test_a_large_job_waits_until_its_tenant_has_saved_for_it() -> None:
    dealt = deal({"a": jobs_of("a", 2, 3 * QUANTUM), "b": jobs_of("b", 6)}, {}, 8)
    assert order(dealt) == "b0 b1 a0 b2 b3 b4 a1 b5"


def test_small_jobs_share_a_turn_and_what_is_left_is_kept_for_the_next() -> None:
    waiting = {"a": jobs_of("a", 4, 0.75 * QUANTUM), "b": jobs_of("b", 3)}
    assert order(deal(waiting, {}, 7)) == "a0 b0 a1 b1 a2 a3 b2", "a quarter, a half, three quarters saved: two go"
    small = {"a": jobs_of("a", 5, 0.5 * QUANTUM), "b": jobs_of("b", 2)}
    assert order(deal(small, {}, 7)) == "a0 a1 b0 a2 a3 b1 a4"


def test_a_job_that_joins_a_line_is_told_what_goes_before_it() -> None:
    line = Line({"a": jobs_of("a", 3), "b": jobs_of("b", 1)}, {"a": Share(turn=1), "b": Share(turn=2)})
    assert line.job_ids == ("a0", "b0", "a1", "a2")
    assert line.join("b", Waiting("b1", QUANTUM)) == (3, 3 * QUANTUM), "a0 b0 a1 b1 a2"
    assert line.join("b", Waiting("b2", QUANTUM)) == (5, 5 * QUANTUM), "who joined before counts"
    assert line.join("a", Waiting("a3", QUANTUM)) == (6, 6 * QUANTUM)
    assert line.join("c", Waiting("c0", QUANTUM)) is None, "where a newcomer sits only the ring knows"
    assert line.join("a", Waiting("urgent", QUANTUM, priority=1)) is None


def test_a_cap_holds_back_and_lets_go_where_it_stood() -> None:
    waiting = {"a": jobs_of("a", 3), "b": jobs_of("b", 2)}
    dealt = deal(waiting, {"a": Share(turn=1, room=1), "b": Share(turn=2)}, 9)
    assert order(dealt) == "a0 b0 b1"
    assert dealt.shares["a"].room == 0
    none_free = deal(waiting, {"a": Share(turn=1, room=0), "b": Share(turn=2, room=0)}, 9)
    assert none_free.job_ids == ()
    assert none_free.shares["a"].deficit == QUANTUM
    again = none_free
    for _ in range(5):
        again = deal(waiting, again.shares, 9)
    assert again.shares["a"].deficit == QUANTUM, "a tenant at its cap saves one turn, not five"


def test_one_job_at_a_time_gives_the_order_of_all_at_once() -> None:
    waiting = {"a": jobs_of("a", 6, 0.5 * QUANTUM), "b": jobs_of("b", 4), "c": jobs_of("c", 2, 2.5 * QUANTUM)}
    weights = {"a": Share(weight=2.0, turn=1), "b": Share(turn=2), "c": Share(turn=3)}
    assert one_by_one(waiting, weights) == list(deal(waiting, weights, 99).job_ids)


def one_by_one(waiting: dict[str, list[Waiting]], shares: dict[str, Share], limit: int = 1) -> list[str]:
    taken: list[str] = []
    left, now = {name: list(jobs) for name, jobs in waiting.items()}, dict(shares)
    while any(left.values()):
        dealt = deal(left, now, limit)
        taken += dealt.job_ids
        left = {name: [job for job in jobs if job.job_id not in taken] for name, jobs in left.items()}
        now = dict(dealt.shares)
    return taken


COSTS = st.lists(st.floats(1.0, 20 * QUANTUM), max_size=12)
QUEUES = st.dictionaries(st.sampled_from("abcdef"), COSTS, min_size=1)


@settings(max_examples=150, deadline=None)
@given(QUEUES, st.dictionaries(st.sampled_from("abcdef"), st.floats(0.1, 10.0)), st.integers(1, 7))
def test_every_job_goes_once_and_a_tenants_own_order_stays(
    costs: dict[str, list[float]], weights: dict[str, float], limit: int
) -> None:
    waiting = {
        name: [Waiting(f"{name}{index}", cost) for index, cost in enumerate(each)] for name, each in costs.items()
    }
    shares = {name: Share(weight=weight, turn=1 + place) for place, (name, weight) in enumerate(weights.items())}
    taken = one_by_one(waiting, shares, limit)
    assert Counter(taken) == Counter(job.job_id for jobs in waiting.values() for job in jobs)
    for name, jobs in waiting.items():
        assert [job_id for job_id in taken if job_id[0] == name] == [job.job_id for job in jobs]


WHOLE = st.dictionaries(st.sampled_from("abcdef"), st.lists(st.integers(1, 20), min_size=1, max_size=12), min_size=1)


@settings(max_examples=150, deadline=None)
@given(
    WHOLE,
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from((0.25, 0.5, 1.0, 2.0, 3.0))),
    st.integers(1, 7),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 20)), min_size=1, max_size=6),
)
def test_joining_a_line_is_as_if_all_were_dealt_again(
    costs: dict[str, list[int]], weights: dict[str, float], begun: int, joining: list[tuple[str, int]]
) -> None:
    """Costs are quarters of a quantum: sums are exact, so that both ways of counting see the same ties."""
    waiting = {
        name: [Waiting(f"{name}{index}", cost * QUANTUM / 4) for index, cost in enumerate(each)]
        for name, each in costs.items()
    }
    weighted = {name: Share(weight=weight, turn=1 + place) for place, (name, weight) in enumerate(weights.items())}
    first = deal(waiting, weighted, begun)  # a queue in the middle of its work: deficits, a turn half over
    waiting = {name: [job for job in jobs if job.job_id not in first.job_ids] for name, jobs in waiting.items()}
    waiting = {name: jobs for name, jobs in waiting.items() if jobs}
    line = Line(waiting, first.shares)
    for number, (tenant, cost) in enumerate(joining):
        job = Waiting(f"new{number}", cost * QUANTUM / 4)
        told = line.join(tenant, job)
        if tenant not in waiting:
            assert told is None
            continue
        waiting[tenant] = [*waiting[tenant], job]
        order = deal(waiting, first.shares, 999).job_ids
        before = order[: order.index(job.job_id)]
        spent = sum(one.cost for jobs in waiting.values() for one in jobs if one.job_id in before)
        assert told == (len(before), spent)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(1.0, QUANTUM), min_size=60, max_size=60), st.integers(1, 9), st.floats(1.0, QUANTUM))
def test_nobody_starves_behind_a_flood(costs: list[float], limit: int, single: float) -> None:
    """However the flood is cut, a newcomer's job goes once the flood has had one more turn's worth."""
    waiting = {"flood": [Waiting(f"f{index}", cost) for index, cost in enumerate(costs)]}
    first = deal(waiting, {}, limit)
    left = [job for job in waiting["flood"] if job.job_id not in first.job_ids]
    dealt = deal({"flood": left, "new": [Waiting("n0", single)]}, first.shares, 99)
    before = dealt.job_ids.index("n0")
    assert sum(job.cost for job in left[:before]) <= 2 * QUANTUM


@settings(max_examples=100, deadline=None)
@given(st.floats(1.0, 8.0), st.lists(st.floats(1.0, 2 * QUANTUM), min_size=120, max_size=120))
def test_what_tenants_are_given_is_as_their_weights(weight: float, costs: list[float]) -> None:
    waiting = {name: [Waiting(f"{name}{index}", cost) for index, cost in enumerate(costs)] for name in "ab"}
    cost = {job.job_id: job.cost for jobs in waiting.values() for job in jobs}
    dealt = deal(waiting, {"a": Share(turn=1), "b": Share(weight=weight, turn=2)}, 60)
    spent = {name: sum(cost[job_id] for job_id in dealt.job_ids if job_id[0] == name) for name in "ab"}
    # each side is within one turn and one job of its due
    slack = (1 + weight) * QUANTUM + 2 * QUANTUM
    assert abs(spent["b"] - weight * spent["a"]) <= slack * (1 + weight)
