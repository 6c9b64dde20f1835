"""Objectives side by side on dSprites: the same network, images and budget for all, MIG on images held out.

    python tests/bench/objectives.py --out FILE.jsonl [--seeds 5] [--seconds 360] [--only beta-vae,ada-gvae] [--table]
        [--precision bfloat16]

Every finished run is a line of FILE.jsonl; a run that is there already (same recipe, seed and budget) is skipped, so
the table can be made over several days, or by two processes with different --only. A run that was interrupted goes on
from its checkpoint. MIG is taken on 5,000 held-out images with all five true factors, 20 bins.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from heddle_adapters.scores.mig import mig
from heddle_platform.base.config import Recipe
from heddle_platform.base.corpus import DSPRITES_EXACT, Corpus, build_corpus
from heddle_platform.base.evaluate import encode_means, evaluate
from heddle_platform.base.train import run_training
from heddle_platform.digest import canonical_json, sha256_hex

LATENTS = 10
FACTORS = ("shape", "scale", "orientation", "posX", "posY")
CORPUS = {"images": {DSPRITES_EXACT: 30_000}, "held_out": 5_000}
# The pair of the literature with half its channels: twice as many images in the same time.
NETWORK = {
    "kind": "convolution", "channels": 1, "latents": LATENTS, "maps": [16, 16, 32, 32], "output": "sigmoid",
}  # fmt: skip
OPTIMISER = {"kind": "adamw", "batch": 64, "learning_rate": 2e-3}
DRAW = {"kind": "bernoulli"}
# Without the last a position is soon drawn by two latents, and pairs alone do not part them again.
TOGETHER = {"kind": "total_correlation", "schedule": {"weight": 10}}
# 31 steps between positions are 32 pixels. 39 steps of orientation are a turn; after a quarter a square looks the same.
MOVES = {"across": f"{DSPRITES_EXACT}/posX", "down": f"{DSPRITES_EXACT}/posY", "step": 32 / 31}
SCALES: dict[str, dict[str, Any]] = {"orientation": {"scale": "folded", "period": 39 / 4}}
ONE_TO_ONE = [
    {"factor": f"{DSPRITES_EXACT}/{name}", "latents": [index], **SCALES.get(name, {})}
    for index, name in enumerate(FACTORS)
]


def kl(weight: float) -> dict[str, Any]:
    return {"kind": "kl", "schedule": {"weight": weight, "warmup": 0.1}}


# Unsupervised but for Ada-GVAE, which knows that partners differ in one factor, and anchored, which sees 1,000 labels.
OBJECTIVES: dict[str, dict[str, Any]] = {
    "beta-vae": {"terms": [DRAW, kl(4)]},
    "beta-tcvae": {"terms": [DRAW, kl(1), TOGETHER]},
    "factor-vae": {"terms": [DRAW, kl(1), {"kind": "critic", "schedule": {"weight": 10}}]},
    "dip-vae": {
        "terms": [DRAW, kl(1), {"kind": "moments", "of": "samples", "diagonal": 1, "schedule": {"weight": 10}}]
    },
    "mmd-uniform": {"terms": [DRAW, kl(0.1), {"kind": "mmd", "schedule": {"weight": 500}}]},
    "ada-gvae": {"terms": [DRAW, kl(2), {"kind": "ada", "differing": 1}, TOGETHER]},
    "anchored": {
        "terms": [
            DRAW,
            kl(8),
            {"kind": "pin", "pins": ONE_TO_ONE, "schedule": {"weight": 100}},
            {"kind": "total_correlation", "schedule": {"weight": 20}},
        ],
        "labels": {"images": 1000, "of_batch": 0.75, "moves": MOVES},
    },
}
# What weak supervision has to reach, and each more than anything without.
BARS = {"ada-gvae": 0.25, "anchored": 0.40}


def recipe_of(objective: str, seed: int, seconds: float | None, steps: int | None, precision: str = "auto") -> Recipe:
    """The recipe of one run; exactly one of seconds and steps."""
    length = {"minutes": seconds / 60} if steps is None and seconds is not None else {"steps": steps}
    common = {
        "name": f"dsprites-{objective}", "seed": seed, "corpus": CORPUS, "network": NETWORK, "optimiser": OPTIMISER,
        "augment": {"share": 0}, "evaluate_seconds": 1e6, "checkpoint_seconds": 20, "precision": precision,
    }  # fmt: skip
    return Recipe.model_validate({**common, **length, **OBJECTIVES[objective]})


def run(recipe: Recipe, corpus: Corpus, work_dir: Path) -> dict[str, Any]:
    """Train one recipe and measure it."""
    start = time.process_time()
    learner, steps = run_training(recipe, corpus, work_dir, resume=True, clock=time.process_time)
    held = corpus.held_out[0]
    codes, _ = encode_means(learner.averaged, held.images)
    figures = evaluate(learner.averaged, corpus.held_out)
    # Column 0 of a corpus's labels is the part.
    score = mig(codes.numpy(), held.labels[:, 1:])
    return {
        "mig": round(score.value, 4),
        "per_factor": [round(float(gap), 3) for gap in score.per_factor],
        "mse": round(figures.mse[DSPRITES_EXACT], 5),
        "active": figures.active_units,
        "kl": round(sum(figures.kl_per_latent), 2),
        "steps": steps,
        "images": steps * recipe.optimiser.batch,
        "cpu_seconds": round(time.process_time() - start, 1),
    }


def key_of(objective: str, recipe: Recipe) -> str:
    return f"{objective} {recipe.seed} {sha256_hex(canonical_json(recipe.model_dump(mode='json')))[:16]}"


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Finished runs by key; of two with one key the later."""
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["key"]: row for row in rows}


def verdicts(medians: dict[str, float]) -> list[str]:
    """A sentence for every bar."""
    without = {objective: median for objective, median in medians.items() if objective not in BARS}
    sentences = []
    for objective, bar in BARS.items():
        if objective not in medians or not without:
            continue
        best = max(without, key=without.__getitem__)
        met = medians[objective] >= bar and medians[objective] > without[best]
        sentences.append(
            f"{objective}: median {medians[objective]:.3f}, at least {bar:.2f} wanted and more than {best}'s "
            f"{without[best]:.3f}: {'met' if met else 'missed'}"
        )
    return sentences


def show(rows: list[dict[str, Any]]) -> None:
    medians: dict[str, float] = {}
    print(
        f"\n{'objective':12} seeds   MIG median (least, most)   " + "  ".join(f"{name:>11}" for name in FACTORS), end=""
    )
    print("     MSE  active      KL   images")
    for objective in OBJECTIVES:
        mine = [row for row in rows if row["objective"] == objective]
        if not mine:
            continue
        scores = [row["mig"] for row in mine]
        medians[objective] = statistics.median(scores)
        spread = f"{medians[objective]:.3f} ({min(scores):.3f}, {max(scores):.3f})"
        factors = np.median([row["per_factor"] for row in mine], axis=0)
        means = {name: statistics.mean(row[name] for row in mine) for name in ("mse", "active", "kl", "images")}
        print(f"{objective:12} {len(mine):5}   {spread:26} " + "  ".join(f"{gap:11.3f}" for gap in factors), end="")
        print(f"  {means['mse']:.4f}  {means['active']:6.1f}  {means['kl']:6.1f}  {means['images']:7.0f}")
    print("\n".join(verdicts(medians)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="results, one line a run; checkpoints lie beside it")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=360.0, help="processor seconds of a run's training")
    parser.add_argument("--steps", type=int, help="steps instead of seconds: the same whatever else the machine does")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(OBJECTIVES))
    parser.add_argument("--precision", default="auto", help="of the products; named, all runs surely have the same")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    options = parser.parse_args()
    wanted = {
        key_of(objective, recipe): (objective, recipe)
        for seed in range(options.seeds)
        for objective in options.only
        for recipe in [recipe_of(objective, seed, options.seconds, options.steps, options.precision)]
    }
    missing = {key: each for key, each in wanted.items() if key not in read(options.out)}
    if missing and not options.table:
        corpus = build_corpus(Recipe.model_validate(next(iter(missing.values()))[1]).corpus)
        for key, (objective, recipe) in missing.items():
            work_dir = options.out.parent / f"{options.out.stem}-checkpoints" / key.replace(" ", "-")
            row = {"key": key, "objective": objective, "seed": recipe.seed, **run(recipe, corpus, work_dir)}
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
    show([row for key, row in read(options.out).items() if key in wanted])


if __name__ == "__main__":
    main()
