"""Held values: bounded in bytes, in all and of one tenant, and in time."""

from heddle_api.edge.held import Held


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_tenants_oldest_make_room_for_its_newest_and_for_nobody_elses() -> None:
    held = Held(len, most_bytes=400)
    assert held.put("other", "other:1", bytes(60))
    for number in range(5):
        assert held.put("one", f"one:{number}", bytes(30))
    assert held.get("one:0") is None
    assert held.get("one:1") is None
    assert held.get("one:4") == bytes(30)
    assert held.get("other:1") == bytes(60)
    assert held.nbytes == 150


def test_all_together_stay_within_the_bound() -> None:
    held = Held(len, most_bytes=400)
    for tenant in range(10):
        assert held.put(f"t{tenant}", f"t{tenant}:1", bytes(100))
        assert held.nbytes <= 400
    assert held.get("t9:1") is not None
    assert held.get("t0:1") is None


def test_what_was_used_last_stays_longest() -> None:
    held = Held(len, most_bytes=400)
    for number in range(3):
        held.put("one", f"one:{number}", bytes(30))
    held.get("one:0")
    held.put("one", "one:3", bytes(30))
    assert held.get("one:0") is not None
    assert held.get("one:1") is None


def test_values_end_and_what_is_too_large_is_not_taken() -> None:
    clock = Clock()
    held = Held(len, most_bytes=400, clock=clock)
    held.put("one", "one:1", b"x", seconds=5.0)
    clock.now = 4.9
    assert held.get("one:1") == b"x"
    clock.now = 5.0
    assert held.get("one:1") is None
    assert held.nbytes == 0
    assert not held.put("one", "one:2", bytes(101))
    assert held.put("one", "one:3", bytes(50))
    assert held.put("one", "one:3", bytes(60))
    assert held.nbytes == 60


def test_one_owner_is_let_go_and_the_others_stay() -> None:
    held = Held(len, most_bytes=400)
    held.put("one", "one:1", bytes(30))
    held.put("one", "one:2", bytes(40))
    held.put("other", "other:1", bytes(50))
    held.drop_all("one")
    held.drop_all("nobody")
    assert set(held.owners) == {"other"}
    assert held.nbytes == 50
    assert held.get("one:2") is None
    assert held.get("other:1") == bytes(50)


def test_what_has_ended_makes_room_although_nobody_asks_for_it() -> None:
    clock = Clock()
    held = Held(len, most_bytes=400, clock=clock)
    held.put("one", "one:1", bytes(30), seconds=5.0)
    clock.now = 60.0
    held.put("other", "other:1", bytes(50))
    assert set(held.owners) == {"other"}
    assert held.nbytes == 50


def test_a_bound_of_nothing_holds_nothing() -> None:
    held = Held(len, most_bytes=0)
    assert not held.put("one", "one:1", b"x")
    assert (held.get("one:1"), held.nbytes) == (None, 0)
