"""What the demo measures at the edge, with held-out pictures and nothing but the public API."""

import random
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from heddle_api.cli.demo_images import Avatars
from heddle_api.client import ApiError, HeddleClient

_NOT_YET: Final = (401, 404)  # the edge has not heard of the key, or of the alias, yet
_SERVED_WITHIN_SECONDS: Final = 20.0
_TOTAL: Final = re.compile(r"total;dur=([\d.]+)")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Change:
    """One edit to ask for: the row of a held-out picture, the factor, and the level to set it to."""

    row: int
    factor: str
    level: str

    def edit(self, adapter: str) -> dict[str, Any]:
        """Return the edit as it is sent."""
        return {"adapter": adapter, "set": {self.factor: self.level}}


@dataclass(frozen=True)
class Timed:
    """An edit as it came back.

    Attributes:
        image: the edited picture.
        milliseconds: as the client waited.
        server_milliseconds: as the edge says (Server-Timing).
        cache: what X-Cache said.
        detail: how it was drawn (X-Detail): "decode", or "preserve", which draws only the change.
    """

    image: bytes
    milliseconds: float
    server_milliseconds: float
    cache: str
    detail: str


@dataclass(frozen=True)
class Latency:
    """Latencies of one cache state, in milliseconds."""

    edits: int
    p50: float
    p95: float
    server_p50: float

    @classmethod
    def of(cls, timed: Sequence[Timed]) -> "Latency":
        """Sum up edits; there must be at least two."""
        waits = [each.milliseconds for each in timed]
        p95 = statistics.quantiles(waits, n=20, method="inclusive")[-1]
        server_p50 = statistics.median(each.server_milliseconds for each in timed)
        return cls(len(timed), statistics.median(waits), p95, server_p50)


def wait_until_served(client: HeddleClient, image: bytes, adapter: str) -> float:
    """Wait until the edge serves the adapter and return the seconds that took.

    Raises:
        ApiError: it does not within twenty seconds, or it fails for another reason.
    """
    started = time.perf_counter()
    while True:
        try:
            client.take_image(image, adapter=adapter)
            return time.perf_counter() - started
        except ApiError as error:
            if error.status not in _NOT_YET or time.perf_counter() - started > _SERVED_WITHIN_SECONDS:
                raise
        time.sleep(0.02)


def draw_changes(held_out: Avatars, factors: Sequence[str], seed: int) -> list[Change]:
    """Choose one change per held-out picture: factors in turn, each set to a random other level."""
    chance = random.Random(seed)  # noqa: S311  draws test cases, keeps no secret
    changes = []
    for row, labels in enumerate(held_out.labels):
        factor = factors[row % len(factors)]
        changes.append(Change(row, factor, chance.choice([k for k in held_out.levels[factor] if k != labels[factor]])))
    return changes


def run_edits(
    client: HeddleClient, held_out: Avatars, changes: Sequence[Change], adapter: str, on_progress: Progress
) -> list[Timed]:
    """Send edits one after the other, each with its picture, and time them."""
    timed = []
    for number, change in enumerate(changes, 1):
        started = time.perf_counter()
        answer = client.edit(held_out.images[change.row], change.edit(adapter))
        milliseconds = 1_000 * (time.perf_counter() - started)
        told = _TOTAL.search(answer.headers.get("server-timing", ""))
        server = float(told.group(1)) if told else float("nan")
        timed.append(Timed(answer.image, milliseconds, server, answer.cache, answer.headers.get("x-detail", "")))
        on_progress(number, len(changes))
    return timed


Reading = Mapping[str, Any]


@dataclass(frozen=True)
class Readings:
    """What the edge reads: factor -> value, for each picture.

    Attributes:
        before: one per held-out picture.
        after: one per change, of its result.
        unedited: one per change: its picture drawn in the same mode without the edit, so that what the round
            trip through the decoder loses is not blamed on the edit. The scorecard judges the same way.
    """

    before: Sequence[Reading]
    after: Sequence[Reading]
    unedited: Sequence[Reading]


def read_edits(
    client: HeddleClient,
    held_out: Avatars,
    changes: Sequence[Change],
    timed: Sequence[Timed],
    adapter: str,
    on_progress: Progress,
) -> Readings:
    """Read every picture before and after its edit."""
    plainly = {"adapter": adapter, "set": {}, "detail": "decode"}
    redrawn_rows = [change.row for change, each in zip(changes, timed, strict=True) if each.detail == "decode"]
    redrawn = [client.edit(held_out.images[row], plainly).image for row in redrawn_rows]
    images = [*held_out.images, *(each.image for each in timed), *redrawn]
    read = []
    for number, image in enumerate(images, 1):
        found = client.take_image(image, adapter=adapter).readings or {}
        read.append({factor: reading["value"] for factor, reading in found.items()})
        on_progress(number, len(images))
    before, rest = read[: len(held_out.images)], read[len(held_out.images) :]
    after, plain = rest[: len(timed)], dict(zip(redrawn_rows, rest[len(timed) :], strict=True))
    return Readings(before, after, [plain.get(change.row, before[change.row]) for change in changes])


@dataclass(frozen=True)
class FactorMeasures:
    """One factor on held-out pictures; every value is a share in 0..1, None where nothing was measured.

    Attributes:
        read_accuracy: pictures read right.
        effect: edits after which the result reads as set.
        leakage: share of edits after which another factor reads otherwise than in the picture that came in, less
            the share in which redrawing alone does that; of the factor where that is most. As on the scorecard.
        leakage_into: which factor that is; None where there is none.
        leakage_mean: mean over the other factors.
        changed: share of edits after which another factor reads otherwise than in the picture redrawn without the
            edit, nothing subtracted; of the factor where that is most. A factor that is read unsurely flips under
            any change.
        edits: how many edits that is.
    """

    read_accuracy: float
    effect: float | None
    leakage: float | None
    leakage_into: str | None
    leakage_mean: float | None
    changed: float | None
    edits: int


def judge(held_out: Avatars, changes: Sequence[Change], readings: Readings) -> dict[str, FactorMeasures]:
    """Compare readings with labels, and readings of edited pictures with those of unedited ones."""
    tried = list(zip(changes, readings.after, readings.unedited, strict=True))
    measures = {}
    for factor in held_out.levels:
        right = [read[factor] == labels[factor] for read, labels in zip(readings.before, held_out.labels, strict=True)]
        own = [
            (readings.before[change.row], after, plain, change)
            for change, after, plain in tried
            if change.factor == factor
        ]
        flipped = [after[factor] == change.level for _, after, _, change in own]
        others = [other for other in held_out.levels if other != factor and own]
        leaked = {
            other: max(
                0.0,
                statistics.fmean(
                    (after[other] != before[other]) - (plain[other] != before[other]) for before, after, plain, _ in own
                ),
            )
            for other in others
        }
        moved = [statistics.fmean(after[other] != plain[other] for _, after, plain, _ in own) for other in others]
        most = max(leaked, key=lambda other: leaked[other], default=None)
        measures[factor] = FactorMeasures(
            read_accuracy=statistics.fmean(right),
            effect=statistics.fmean(flipped) if flipped else None,
            leakage=leaked[most] if most else None,
            leakage_into=most if most and leaked[most] > 0 else None,
            leakage_mean=statistics.fmean(leaked.values()) if leaked else None,
            changed=max(moved, default=None),
            edits=len(own),
        )
    return measures
