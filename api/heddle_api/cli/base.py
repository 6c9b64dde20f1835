"""`heddle base`: bases, published and made: prepare a corpus, train, write a model card; torch only when it runs."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from heddle_api.cli import bases, rollouts
from heddle_api.cli.connection import err, fail
from heddle_api.cli.shards import object_store, shards
from heddle_api.cli.steps import Steps
from heddle_api.cli.sweep import sweep
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
KnownFailures = Annotated[
    list[str] | None,
    typer.Option(
        "--known",
        help="A sentence on what the base does badly that its held-out images do not show; repeat it for more. "
        "Left out: those of the card beside the bundle.",
    ),
]
Workers = Annotated[
    int,
    typer.Option("--workers", min=1, max=64, help="Processes that share every batch, by Ray Train; 1: in process."),
]
Anew = Annotated[bool, typer.Option("--anew", help="Start again instead of going on from the checkpoint in --out.")]


app.command("list")(bases.list_bases)
app.command("show")(bases.show_base)
app.command("publish")(bases.publish)
app.command("alias")(bases.move_alias)
app.command("pretrain")(bases.pretrain)
app.command()(shards)
app.command()(sweep)
app.add_typer(rollouts.app, name="rollout")


@app.command()
def train(
    recipe: RecipeFile, out: OutFolder, cache: CacheFolder = None, anew: Anew = False, workers: Workers = 1
) -> None:
    """Train a base and pack it as a bundle (manifest, weights, two ONNX graphs), with its model card.

    Killed or stopped with Ctrl-C it goes on from its last checkpoint when run again with the same --out.

    Example: `heddle base train --recipe platform/heddle_platform/base/recipes/default.yaml --out base-output`
    """
    if workers > 1:
        _train_side_by_side(recipe, out, workers, cache, anew)
    try:
        from heddle_adapters.base_scores import base_scores, base_scores_with_intervals
        from heddle_infra.tracking import open_tracker
        from heddle_platform.base.config import load_recipe
        from heddle_platform.base.progress import shown_progress
        from heddle_platform.base.train import train as run
        from heddle_platform.settings import TrackingSettings
    except ModuleNotFoundError as error:
        fail(f"the package {error.name} is missing; install what training needs: pip install 'heddle[demo]'")
    try:
        wanted = load_recipe(recipe)
        tracker = open_tracker(TrackingSettings(), run=f"{wanted.name} {out.resolve()}", name=wanted.name)
        with shown_progress() as progress:
            stored = any(source.stored for source in wanted.corpus.sources.values())
            bundle = run(
                wanted,
                out,
                cache_dir=cache,
                resume=not anew,
                progress=progress,
                store=object_store() if stored else None,
                score=base_scores,
                card_score=base_scores_with_intervals,
                tracker=tracker,
            )
    except HeddleError as error:
        fail(error.message)
    typer.echo(f"The bundle is in {bundle}, its model card is {bundle / CARD_HTML}.")


def _train_side_by_side(recipe: Path, out: Path, workers: int, cache: Path | None, anew: bool) -> NoReturn:
    """Hand over to the workers' own program: this side knows no Ray."""
    if cache is not None:
        fail("--cache is for one worker; several share your cache directory (XDG_CACHE_HOME)")
    command = [sys.executable, "-m", "heddle_workers.train_local", f"--recipe={recipe}", f"--out={out}"]
    command += [f"--workers={workers}", *(["--anew"] if anew else [])]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


@app.command()
def card(bundle: BundleFolder, out: CardFile, cache: CacheFolder = None, known: KnownFailures = None) -> None:
    """Measure a bundle on held-out images and write its model card: HTML, and JSON beside it.

    Training writes one already; this makes a new one, of any bundle whose recipe says what it was trained on.

    Example: `heddle base card platform/heddle_platform/base/default --out card.html`
    """
    try:
        from heddle_adapters.base_scores import base_scores_with_intervals
        from heddle_platform.base.card import held_out_parts, kept_card, make_card
        from heddle_platform.base.card_page import card_page
        from heddle_platform.base.run_log import kept_measurements
    except ModuleNotFoundError as error:
        fail(f"the package {error.name} is missing; install what scoring needs: pip install 'heddle[demo]'")
    try:
        loaded = load_bundle(bundle)
        with Steps(err) as steps:
            with steps.step("Rendering held-out images"):
                held_out = held_out_parts(loaded.manifest.recipe, cache)
            with steps.step("Measuring"):
                made = make_card(
                    loaded,
                    held_out,
                    score=base_scores_with_intervals,
                    measurements=kept_measurements(bundle.resolve().parent, loaded.manifest.recipe),
                    known=known or (),
                    kept=kept_card(bundle),
                )
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(card_page(made))
        out.with_suffix(".json").write_bytes(made.canonical())
    except HeddleError as error:
        fail(error.message)
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}")
    typer.echo(f"The model card is {out}; the same as JSON: {out.with_suffix('.json')}.")
