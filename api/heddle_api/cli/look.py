"""Commands that look at one image: what an adapter reads in it, and one factor drawn at all its levels."""

from pathlib import Path
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
from heddle_api.cli.edit import media_type_of

ImageFile = Annotated[Path, typer.Argument(help="PNG, JPEG or WebP.", exists=True, dir_okay=False)]
AdapterName = Annotated[
    str, typer.Option("--adapter", help="name, name@alias or name@version; production where neither is given.")
]


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
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to; .png, .jpg or .webp decides the type.")],
    steps: Annotated[
        int | None, typer.Option(min=2, help="Pictures of a factor without levels; 7 where nothing is said.")
    ] = None,
    preserve: Annotated[list[str] | None, typer.Option(help="Factor that must not change; repeat it.")] = None,
    detail: Annotated[str, typer.Option(help="auto, preserve (keep the picture's fine detail) or decode.")] = "auto",
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
