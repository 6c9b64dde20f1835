"""What would let the default base draw and read better: its recipe, trained shortly, with one thing changed at a time.

    python -m tests.bench.base_curve --out FILE.jsonl [--steps 400] [--only latents-32,wide] [--table] [--draw FILE.svg]

Every training is that of `recipes/default.yaml` but for its length and a quarter of its images; then latents, weight of
the KL term, styles of the corpus, length, or a part of the recipe differ. The shipped base, which saw twenty times as
many images, is measured beside them. A finished run is a line of FILE.jsonl and is not done again; one that was
interrupted goes on from its checkpoint, which lies beside the file and may be deleted. Errors are those of held-out
images (250 a style) and, to tell learning by heart from not having learnt yet, of as many images of the training;
`still` are the held-out images that were not turned, scaled and shifted (one in five is).
`searched` is the error of the latents that a search finds for the same decoder instead of the encoder's: what is then
left is the decoder's doing. Reads are adapters' with 1,000 labels (`base_sets`).
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from heddle_platform.base.batches import to_float
from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.base.card import held_out_parts
from heddle_platform.base.config import Recipe, load_recipe
from heddle_platform.base.corpus import Corpus, CorpusConfig, Part, build_corpus, resident_parts
from heddle_platform.base.evaluate import encode_means, evaluate
from heddle_platform.base.export import network_from_bundle
from heddle_platform.base.isolation.isolated import Isolated
from heddle_platform.base.network import Network
from heddle_platform.base.train import run_training
from heddle_platform.digest import canonical_json, sha256_hex
from tests.bench.base_curve_page import drawing, table
from tests.bench.base_sets import Labelled, accuracies, load_labelled, still
from tests.bench.objectives import read

SHIPPED = "shipped"
DEFAULT = Path(__file__).parents[2] / "platform/heddle_platform/base/recipes/default.yaml"
SHARD = 500  # whole shards, so that what is rendered once serves every share of the corpus
FOUR = ("micah", "pixel-art", "glyphs", "open-peeps")
READ_SETS = ("avatars", "cmu_faces")
SEARCHED, SEARCH_STEPS, SEARCH_RATE = 8, 100, 0.05  # images a style, steps of Adam, its learning rate

# What differs from the recipe; `length` is in units of --steps. In the order in which they are worth having.
SETTINGS: dict[str, dict[str, Any]] = {
    SHIPPED: {},
    "base": {},
    "latents-256": {"latents": 256},
    "styles-1": {"styles": FOUR[:1]},
    "beta-100": {"beta": 100.0},
    "length-2": {"length": 2},
    "length-4": {"length": 4},
    "latents-32": {"latents": 32},
    "styles-4": {"styles": FOUR},
    "beta-10": {"beta": 10.0},
    "latents-128": {"latents": 128},
    "base-seed-2": {"seed": 2},
    "wide": {"network": {"width": 192, "decoder_squeeze": 96, "decoder_hidden": 1536}},
    "no-anchor": {"without": "anchor"},
    "no-edges": {"edge": 0.0},
    "beta-0.1": {"beta": 0.1},
}


def recipe_of(setting: dict[str, Any], steps: int) -> Recipe:
    """The recipe of one training."""
    document = load_recipe(DEFAULT).model_dump(mode="json")
    corpus, network, terms = document["corpus"], document["network"], document["terms"]
    corpus["images"] = {
        part: count // 4 // SHARD * SHARD
        for part, count in corpus["images"].items()
        if part in setting.get("styles", corpus["images"])
    }
    network |= {"latents": setting.get("latents", network["latents"]), **setting.get("network", {})}
    kept = [term for term in terms if term["kind"] != setting.get("without")]
    for term in kept:
        if term["kind"] == "kl":
            term["schedule"]["weight"] = setting.get("beta", term["schedule"]["weight"])
        if term["kind"] == "reconstruction":
            term["edge"] = setting.get("edge", term["edge"])
    length = steps * setting.get("length", 1)
    seed = setting.get("seed", document["seed"])
    return Recipe.model_validate(
        {**document, "terms": kept, "steps": length, "seed": seed, "evaluate_seconds": 1e6, "checkpoint_seconds": 60}
    )


def measured(
    network: Network | Isolated, held_out: Sequence[Part], corpus: CorpusConfig, sets: Sequence[Labelled]
) -> dict[str, Any]:
    """A network's figures on images it never saw."""
    figures = evaluate(network, tuple(held_out))
    unmoved = evaluate(network, tuple(still(part, corpus) for part in held_out))
    reads = {}
    for labelled in sets:
        latents_NL = encode_means(network, labelled.images)[0].numpy()
        spread_L = latents_NL.std(axis=0).clip(1e-6)
        accuracy_F = accuracies(labelled, (latents_NL - latents_NL.mean(axis=0)) / spread_L, draws=2).mean(axis=0)
        found = zip(labelled.factor_set.names, accuracy_F, strict=True)
        reads[labelled.name] = {"mean": round(labelled.mean_of(accuracy_F), 4)} | {
            name: round(float(accuracy), 4) for name, accuracy in found
        }
    sprites = load_labelled("lpc_sprites")
    unseen = Part("lpc_sprites", sprites.images[:1_000], sprites.values_NF[:1_000].astype("int16"))
    return {
        "mse": {part: round(value, 5) for part, value in figures.mse.items()},
        "still_mse": {part: round(value, 5) for part, value in unmoved.mse.items()},
        "unseen_mse": round(evaluate(network, (unseen,)).mse[unseen.name], 5),
        "searched": searched(network, held_out),
        "kl": round(sum(figures.kl_per_latent), 1),
        "active": figures.active_units,
        "reads": reads,
    }


def searched(network: Network | Isolated, held_out: Sequence[Part]) -> dict[str, float]:
    """Mean error of some held-out images: with the encoder's latents, and with the best that a search finds."""
    images = torch.cat([to_float(part.images[:SEARCHED], network.config.channels) for part in held_out])
    with torch.no_grad():
        latents = network.encoder(images)[0]
    latents = nn.Parameter(latents.clone())
    search = torch.optim.Adam([latents], lr=SEARCH_RATE)
    errors = []
    for step in range(SEARCH_STEPS + 1):
        for group in search.param_groups:
            group["lr"] = SEARCH_RATE * (1 - step / (SEARCH_STEPS + 1))
        error_B = (network.decoder(latents) - images).square().mean(dim=(1, 2, 3))
        errors.append(float((network.decoder(latents).clamp(0, 1) - images).square().mean().detach()))
        search.zero_grad()
        error_B.sum().backward()
        search.step()
    return {"encoder": round(errors[0], 5), "search": round(errors[-1], 5)}


def trained(recipe: Recipe, corpus: Corpus, work_dir: Path, sets: Sequence[Labelled]) -> dict[str, Any]:
    """Train one recipe and measure it."""
    learner, steps = run_training(recipe, corpus, work_dir, resume=True)
    few = tuple(
        replace(part, images=part.images[: held.count], labels=part.labels[: held.count])
        for part, held in zip(resident_parts(corpus), corpus.held_out, strict=True)
    )
    row = measured(learner.averaged, corpus.held_out, recipe.corpus, sets)
    row["trained_mse"] = {part: round(value, 5) for part, value in evaluate(learner.averaged, few).mse.items()}
    weights = sum(weight.numel() for weight in learner.averaged.parameters())
    return {**row, "steps": steps, "weights": weights, "precision": learner.precision}


def shipped_row(sets: Sequence[Labelled]) -> dict[str, Any]:
    """The shipped base's figures, taken the same way."""
    bundle = load_bundle(default_bundle_path())
    network = network_from_bundle(bundle)
    parts = held_out_parts(bundle.manifest.recipe)
    weights = sum(weight.numel() for weight in network.parameters())
    corpus = CorpusConfig.model_validate(bundle.manifest.recipe["corpus"])
    return {**measured(network, parts, corpus, sets), "steps": bundle.manifest.metrics.steps, "weights": weights}


def main() -> None:
    """Train what is missing, print the table, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="results, one line a run")
    parser.add_argument("--steps", type=int, default=400, help="steps of a training of length 1")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(SETTINGS))
    parser.add_argument("--table", action="store_true", help="only print, and draw, what is there")
    parser.add_argument("--draw", type=Path, help="also draw the curves into this SVG")
    asked = parser.parse_args()
    recipes = {name: recipe_of(setting, asked.steps) for name, setting in SETTINGS.items()}
    keys = {
        name: f"{name} {sha256_hex(canonical_json(recipe.model_dump(mode='json')))[:16]}"
        for name, recipe in recipes.items()
    }
    keys[SHIPPED] = f"{SHIPPED} {load_bundle(default_bundle_path()).digest[:16]}"
    missing = [name for name in SETTINGS if name in asked.only and keys[name] not in read(asked.out)]
    if missing and not asked.table:
        torch.set_num_threads(1)
        sets = [load_labelled(name) for name in READ_SETS]
        for name in missing:
            if keys[name] in read(asked.out):
                continue  # another process has done it meanwhile
            if name == SHIPPED:
                row = shipped_row(sets)
            else:
                work_dir = asked.out.parent / f"{asked.out.stem}-checkpoints" / keys[name].replace(" ", "-")
                row = trained(recipes[name], build_corpus(recipes[name].corpus), work_dir, sets)
            asked.out.parent.mkdir(parents=True, exist_ok=True)
            with asked.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": keys[name], "name": name, **row}) + "\n")
            print(json.dumps({"name": name, **row}), flush=True)
    stored = read(asked.out)
    rows = {name: stored[key] for name, key in keys.items() if key in stored}
    print(table(rows))
    if asked.draw:
        asked.draw.write_text(drawing(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
