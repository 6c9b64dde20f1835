"""`heddle base shards`: turn any corpus into shards that training streams, in a folder or in the object store."""

from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError
from rich.markup import escape

from heddle_api.cli.connection import err, fail
from heddle_api.cli.steps import Steps
from heddle_platform.errors import HeddleError
from heddle_platform.ports import ObjectStore

_STORED: Final = "stored:"

Source = Annotated[
    str,
    typer.Argument(
        help="Folder or file with images, zips, Parquet (.parquet), WebDataset (.tar) or arrays (.npz); or "
        "stored:NAME, a corpus in the object store."
    ),
]
Target = Annotated[str, typer.Argument(help="Folder that gets the shards, or stored:NAME.")]
Size = Annotated[int, typer.Option("--size", min=8, max=512, help="Side of the square images in pixels.")]
Grey = Annotated[bool, typer.Option("--grey", help="One channel instead of three.")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", help="A column that is a factor; may be given again. Left out: all that can be one."),
]
ImageColumn = Annotated[str, typer.Option("--image", help="The Parquet column with the images.")]
SkipBroken = Annotated[bool, typer.Option("--skip-broken", help="Leave images out that cannot be decoded.")]


def shards(
    source: Source,
    target: Target,
    size: Size = 64,
    grey: Grey = False,
    label: Labels = None,
    image: ImageColumn = "image",
    skip_broken: SkipBroken = False,
) -> None:
    """Turn a corpus into shards: images scaled to the base's size, with their labels; one in twenty held out.

    Interrupted, it goes on where it stood when run again. A recipe names the result in corpus.sources, by its path or
    as stored: NAME.

    Example: `heddle base shards photos/ stored:photos --size 64`
    """
    from heddle_platform.base.sources.place import LocalPlace, StoredPlace
    from heddle_platform.base.sources.read import SourceConfig, open_place
    from heddle_platform.base.sources.write import write_shards

    store = object_store() if _STORED in (source[: len(_STORED)], target[: len(_STORED)]) else None
    where = {"stored": source.removeprefix(_STORED)} if source.startswith(_STORED) else {"path": source}
    if where.get("path") and Path(target).resolve().is_relative_to(Path(source).resolve()):
        fail(f"{target} lies in {source}: the shards would be read as part of the source; choose another folder")
    if not target.startswith(_STORED) and Path(target).is_file():
        fail(f"{target} is a file; name a folder for the shards")
    try:
        config = SourceConfig.model_validate(
            {**where, "labels": label or None, "image": image, "skip_broken": skip_broken}
        )
        if store is not None and target.startswith(_STORED):
            place: LocalPlace | StoredPlace = StoredPlace(store, target.removeprefix(_STORED))
        else:
            place = LocalPlace(Path(target))
        with Steps(err) as steps, steps.step("Writing shards") as step:

            def tell(ready: int, wanted: int) -> None:
                step.advance(ready, wanted)
                step.say(f"{ready:,} of about {wanted:,} images")

            channels = 1 if grey else 3
            index = write_shards(open_place(config, store), config, place, size=size, channels=channels, progress=tell)
    except ValidationError as error:
        fail(f"{source} names no corpus: {error.errors()[0]['msg']}")
    except HeddleError as error:
        fail(error.message)
    for column, reason in index.left_out.items():
        err.print(f"[yellow]left out:[/] column {escape(column)}: {escape(reason)}")
    if index.skipped:
        err.print(f"[yellow]left out:[/] {index.skipped:,} image(s) that cannot be decoded")
    images, held = (sum(shard.images for shard in each) for each in (index.train, index.held_out))
    factors = ", ".join(f"{column} {len(levels)}" for column, levels in index.factors.items())
    typer.echo(f"{images:,} images in {len(index.train)} shards, {held:,} held out. Factors: {factors or 'none'}.")


def object_store() -> ObjectStore:
    """The object store of the environment; leaves with a sentence if there is none."""
    from heddle_infra.s3 import S3ObjectStore
    from heddle_platform.settings import ObjectStoreSettings

    try:
        return S3ObjectStore(ObjectStoreSettings())
    except ValidationError as error:
        missing = ", ".join(f"HEDDLE_{str(fault['loc'][0]).upper()}" for fault in error.errors())
        fail(f"a corpus in the object store needs its address and keys; set {missing}")
