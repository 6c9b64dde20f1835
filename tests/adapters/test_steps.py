"""Works that wait for pictures: together they get what each would get alone, and one that fails fails alone."""

import numpy as np
import pytest

from heddle_adapters.arrays import Singles
from heddle_adapters.steps import Steps, driven, driven_together
from heddle_platform.errors import InvalidInput


def doubled(latents_BL: Singles) -> Singles:
    if not np.isfinite(latents_BL).all():
        raise InvalidInput("latents are not finite")
    return latents_BL * 2


def summed(start: float, rounds: int, rows: int = 2) -> Steps[float]:
    """Ask `rounds` times for `rows` pictures, each time of what was seen the last time; return the sum of it."""
    seen_BL = np.full((rows, 3), start, dtype=np.float32)
    for _ in range(rounds):
        seen_BL = yield seen_BL
    return float(seen_BL.sum())


def refused() -> Steps[float]:
    yield np.ones((1, 3), dtype=np.float32)
    raise InvalidInput("too few labels")


def recovering() -> Steps[str]:
    try:
        yield np.full((1, 3), np.nan, dtype=np.float32)
    except InvalidInput:
        return "recovered"
    return "not refused"


def test_one_alone() -> None:
    assert driven(summed(1.0, 2), doubled) == 6 * 4
    assert driven(summed(1.0, 0), doubled) == 6
    with pytest.raises(InvalidInput, match="too few labels"):
        driven(refused(), doubled)


def test_together_each_gets_what_it_would_get_alone_in_one_call_a_round() -> None:
    calls: list[int] = []

    def counted(latents_BL: Singles) -> Singles:
        calls.append(len(latents_BL))
        return doubled(latents_BL)

    many = [(1.0, 1, 2), (5.0, 3, 1), (7.0, 0, 2), (2.0, 2, 4)]
    together = driven_together([summed(*one) for one in many], counted)
    assert together == [driven(summed(*one), doubled) for one in many]
    assert calls == [7, 5, 1]


def test_one_that_fails_fails_alone() -> None:
    found = driven_together([summed(1.0, 1), refused(), summed(float("nan"), 1), summed(2.0, 2), recovering()], doubled)
    assert [found[0], found[3], found[4]] == [12.0, 48.0, "recovered"]
    assert [str(found[1]), str(found[2])] == ["too few labels", "latents are not finite"]


def test_a_stop_ends_all() -> None:
    def stopped() -> Steps[float]:
        yield np.ones((1, 3), dtype=np.float32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        driven_together([summed(1.0, 2), stopped()], doubled)
