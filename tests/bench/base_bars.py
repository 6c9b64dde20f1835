"""Does a base reach its bars? What adapters read with 1,000 labels, and how well it draws, in one table.

    python -m tests.bench.base_bars [--base DIRECTORY] [--draws 5] [--components 64 256]

Accuracy is the mean over draws of labelled images on images that neither adapter nor base saw, with its 95 % interval
(Student's t); of `cmu_faces`, which has 624 images, the mean over five folds. Beside it stands what the same adapter
reads from the principal components of the set's own images: a code of as many numbers that was made for that set and
no other. Errors of the round trip are those of the corpus's held-out images, rendered anew, and of the sets; beside
them stand those of the images that were not turned, scaled and shifted (one in five is).
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.base.card import held_out_parts
from heddle_platform.base.card_parts import as_seen
from heddle_platform.base.corpus import CorpusConfig
from heddle_platform.base.runtime import BaseRuntime
from tests.bench.base_sets import SETS, Floats, Labelled, accuracies, load_labelled, principal_components, still

CORPUS_BAR = 0.0015


@dataclass(frozen=True)
class Row:
    """One figure against its bar; `others` are the same of other codes."""

    name: str
    value: float
    bar: float | None
    digits: int = 3
    reach: float | None = None
    others: tuple[float, ...] = ()
    least: bool = True  # the bar is the least that is wanted, else the most

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return ""
        return "met" if (self.value >= self.bar if self.least else self.value <= self.bar) else "missed"


def read_rows(labelled: Labelled, accuracy_DF: Floats, others: Sequence[Floats]) -> Iterator[Row]:
    """A row of the set's mean and one of each factor."""
    bar, bars = labelled.bar, dict(labelled.bar.factors)
    left_out = f" but {', '.join(bar.left_out)}" if bar.left_out else ""
    means = [labelled.mean_of(accuracy_F) for accuracy_F in accuracy_DF]
    mean_others = tuple(labelled.mean_of(each.mean(axis=0)) for each in others)
    yield Row(f"{labelled.name}: all{left_out}", float(np.mean(means)), bar.mean, 3, reach(means), mean_others)
    for index, name in enumerate(labelled.factor_set.names):
        mine = accuracy_DF[:, index]
        theirs = tuple(float(each[:, index].mean()) for each in others)
        yield Row(f"{labelled.name}: {name}", float(mine.mean()), bars.get(name), 3, reach(mine.tolist()), theirs)


def reach(values: Sequence[float]) -> float | None:
    """Half of the 95 % interval of a mean, or None of a single value."""
    if len(values) < 2:
        return None
    return float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def error(base: BaseRuntime, images: NDArray[np.uint8]) -> float:
    """Mean squared error of the round trip, images in 0..1."""
    drawn = base.decode(base.encode(images))
    return float(np.square(drawn - images.astype(np.float32) / 255, dtype=np.float64).mean())


def show(title: str, heads: Sequence[str], rows: Sequence[Row]) -> None:
    """Print rows as a Markdown table."""
    print(f"\n| {title} | base | bar | |" + "".join(f" {head} |" for head in heads))
    print("|---" * (4 + len(heads)) + "|")
    for row in rows:
        value = f"{row.value:.{row.digits}f}" + (f" ± {row.reach:.{row.digits}f}" if row.reach is not None else "")
        bar = "" if row.bar is None else f"{row.bar:g}"
        print(
            f"| {row.name} | {value} | {bar} | {row.verdict} |"
            + "".join(f" {other:.{row.digits}f} |" for other in row.others)
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="directory of another base than the shipped one")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--components", type=int, nargs="*", default=[64, 256])
    asked = parser.parse_args()
    bundle = load_bundle(asked.base or default_bundle_path())
    base, manifest = BaseRuntime.from_bundle(bundle), bundle.manifest
    print(f"base {manifest.name} {bundle.digest[:12]}, {base.latents} latents, {manifest.metrics.steps:,} steps")
    reads: list[Row] = []
    draws: list[Row] = []
    with threadpool_limits(1):
        corpus = CorpusConfig.model_validate(manifest.recipe["corpus"])
        for part in held_out_parts(manifest.recipe):
            whole, unmoved = (
                error(base, as_seen(each, manifest.image_size, manifest.channels).images)
                for each in (part, still(part, corpus))
            )
            draws.append(Row(part.name, whole, CORPUS_BAR, 4, others=(unmoved,), least=False))
        for name, bar in SETS.items():
            labelled = load_labelled(name)
            latents_NL = base.encode(labelled.images)
            codes = [principal_components(labelled.images, count) for count in asked.components]
            others = [accuracies(labelled, code_NL, asked.draws) for code_NL in codes]
            reads += read_rows(labelled, accuracies(labelled, latents_NL, asked.draws), others)
            draws.append(Row(f"{name}.npz", error(base, labelled.images[:1_000]), bar.mse, 4, least=False))
    show("read accuracy", [f"{count} components" for count in asked.components], reads)
    show("MSE of the round trip", ["still"], draws)
    judged = [row for row in [*reads, *draws] if row.bar is not None]
    print(f"\n{sum(row.verdict == 'met' for row in judged)} of {len(judged)} bars met")


if __name__ == "__main__":
    main()
