"""Do edits arrive, and nothing else with them? Every factor to a random other level, drawn as the product draws.

    python -m tests.bench.pixel_edits [--labels 1000] [--draws 5] [--edits 300] [--out pixel_edits.png]

A tenant labels 1,000 images of `avatars.npz`; its adapter is fitted, scored and gated as a fit job does, and every
factor of held-out images is set to a random other level with the default `detail`: the card's choice of drawing per
factor. A classifier of pixels, taught on images the tenant never sees, says whether the target is seen (flip), and how
many of the other factors it sees changed against the picture that was sent. `decode` and `preserve` stand beside the
product's choice, on the same images and targets. Means over draws, +- half of the 95 % interval (Student's t).
Factors that the gate refused are refused by the product: they count as edits that did not arrive, and are named.
The contact sheet shows, row by row, an image and one edit of each factor.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import t as student

from heddle_adapters.adapter import Adapter
from heddle_adapters.card import score_adapter
from heddle_adapters.edit import edit_latents
from heddle_adapters.gate import judge
from heddle_platform.base.runtime import to_uint8
from heddle_platform.edits import EditRequest
from heddle_platform.factors import LevelledFactor
from heddle_platform.pixels import add_change
from heddle_workers.image_set import ImageSet
from heddle_workers.trips import RoundTrips
from tests.bench.avatars import Avatars, load_avatars
from tests.bench.pixel_judge import PixelJudge, trained_judge

DEMO = ("skin", "hair", "hair_color", "mouth", "glasses", "background")
TENANTS, LABELLED = 12_000, 10_000  # rows the judge does not see; of them those that may be labelled
MODES = ("auto", "decode", "preserve")
BARS = {"demo": 0.90, "all": 0.78, "others": 0.05}


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images by row, as a card asks for them."""

    images: NDArray[np.uint8]

    def small(self, rows: Sequence[int], _size: int) -> NDArray[np.uint8]:
        """Return images, uint8 [B, S, S, 3]."""
        return self.images[list(rows)]


def fitted(avatars: Avatars, rows: NDArray[np.intp]) -> tuple[Adapter, tuple[str, ...]]:
    """Fit and score as a fit job does; return the adapter and what its gate refuses."""
    images = cast(ImageSet, Pictures(avatars.images[rows]))
    trips = RoundTrips(avatars.base, images, avatars.latents_NL[rows], threads=2)
    adapter, card = score_adapter(
        avatars.latents_NL[rows].astype(np.float64),
        avatars.values_NF[rows].astype(np.float64),
        avatars.factor_set,
        base_digest=avatars.base.digest,
        round_trip=trips.decoded,
        preserve_trip=trips.preserved,
    )
    return adapter, judge(card, avatars.factor_set).refused


def drawn(
    avatars: Avatars, adapter: Adapter, rows: NDArray[np.intp], requests: Sequence[EditRequest]
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Edit and draw as the edge does; return pictures and how each was drawn."""
    edited = edit_latents(adapter, avatars.latents_NL[rows], requests)
    after_BHWC = avatars.base.decode(edited.latents_BL)
    before_BHWC = avatars.base.decode(avatars.latents_NL[rows])
    pictures = to_uint8(after_BHWC)
    for place, detail in enumerate(edited.detail):
        if detail == "preserve":
            pictures[place] = add_change(avatars.images[rows[place]], after_BHWC[place] - before_BHWC[place])
    return pictures, edited.detail


def one_draw(avatars: Avatars, seer: PixelJudge, draw: int, labels: int, edits: int) -> dict[str, Any]:
    """Return flips and changes of others, [mode, F], and how the product drew each factor."""
    random = np.random.default_rng(draw)
    adapter, refused = fitted(avatars, np.sort(random.permutation(LABELLED)[:labels]))
    rows = np.sort(LABELLED + random.permutation(TENANTS - LABELLED)[:edits])
    truth_BF = avatars.values_NF[rows]
    names = avatars.factor_set.names
    flips, others = np.zeros((len(MODES), len(names))), np.zeros((len(MODES), len(names)))
    chosen: dict[str, str] = {}
    sheet = []
    for column, factor in enumerate(avatars.factor_set.factors):
        levels = cast(LevelledFactor, factor).level_names
        targets_B = (truth_BF[:, column] + random.integers(1, len(levels), len(rows))) % len(levels)
        for place, mode in enumerate(MODES):
            requests = [
                EditRequest.model_validate(
                    {"adapter": "bench@production", "set": {factor.name: levels[target]}, "detail": mode}
                )
                for target in targets_B
            ]
            pictures, details = drawn(avatars, adapter, rows, requests)
            seen_BF = seer.levels(pictures)
            rest = np.arange(len(names)) != column
            flips[place, column] = (seen_BF[:, column] == targets_B).mean()
            others[place, column] = (seen_BF[:, rest] != truth_BF[:, rest]).mean()
            if mode == "auto":
                chosen[factor.name] = max(set(details), key=details.count)
                sheet.append(pictures[:12])
                if factor.name in refused:
                    flips[place, column] = 0.0
    sheet.insert(0, avatars.images[rows[:12]])
    return {"flips": flips, "others": others, "chosen": chosen, "refused": refused, "sheet": np.stack(sheet, axis=1)}


def report(avatars: Avatars, draws: Sequence[dict[str, Any]]) -> None:
    """Print the per-factor table and the bars."""
    flips_DMF, others_DMF = (np.stack([draw[key] for draw in draws]) for key in ("flips", "others"))
    print("\n| factor | drawn as | flips | others changed | flips, decode | others | flips, preserve | others |")
    print("|---|---|---|---|---|---|---|---|")
    for column, name in enumerate(avatars.factor_set.names):
        ways = sorted({draw["chosen"][name] for draw in draws})
        gone = sum(name in draw["refused"] for draw in draws)
        cells = [
            f"{spoken(values[:, mode, column])}" for mode in range(len(MODES)) for values in (flips_DMF, others_DMF)
        ]
        note = f" (refused in {gone} of {len(draws)})" if gone else ""
        print(f"| {name}{note} | {' or '.join(ways)} | {' | '.join(cells)} |")
    demo = [avatars.factor_set.names.index(name) for name in DEMO]
    rows = {
        f"demo factors, flips (bar {BARS['demo']})": flips_DMF[:, :, demo].mean(axis=2),
        f"all {len(avatars.factor_set.names)} factors, flips (bar {BARS['all']})": flips_DMF.mean(axis=2),
        f"others changed (bar {BARS['others']})": others_DMF.mean(axis=2),
    }
    print("\n| mean | as the product draws | decode | preserve |\n|---|---|---|---|")
    for label, values_DM in rows.items():
        print(f"| {label} | {' | '.join(spoken(values_DM[:, mode]) for mode in range(len(MODES)))} |")


def spoken(values_D: NDArray[np.float64]) -> str:
    """Return mean and half of the interval."""
    if len(values_D) < 2:
        return f"{values_D.mean():.3f}"
    reach = student.ppf(0.975, len(values_D) - 1) * values_D.std(ddof=1) / np.sqrt(len(values_D))
    return f"{values_D.mean():.3f} +-{reach:.3f}"


def main() -> None:
    """Print the tables and write the contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--edits", type=int, default=300)
    parser.add_argument("--out", type=Path, help="write a contact sheet of the first draw here")
    options = parser.parse_args()
    avatars = load_avatars()
    seer = trained_judge(avatars.images[TENANTS:], avatars.values_NF[TENANTS:])
    right_F = seer.accuracy(avatars.images[LABELLED:TENANTS], avatars.values_NF[LABELLED:TENANTS])
    print(f"the judge sees {right_F.mean():.4f} of held-out real images right, its worst factor {right_F.min():.4f}")
    draws = [one_draw(avatars, seer, draw, options.labels, options.edits) for draw in range(options.draws)]
    report(avatars, draws)
    if options.out:
        sheet = draws[0]["sheet"]
        tall = sheet.transpose(0, 2, 1, 3, 4).reshape(sheet.shape[0] * sheet.shape[2], -1, 3)
        Image.fromarray(tall).save(options.out)
        print(f"\nwrote {options.out}: the image, then {', '.join(avatars.factor_set.names)}")


if __name__ == "__main__":
    main()
