"""Commands of batches: edit a folder of images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import Progress

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    ApiKeyOption,
    AsJson,
    ControlUrl,
    DataDir,
    EdgeUrl,
    connected,
    fail,
    out,
    show,
    table,
)
from heddle_api.cli.edit import AdapterName, Detail, Preserve, factor_amounts, factor_values
from heddle_api.client import BatchInfo, Document, HeddleClient
from heddle_platform.archive import IMAGE_SUFFIXES

batch_app = typer.Typer(no_args_is_help=True, help="Batches: edit a whole folder, behind those who wait for answers.")
_MOST_FILES: Final = 100
_MOST_BYTES: Final = 8 * 1024**2
BatchId = Annotated[str, typer.Argument(help="As `heddle batch list` shows it: bat_...")]
Form = Annotated[str, typer.Option("--format", help="png, jpeg or webp.")]


@batch_app.command()
def run(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of PNG, JPEG and WebP files.")],
    output: Annotated[Path, typer.Option("-o", "--output", file_okay=False, help="Folder to write to; it is made.")],
    adapter: AdapterName,
    set_: Annotated[list[str] | None, typer.Option("--set", help="factor=value; repeat it.")] = None,
    shift: Annotated[list[str] | None, typer.Option(help="factor=amount to move by; repeat it.")] = None,
    preserve: Preserve = None,
    detail: Detail = "auto",
    form: Form = "png",
    control_url: ControlUrl = None,
    edge_url: EdgeUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Edit every image of a folder and write the pictures under the same names.

    A file that cannot be edited is named with the reason, and the others are written.
    Exit code 0: all are written; 1: some are not.

    Example: `heddle batch run faces --adapter avatars --set glasses=round -o with-glasses`
    """
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not files:
        fail(f"there is no .png, .jpg or .webp file in {folder}")
    if form not in ("png", "jpeg", "webp"):
        fail(f"--format {form!r}: it is png, jpeg or webp")
    names = _names(files, "jpg" if form == "jpeg" else form)
    edit: Document = {
        "adapter": adapter,
        "set": factor_values(set_ or [], "--set"),
        "shift": factor_amounts(shift or []),
        "preserve": preserve or [],
        "detail": detail,
    }
    failed: list[dict[str, Any]] = []
    with (
        connected(control_url, api_key, data_dir=data_dir, edge_url=edge_url) as client,
        Progress(console=Console(stderr=True), transient=True, disable=as_json) as progress,
    ):
        output.mkdir(parents=True, exist_ok=True)
        task = progress.add_task("editing", total=len(files))
        done = 0
        for part in _parts(files):

            def follow(batch: BatchInfo, before: int = done) -> None:
                progress.update(task, completed=before + batch.done)

            batch = client.wait_for_batch(
                client.edit_batch(part, [edit], accept=f"image/{form}").id, on_progress=follow
            )
            failed += _write(client, batch, part, names, output)
            done += len(part)
    said = {"output": str(output), "written": len(files) - len(failed), "failed": failed}
    show(said, as_json, lambda: _tell(said))
    if failed:
        raise typer.Exit(1)


@batch_app.command("list")
def list_batches(
    control_url: ControlUrl = None,
    edge_url: EdgeUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List batches of the last day, newest first.

    Example: `heddle batch list`
    """
    with connected(control_url, api_key, data_dir=data_dir, edge_url=edge_url) as client:
        found = client.batches()
    rows = [(one.id, one.status, f"{one.done} of {one.items}", one.failed) for one in found]
    show([one.document() for one in found], as_json, lambda: table(("id", "status", "done", "failed"), rows))


@batch_app.command("show")
def show_batch(
    batch: BatchId,
    control_url: ControlUrl = None,
    edge_url: EdgeUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show how far a batch is, and what became of each item.

    Example: `heddle batch show bat_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected(control_url, api_key, data_dir=data_dir, edge_url=edge_url) as client:
        found = client.batch(batch)
    rows = [(one["item"], one["image"], one["edit"], one["status"], one.get("message")) for one in found.results]

    def people() -> None:
        out.print(f"{found.id} is {found.status}: {found.done} of {found.items} done, {found.failed} failed")
        table(("item", "image", "edit", "status", "why"), rows)

    show(found.document(), as_json, people)


@batch_app.command()
def download(
    batch: BatchId,
    output: Annotated[Path, typer.Option("-o", "--output", dir_okay=False, help="The zip to write.")],
    control_url: ControlUrl = None,
    edge_url: EdgeUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Write a zip of a batch's pictures so far, and results.json, to a file.

    Example: `heddle batch download bat_01jd8x4s5n7k2m3p4q5r6s7t8v -o pictures.zip`
    """
    with connected(control_url, api_key, data_dir=data_dir, edge_url=edge_url) as client:
        output.write_bytes(client.download_batch(batch))
    out.print(f"wrote {output}", markup=False)


@batch_app.command()
def delete(
    batch: BatchId,
    control_url: ControlUrl = None,
    edge_url: EdgeUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Stop a batch and delete its images and pictures.

    Example: `heddle batch delete bat_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected(control_url, api_key, data_dir=data_dir, edge_url=edge_url) as client:
        client.delete_batch(batch)
    show({"deleted": batch}, as_json, lambda: out.print(f"{batch} is gone with its images and pictures.", markup=False))


def _parts(files: list[Path]) -> Iterator[list[Path]]:
    """Cut into batches that the edge takes."""
    part: list[Path] = []
    size = 0
    for path in files:
        if part and (len(part) >= _MOST_FILES or size + path.stat().st_size > _MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(path)
        size += path.stat().st_size
    yield part


def _names(files: list[Path], ending: str) -> dict[Path, str]:
    stems = [path.stem for path in files]
    return {path: f"{path.stem if stems.count(path.stem) == 1 else path.name}.{ending}" for path in files}


def _write(
    client: HeddleClient, batch: BatchInfo, part: list[Path], names: dict[Path, str], output: Path
) -> list[dict[str, Any]]:
    failed: list[dict[str, Any]] = []
    for result in batch.results:
        path = part[result["image"]]
        if result["status"] == "done":
            (output / names[path]).write_bytes(client.batch_item(batch.id, result["item"]))
        else:
            failed.append({"file": path.name, "code": result.get("code"), "message": result.get("message")})
    over = {result["image"] for result in batch.results}
    failed += [
        {"file": path.name, "code": f"batch_{batch.status}", "message": "the batch ended before it"}
        for at, path in enumerate(part)
        if at not in over
    ]
    return failed


def _tell(said: dict[str, Any]) -> None:
    out.print(f"wrote {said['written']} picture{'s' * (said['written'] != 1)} to {said['output']}", markup=False)
    for one in said["failed"]:
        out.print(f"failed: {one['file']}: {one['message']} ({one['code']})", markup=False)
