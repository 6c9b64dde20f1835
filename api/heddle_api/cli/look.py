"""Commands that look at one image: what an adapter reads in it, and one factor drawn at all its levels."""

from typing import Annotated

import typer

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    ApiKeyOption,
    AsJson,
    ControlUrl,
    DataDir,
    EdgeUrl,
    connected,
    out,
    show,
    table,
)
from heddle_api.cli.edit import AdapterName, Detail, ImageFile, OutputFile, Preserve, media_type_of


def read_image(
    image: ImageFile,
    adapter: AdapterName,
    control_url: ControlUrl = None,
    edge_url: EdgeUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Read every factor of an image, and say how sure the adapter is of each.

    The percentage is calibrated on labels that the fit did not see. Programs find an id of the kept image in the JSON,
    of which every edit is only a decode.

    Example: `heddle read me.png --adapter avatars`
    """
    with connected(control_url, api_key, data_dir=data_dir, edge_url=edge_url) as client:
        taken = client.take_image(image, adapter=adapter)
    rows = [(name, found["value"], f"{found['confidence']:.0%}") for name, found in (taken.readings or {}).items()]
    show(taken.document(), as_json, lambda: table(("factor", "reads", "sure"), rows))


def grid(
    image: ImageFile,
    adapter: AdapterName,
    factor: Annotated[str, typer.Option(help="The factor that varies.")],
    output: OutputFile,
    steps: Annotated[
        int | None, typer.Option(min=2, help="Pictures of a factor without levels; 7 where nothing is said.")
    ] = None,
    preserve: Preserve = None,
    detail: Detail = "auto",
    control_url: ControlUrl = None,
    edge_url: EdgeUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Draw one factor of an image at all its levels, or at even steps through its range, side by side.

    Example: `heddle grid me.png --adapter avatars --factor hair -o hair.png`
    """
    media_type = media_type_of(output)
    with connected(control_url, api_key, data_dir=data_dir, edge_url=edge_url) as client:
        made = client.edit_grid(
            image, adapter, factor, steps=steps, preserve=preserve or (), detail=detail, accept=media_type
        )
        made.save(output)
    version = made.headers.get("x-adapter-version", "")
    said = {"output": str(output), "adapter": version, "factor": factor, "values": list(made.values)}
    shown = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in made.values)
    show(said, as_json, lambda: out.print(f"wrote {output}  ({version}), from left to right: {shown}", markup=False))
