"""`heddle base`: prepare a corpus, train a base from a recipe. Torch is imported only when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from heddle_api.cli.connection import fail
from heddle_api.cli.shards import object_store, shards
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
Anew = Annotated[bool, typer.Option("--anew", help="Start again instead of going on from the checkpoint in --out.")]


app.command()(shards)


@app.command()
def train(recipe: RecipeFile, out: OutFolder, cache: CacheFolder = None, anew: Anew = False) -> None:
    """Train a base and pack it as a bundle (manifest, weights, two ONNX graphs).

    Killed or stopped with Ctrl-C it goes on from its last checkpoint when run again with the same --out.

    Example: heddle base train --recipe platform/heddle_platform/base/recipes/default.yaml --out base-output
    """
    try:
        from heddle_platform.base.config import load_recipe
        from heddle_platform.base.progress import shown_progress
        from heddle_platform.base.train import train as run
    except ModuleNotFoundError as error:
        fail(f"the package {error.name} is missing; install what training needs: pip install 'heddle[demo]'")
    try:
        with shown_progress() as progress:
            wanted = load_recipe(recipe)
            stored = any(source.stored for source in wanted.corpus.sources.values())
            store = object_store() if stored else None
            bundle = run(wanted, out, cache_dir=cache, resume=not anew, progress=progress, store=store)
    except HeddleError as error:
        fail(error.message)
    typer.echo(f"The bundle is in {bundle}. Its metrics stand in {bundle / 'manifest.json'}.")
