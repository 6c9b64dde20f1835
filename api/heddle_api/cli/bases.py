"""Commands on published bases: see them, publish one, say which new fits use, train one on the cluster."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    AdminKey,
    AsJson,
    ControlUrl,
    DataDir,
    connected_as_operator,
    fail,
    out,
    show,
    table,
)
from heddle_api.cli.jobs import ended, watched
from heddle_api.cli.labelled import sending
from heddle_api.cli.publish import pack_bundle
from heddle_platform.base.bundle import load_bundle, read_card_files

BaseName = Annotated[str, typer.Argument(metavar="BASE", help="Id, alias, digest or name of a published base.")]


def list_bases(
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List published bases, newest first, and the aliases that point at them.

    Example: `heddle base list`
    """
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        found = client.bases()
    rows = [(one.name, ", ".join(one.aliases) or None, one.id, one.digest) for one in found]
    documents = [one.document() for one in found]
    show(documents, as_json, lambda: table(("name", "aliases", "id", "sha256"), rows))


def show_base(
    base: BaseName = "default",
    html: Annotated[Path | None, typer.Option(help="Write the model card to this file, as a page.")] = None,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show a published base and what its manifest says; its model card as a page if wanted.

    Example: `heddle base show default --html card.html`
    """
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        found = client.base(base)
        if html is not None:
            html.write_text(client.base_card_page(found.id), encoding="utf-8")
    manifest = found.document()["manifest"]

    def people() -> None:
        out.print(f"{found.name}  {', '.join(found.aliases)}  {found.id}  {found.digest}", markup=False)
        out.print(f"{manifest['latents']} latents, {manifest['image_size']} x {manifest['image_size']} pixels")
        table(("metric", "value"), [(name, f"{value:.4g}") for name, value in _numbers(manifest.get("metrics", {}))])
        if html is not None:
            out.print(f"wrote {html}", markup=False)

    show(found.document(), as_json, people)


def publish(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.", exists=True, file_okay=False)],
    name: Annotated[str | None, typer.Option(help="Name of the base; the recipe's where none is given.")] = None,
    alias: Annotated[str | None, typer.Option(help="Alias to point at it, such as default.")] = None,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Publish a trained base. Adapters stay on theirs until `heddle base rollout` refits them.

    Example: `heddle base publish base-output/bundle --name sprites`
    """
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        loaded = load_bundle(bundle)
        packed = pack_bundle(loaded, read_card_files(bundle))
        with sending(quiet=as_json) as progress:
            made = client.publish_base(packed, name=name or loaded.manifest.name, alias=alias, on_progress=progress)
    aliases = f"  as {', '.join(made.aliases)}" if made.aliases else ""
    show(made.document(), as_json, lambda: out.print(f"{made.name}{aliases}  {made.id}  {made.digest}", markup=False))


def move_alias(
    name: Annotated[str, typer.Argument(help="Name of the bases.")],
    alias: Annotated[str, typer.Argument(help="Alias, such as default.")],
    base: BaseName,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Point an alias at a base: new fits use it, adapters stay on the base they were fitted on.

    Example: `heddle base alias sprites default bas_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        known = {each: one.name for one in client.bases() for each in one.aliases}
        etag = client.base_alias(known[alias], alias).etag if alias in known else None
        moved = client.move_base_alias(name, alias, base, etag=etag)
    show(moved.document(), as_json, lambda: out.print(f"{alias} is {moved.name}  {moved.base}", markup=False))


def pretrain(
    recipe: Annotated[Path, typer.Argument(help="YAML recipe, as `heddle base train` takes it.", exists=True)],
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share every batch.")] = 1,
    wait: Annotated[bool, typer.Option(help="Wait until the base is trained and published.")] = True,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Train a base on the cluster and publish it. Exit code 1 if the training fails.

    Example: `heddle base pretrain platform/heddle_platform/base/recipes/default.yaml`
    """
    document = _recipe(recipe)
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        job = client.pretrain(document, workers=workers)
        if wait:
            job = watched(client, job.id, quiet=as_json)
    ended(job, as_json)


def _recipe(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fail(f"{file} is not YAML: {error}")
    if not isinstance(document, dict):
        fail(f"{file} holds no recipe: a mapping with name, corpus and steps")
    return document


def _numbers(metrics: dict[str, Any], of: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in metrics.items():
        if isinstance(value, dict):
            found += _numbers(value, f"{of}{name} ")
        elif isinstance(value, int | float):
            found.append((f"{of}{name}", value))
    return found
