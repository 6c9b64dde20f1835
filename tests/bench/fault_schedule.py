"""Which process is hit when and how, drawn from a seed alone: the same seed gives the same schedule."""

import random
from dataclasses import dataclass
from typing import Final, Literal

Blow = Literal["kill", "cut"]
Victim = Literal["worker", "dispatcher", "head", "postgres", "objects", "cache", "control"]

# how often each is hit, of a hundred; Ray's head takes longest to come back
WEIGHTS: Final[dict[Victim, int]] = {
    "worker": 30,
    "dispatcher": 20,
    "cache": 14,
    "objects": 12,
    "postgres": 10,
    "head": 8,
    "control": 6,
}
CUT_SHARE: Final = 0.3
# beyond every lease and time-out at the upper end: who wakes up again then must not be believed
CUT_SECONDS: Final = (0.5, 14.0)


@dataclass(frozen=True)
class Fault:
    """One blow: `after_seconds` after the one before, `seconds` long if it is a cut; `pick` chooses among several."""

    after_seconds: float
    victim: Victim
    blow: Blow
    seconds: float
    pick: float


def schedule(seed: int, count: int, every_seconds: float) -> list[Fault]:
    """Draw `count` faults, `every_seconds` apart on average; each kind at least once where there are enough."""
    drawn = random.Random(seed)
    victims = list(WEIGHTS)
    order = victims * (count >= 2 * len(victims))
    order += drawn.choices(victims, weights=list(WEIGHTS.values()), k=count - len(order))
    drawn.shuffle(order)
    return [
        Fault(
            after_seconds=drawn.uniform(0.3, 1.7) * every_seconds,
            victim=victim,
            blow="cut" if drawn.random() < CUT_SHARE else "kill",
            seconds=drawn.uniform(*CUT_SECONDS),
            pick=drawn.random(),
        )
        for victim in order
    ]
