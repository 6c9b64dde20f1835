"""Interactions against the additive model: do edits of factors that depend on each other arrive, judged from pixels?

    python -m tests.bench.interactions [--labels 1000] [--draws 5] [--edits 300] [--sets beards_toon avatars ...]

Each draw takes other labelled images. Every factor of every held-out image is set to a random other level by an
adapter fitted without and with interactions: the same images, targets, gain (1) and drawing (decode). A classifier of
pixels, taught on images no tenant sees, says whether the target was reached and which other factors changed against
the unedited drawing (counted where it still sees the drawing right in 75 %: what the base cannot draw has no look to
keep). Prints the mean over draws with its 95 % interval (Student's t).
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from heddle_adapters.adapter import Adapter
from heddle_adapters.discover import find_interactions, kept
from heddle_adapters.fit import fit_adapter
from heddle_adapters.read import read
from heddle_adapters.trial import draw_targets, draw_trial
from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.base.runtime import BaseRuntime, to_uint8
from heddle_platform.factors import FactorSet, parse_factor_set
from tests.bench.dependent_looks import KINDS, drawn
from tests.bench.pixel_judge import PixelJudge, trained_judge

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
# rows the judge does not see; its epochs
SETS = {
    "beards_micah": (2_000, 12),
    "beards_toon": (2_000, 12),
    "outfits_micah": (2_000, 12),
    "avatars_pixelart": (3_000, 16),
    "avatars": (12_000, 4),
}
HELD_OUT = 500
DRAWN_RIGHT = 0.75


@dataclass(frozen=True, eq=False)
class Domain:
    """One set seen through the base: the rows tenants draw from, the last of them held out."""

    images: NDArray[np.uint8]
    latents_NL: NDArray[np.float64]
    values_NF: NDArray[np.float64]
    factor_set: FactorSet
    judge: PixelJudge
    base: BaseRuntime

    def seen(self, latents_BL: NDArray[Any]) -> NDArray[np.int64]:
        """Draw latents and return what the judge sees, [B, F]."""
        return self.judge.levels(to_uint8(self.base.decode(latents_BL)))


def load_set(name: str) -> Any:
    """Return a set's arrays by name: images, factors, factor_names, factor_values."""
    return drawn(name) if name in KINDS else np.load(DATA / f"{name}.npz")


def domain_of(name: str, base: BaseRuntime) -> Domain:
    """Load a set, teach its judge, encode the tenants' rows."""
    stored = load_set(name)
    rows, epochs = SETS[name]
    used = [np.unique(column, return_inverse=True) for column in stored["factors"].T]
    values_NF = np.stack([inverse for _, inverse in used], axis=1)
    judge = trained_judge(stored["images"][rows:], values_NF[rows:], epochs=epochs)
    spoken = json.loads(str(stored["factor_values"]))
    factors = [
        {"name": str(factor), "kind": "categorical", "levels": [str(spoken[column][level]) for level in levels]}
        for column, (factor, (levels, _)) in enumerate(zip(stored["factor_names"], used, strict=True))
    ]
    images = stored["images"][:rows]
    last = slice(max(0, rows - 2_000), rows)
    right_F = judge.accuracy(images[last], values_NF[last])
    print(
        f"\n{name}: judge right in {right_F.mean():.4f} of held-out real images (worst factor {right_F.min():.3f}; "
        f"taught in {judge.seconds:.0f} s)"
    )
    factor_set = parse_factor_set({"name": name, "factors": factors})
    return Domain(
        images, base.encode(images).astype(np.float64), values_NF[:rows].astype(np.float64), factor_set, judge, base
    )


def judged(domain: Domain, adapter: Adapter, rows: NDArray[np.intp], seed: int) -> tuple[Any, Any, Any]:
    """Edit every factor of the rows; return flips [F], changes of others [F], and which factors are drawn right."""
    values_BF = read(adapter, domain.latents_NL[rows]).values_BF
    plain_BF = domain.seen(domain.latents_NL[rows])
    drawn_F = (plain_BF == domain.values_NF[rows]).mean(axis=0)
    random = np.random.default_rng(seed)
    flips, changes = [], []
    for index in range(values_BF.shape[1]):
        targets_B = draw_targets(adapter, index, values_BF[:, index], random)
        trial = draw_trial(adapter, domain.latents_NL, rows, index, targets_B)
        seen_BF = domain.seen(trial.edited_BL)
        others_F = drawn_F >= DRAWN_RIGHT
        others_F[index] = False
        flips.append((seen_BF[:, index] == targets_B).mean())
        changes.append((seen_BF[:, others_F] != plain_BF[:, others_F]).mean())
    return np.array(flips), np.array(changes), drawn_F


def bench(domain: Domain, labels: int, draws: int, edits: int) -> None:
    """Print one set's tables."""
    names, results, found, seconds = domain.factor_set.names, [], [], []
    pool = len(domain.images) - HELD_OUT
    for draw in range(draws):
        random = np.random.default_rng(draw)
        taught = np.sort(random.permutation(pool)[:labels])
        rows = pool + np.sort(random.permutation(HELD_OUT)[:edits])
        latents_NL, values_NF = domain.latents_NL[taught], domain.values_NF[taught]
        started = time.perf_counter()
        pairs = kept(find_interactions(latents_NL, values_NF, domain.factor_set))
        searched = time.perf_counter()
        fits = [
            fit_adapter(
                latents_NL, values_NF, domain.factor_set, base_digest=domain.base.digest, interactions=interactions
            )
            for interactions in ((), pairs)
        ]
        seconds.append((searched - started, (time.perf_counter() - searched) / 2))
        results.append([judged(domain, adapter, rows, draw) for adapter in fits])
        found.append({(names[one.factor], names[one.on]): one.gain for one in pairs})
        print(f"  draw {draw}: {len(pairs)} interactions, {fits[1].products} product columns", flush=True)
    _print_table(names, results)
    _print_found(found)
    search, fit = np.mean(seconds, axis=0)
    print(f"search {search * 1000:.0f} ms, one fit {fit * 1000:.0f} ms")


def _print_table(names: Sequence[str], results: Sequence[Any]) -> None:
    flip_DMF = np.array([[one[0] for one in draw] for draw in results])
    change_DMF = np.array([[one[1] for one in draw] for draw in results])
    drawn_F = np.mean([draw[0][2] for draw in results], axis=0)
    print("\n| factor | drawn right | flips, additive | with interactions | times | others changed, additive | with |")
    print("|---|---|---|---|---|---|---|")
    for index, name in enumerate(names):
        flips, changes = flip_DMF[:, :, index], change_DMF[:, :, index]
        ratio = flips[:, 1].mean() / max(flips[:, 0].mean(), 1e-9)
        print(
            f"| {name} | {drawn_F[index]:.2f} | {_mean(flips[:, 0])} | {_mean(flips[:, 1])} | {ratio:.2f} "
            f"| {_mean(changes[:, 0], 3)} | {_mean(changes[:, 1], 3)} |"
        )
    flips, changes = flip_DMF.mean(axis=2), change_DMF.mean(axis=2)
    print(
        f"| mean | {drawn_F.mean():.2f} | {_mean(flips[:, 0])} | {_mean(flips[:, 1])} | "
        f"{flips[:, 1].mean() / flips[:, 0].mean():.2f} | {_mean(changes[:, 0], 3)} | {_mean(changes[:, 1], 3)} |"
    )


def _print_found(found: Sequence[dict[tuple[str, str], float]]) -> None:
    pairs = sorted(
        {pair for draw in found for pair in draw}, key=lambda pair: -sum(draw.get(pair, 0) for draw in found)
    )
    print("\n| interaction | kept in draws | gain, share of the additive residual |")
    print("|---|---|---|")
    for pair in pairs:
        gains = [draw[pair] for draw in found if pair in draw]
        print(f"| {pair[0]} on {pair[1]} | {len(gains)} of {len(found)} | {np.mean(gains):.3f} |")


def _mean(values: NDArray[np.float64], digits: int = 2) -> str:
    if len(values) < 2:
        return f"{values.mean():.{digits}f}"
    reach = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.{digits}f} ± {reach:.{digits}f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--edits", type=int, default=300)
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=list(SETS))
    options = parser.parse_args()
    shipped = BaseRuntime.from_bundle(load_bundle(default_bundle_path()))
    for chosen in options.sets:
        bench(domain_of(chosen, shipped), options.labels, options.draws, options.edits)
