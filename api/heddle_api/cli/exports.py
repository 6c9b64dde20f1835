"""`heddle adapters export`: files of versions, made anew and checked, in one archive."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    ApiKeyOption,
    AsJson,
    ControlUrl,
    DataDir,
    connected,
    out,
    show,
    table,
)
from heddle_api.cli.fits import print_estimate
from heddle_api.cli.jobs import ended, watched
from heddle_api.cli.refits import Estimate, Priority
from heddle_api.client import Document


def export(
    adapter: Annotated[
        list[str], typer.Argument(help="name@alias or name@version, up to 20; a name alone: what is in production.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the archive goes; not read where none is given.")
    ] = None,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="editor, onnx or npz; may be given more than once.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the archive is there.")] = True,
    priority: Priority = 0,
    estimate: Estimate = False,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Take versions home in one zip, every graph in it held against the platform. Exit code 1 if that fails.

    Example: `heddle adapters export avatars@production hats@3 --format editor -o editors.zip`
    """
    wanted = formats or ["editor"]
    with connected(control_url, api_key, data_dir=data_dir) as client:
        if estimate:
            told = client.estimate_export(*adapter, formats=wanted, priority=priority)
            show(told.document(), as_json, lambda: print_estimate(told))
            return
        job = client.export(*adapter, formats=wanted, priority=priority)
        if wait:
            job = watched(client, job.id, quiet=as_json)
        if output is not None and job.status == "succeeded":
            client.save_export(job.id, output)
    if job.status != "succeeded" or job.result is None:
        ended(job, as_json)
        return
    found = job.result
    show(job.document(), as_json, lambda: _print_export(found, output))


def _print_export(found: Document, output: Path | None) -> None:
    rows = [
        (file["name"], f"{file['bytes']:,}", _parity(version["parity"].get(file["format"])))
        for version in found["versions"]
        for file in version["files"]
    ]
    table(("file", "bytes", "from the platform"), rows)
    where = f"wrote {output}" if output is not None else f"It is at GET {found['archive']['url']}"
    out.print(escape(where))


def _parity(found: Document | None) -> str | None:
    if found is None:
        return None
    if "difference" in found:
        return f"at most {found['difference']:.0e}"
    return f"at most {found['pixel_steps_of_255']} of 255 in a picture, {found['readings']:.0e} in what it reads"
