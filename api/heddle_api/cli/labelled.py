"""Commands that bring a tenant's knowledge in: factor sets and labelled sets."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    ApiKeyOption,
    AsJson,
    ControlUrl,
    DataDir,
    connected,
    err,
    fail,
    out,
    place_of,
    show,
    table,
)
from heddle_api.cli.waiting import waiting
from heddle_api.client import DatasetInfo, Document

factors_app = typer.Typer(no_args_is_help=True, help="Factor sets: what you want to edit, declared once.")
data_app = typer.Typer(no_args_is_help=True, help="Labelled sets: images with labels.csv, checked before any training.")


@factors_app.command()
def register(
    file: Annotated[Path, typer.Argument(help="YAML or JSON: name, factors, accept.", exists=True, dir_okay=False)],
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Register a factor set; a changed file under a known name becomes its next version.

    Example: `heddle factors register factors.yaml`, the file being
    `{name: avatars, factors: [{name: glasses, kind: categorical, levels: [none, round]}]}`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        made = client.register_factor_set(_document(file))
    show(made.document(), as_json, lambda: out.print(f"{made.name}@{made.version}  {made.id}"))


@factors_app.command()
def check(
    file: Annotated[Path, typer.Argument(help="YAML or JSON.", exists=True, dir_okay=False)],
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Check a factor set and list every fault; nothing is stored. Exit code 1 if there is one.

    Example: `heddle factors check factors.yaml`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.check_factor_set(_document(file))
    show(found, as_json, lambda: _print_faults(found, "The factor set is valid."))
    if not found["valid"]:
        raise typer.Exit(1)


@factors_app.command("list")
def list_factors(
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List factor sets in their newest versions.

    Example: `heddle factors list`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = [factor_set.document() for factor_set in client.factor_sets()]
    rows = [(item["name"], item["version"], _names(item), item["id"]) for item in found]
    show(found, as_json, lambda: table(("name", "version", "factors", "id"), rows))


@factors_app.command("show")
def show_factors(
    factor_set: Annotated[str, typer.Argument(help="Name or id of a factor set.")],
    version: Annotated[int | None, typer.Option(min=1, help="Version; the newest where none is given.")] = None,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show the factors of a set: kinds, levels or ranges, and when they are accepted.

    Example: `heddle factors show avatars`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.factor_set(factor_set, version)
    document = found.document()["document"]
    rows = [(one["name"], one["kind"], _span(one), _conditions(one)) for one in document["factors"]]

    def people() -> None:
        out.print(f"{found.name}@{found.version}  {found.id}  {_conditions(document) or ''}", markup=False)
        table(("factor", "kind", "values", "accepted with"), rows)

    show(found.document(), as_json, people)


@data_app.command()
def upload(
    source: Annotated[
        Path, typer.Argument(help="A folder with labels.csv and images, a zip of one, or a Parquet file.", exists=True)
    ],
    factors: Annotated[str, typer.Option(help="Factor set the labels follow: name, name@version or id.")],
    name: Annotated[str | None, typer.Option(help="Name of the set; the file's name where none is given.")] = None,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Upload a labelled set and wait for its validation. Exit code 1 if it is rejected.

    labels.csv has a column `file`, then one column per factor; an empty cell is a missing label. A column `weight` may
    say how often each image counts beside the others. A Parquet file has a column `image` with the files' bytes
    instead, and the same columns of labels.

    Example: `heddle data upload faces --factors faces --name spring`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        with sending(quiet=as_json) as progress:
            try:
                made = client.upload_dataset(name or source.stem, source, factor_set=factors, on_progress=progress)
            except ValueError as error:
                fail(str(error))
        with waiting(_checking, quiet=as_json) as checking:
            found = client.wait_for_dataset(made.id, on_progress=checking)
        report = client.validation(made.id)
    ready = f"{found.name} is ready: {found.images} images  {found.id}"
    show({**found.document(), "validation": report}, as_json, lambda: _print_faults(report, ready))
    if found.status == "rejected":
        raise typer.Exit(1)


@data_app.command("list")
def list_data(
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List labelled sets, newest first.

    Example: `heddle data list`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.datasets()
    rows = [(item.name, item.status, item.images, item.fault_count, item.id) for item in found]
    documents = [item.document() for item in found]
    show(documents, as_json, lambda: table(("name", "status", "images", "faults", "id"), rows))


@data_app.command()
def report(
    dataset: Annotated[str, typer.Argument(help="Id or name of a labelled set.")],
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show what the validation of a labelled set found, by row and column.

    Example: `heddle data report spring`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.validation(dataset)
    show(found, as_json, lambda: _print_faults(found, f"The set is {found['status']}."))


@data_app.command()
def items(
    dataset: Annotated[str, typer.Argument(help="Id or name of a labelled set.")],
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List the images of a labelled set with their labels.

    Example: `heddle data items spring`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.items(dataset)
    rows = [
        (item.file, ", ".join(f"{name}={label}" for name, label in item.labels.items()), item.sha256, item.id)
        for item in found
    ]
    documents = [item.document() for item in found]
    show(documents, as_json, lambda: table(("file", "labels", "sha256", "id"), rows))


@data_app.command()
def delete(
    dataset: Annotated[str, typer.Argument(help="Id or name of a labelled set.")],
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Delete a labelled set that no job has used, with its images. Of others `heddle erase` takes images out.

    Example: `heddle data delete spring`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        client.delete_dataset(dataset)
    show({"deleted": dataset}, as_json, lambda: out.print(f"{dataset} is gone with its images.", markup=False))


def _checking(found: DatasetInfo) -> tuple[str, float | None]:
    return f"checking {found.name}", None


def _document(file: Path) -> Document | str:
    text = file.read_text(encoding="utf-8")
    if file.suffix.lower() != ".json":
        return text
    try:
        document: Document = json.loads(text)
    except ValueError as error:
        fail(f"{file} is not JSON: {error}")
    return document


def _span(factor: dict[str, Any]) -> str:
    unit = f" {factor['unit']}" if factor.get("unit") else ""
    if factor["kind"] == "continuous":
        return f"{factor['range'][0]:g} to {factor['range'][1]:g}{unit}"
    if factor["kind"] == "periodic":
        return f"once around is {factor['period']:g}{unit}"
    if factor["kind"] == "binary":
        return "off, on"
    return (" < " if factor["kind"] == "ordinal" else ", ").join(factor["levels"])


def _conditions(item: dict[str, Any]) -> str | None:
    accepted = {name: bound for name, bound in (item.get("accept") or {}).items() if bound is not None}
    return ", ".join(f"{name} {bound:g}" for name, bound in accepted.items()) or None


def _names(item: dict[str, Any]) -> str:
    return ", ".join(factor["name"] for factor in item.get("document", {}).get("factors", []))


def _print_faults(found: dict[str, Any], otherwise: str) -> None:
    for warning in found.get("warnings") or []:
        err.print(f"warning: {warning.get('detail', warning) if isinstance(warning, dict) else warning}", markup=False)
    if not found.get("fault_count"):
        out.print(otherwise)
        return
    out.print(f"[red]{found['fault_count']} fault(s):[/]")
    for fault in found["errors"]:
        out.print(f"  {place_of(fault)}: {fault['detail']} ({fault['code']})", markup=False)
    hidden = found["fault_count"] - len(found["errors"])
    if hidden > 0:
        out.print(f"  ... and {hidden} more")


@contextmanager
def sending(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar of what was sent on standard error; yields what an upload reports to, or None."""
    if quiet:
        yield None
        return
    columns = (TextColumn("uploading"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("upload", total=None)
        yield lambda sent, total: bar.update(task, completed=sent, total=total)
