"""`heddle base`: train a base from a recipe, write its model card. Torch is imported only when it trains."""

from pathlib import Path
from typing import Annotated

import typer

from heddle_api.cli.connection import err, fail
from heddle_api.cli.steps import Steps
from heddle_platform.base.bundle import CARD_HTML, load_bundle
from heddle_platform.errors import HeddleError

app = typer.Typer(no_args_is_help=True, help="Bases: the shared encoder and decoder that every adapter stands on.")

RecipeFile = Annotated[
    Path,
    typer.Option("--recipe", help="YAML recipe: corpus, network, objectives, length.", exists=True, dir_okay=False),
]
OutFolder = Annotated[Path, typer.Option("--out", help="Gets the checkpoint, metrics and, at the end, bundle/.")]
CacheFolder = Annotated[
    Path | None, typer.Option("--cache", help="Where rendered images are kept; your cache directory if left out.")
]
BundleFolder = Annotated[Path, typer.Argument(help="A bundle's folder.", exists=True, file_okay=False)]
CardFile = Annotated[Path, typer.Option("--out", help="The HTML file to write; the JSON gets the same name.")]
Anew = Annotated[bool, typer.Option("--anew", help="Start again instead of going on from the checkpoint in --out.")]


@app.command()
def train(recipe: RecipeFile, out: OutFolder, cache: CacheFolder = None, anew: Anew = False) -> None:
    """Train a base and pack it as a bundle (manifest, weights, two ONNX graphs).

    Killed or stopped with Ctrl-C it goes on from its last checkpoint when run again with the same --out.

    Example: heddle base train --recipe platform/heddle_platform/base/recipes/default.yaml --out base-output
    """
    try:
        from heddle_adapters.base_scores import base_scores_with_intervals
        from heddle_platform.base.config import load_recipe
        from heddle_platform.base.progress import shown_progress
        from heddle_platform.base.train import train as run
    except ModuleNotFoundError as error:
        fail(f"the package {error.name} is missing; install what training needs: pip install 'heddle[demo]'")
    try:
        with shown_progress() as progress:
            bundle = run(
                load_recipe(recipe),
                out,
                cache_dir=cache,
                resume=not anew,
                progress=progress,
                score=base_scores_with_intervals,
            )
    except HeddleError as error:
        fail(error.message)
    typer.echo(f"The bundle is in {bundle}, its model card is {bundle / CARD_HTML}.")


@app.command()
def card(bundle: BundleFolder, out: CardFile, cache: CacheFolder = None) -> None:
    """Measure a bundle on held-out images and write its model card: HTML, and JSON beside it.

    Training writes one already; this makes a new one, of any bundle whose recipe says what it was trained on.

    Example: heddle base card platform/heddle_platform/base/default --out card.html
    """
    try:
        from heddle_adapters.base_scores import base_scores_with_intervals
        from heddle_platform.base.card import held_out_parts, kept_card, make_card
        from heddle_platform.base.card_page import card_page
    except ModuleNotFoundError as error:
        fail(f"the package {error.name} is missing; install what scoring needs: pip install 'heddle[demo]'")
    try:
        loaded = load_bundle(bundle)
        with Steps(err) as steps:
            with steps.step("Rendering held-out images"):
                held_out = held_out_parts(loaded.manifest.recipe, cache)
            with steps.step("Measuring"):
                made = make_card(loaded, held_out, score=base_scores_with_intervals, kept=kept_card(bundle))
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(card_page(made))
        out.with_suffix(".json").write_bytes(made.canonical())
    except HeddleError as error:
        fail(error.message)
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}")
    typer.echo(f"The model card is {out}; the same as JSON: {out.with_suffix('.json')}.")
