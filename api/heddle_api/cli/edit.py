"""The command that edits an image, and how factor=value is read."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

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
)
from heddle_api.client import Document, EditResult

ImageFile = Annotated[Path, typer.Argument(help="PNG, JPEG or WebP.", exists=True, dir_okay=False)]
AdapterName = Annotated[
    str, typer.Option("--adapter", help="name, name@alias or name@version; production where neither is given.")
]
OutputFile = Annotated[Path, typer.Option("--output", "-o", help="Where to; .png, .jpg or .webp decides the type.")]
Preserve = Annotated[list[str] | None, typer.Option("--preserve", help="Factor that must not change; repeat it.")]
Detail = Annotated[str, typer.Option("--detail", help="auto, preserve (keep the picture's fine detail) or decode.")]


def edit(
    image: ImageFile,
    adapter: AdapterName,
    output: OutputFile,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="factor=level, or factor=number in its unit; repeat it. A level like a number: 'size=\"2\"'.",
        ),
    ] = None,
    shift: Annotated[list[str] | None, typer.Option(help="factor=amount to move by; repeat it.")] = None,
    preserve: Preserve = None,
    detail: Detail = "auto",
    control_url: ControlUrl = None,
    edge_url: EdgeUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Edit one image.

    Example: `heddle edit me.png --adapter avatars --set glasses=round -o with-glasses.png`
    """
    media_type = media_type_of(output)
    document: Document = {
        "adapter": adapter,
        "set": factor_values(set_ or [], "--set"),
        "shift": factor_amounts(shift or []),
        "preserve": preserve or [],
        "detail": detail,
    }
    with connected(control_url, api_key, data_dir=data_dir, edge_url=edge_url) as client:
        made = client.edit(image, document, accept=media_type)
        output.write_bytes(made.image)
    said = {
        "output": str(output),
        "edit_id": made.edit_id,
        "adapter": made.adapter_version,
        "cache": made.cache,
        "detail": made.detail,
        "detail_reason": made.detail_reason,
        "extrapolation": made.extrapolation,
        "suggestion": made.suggestion,
    }
    show(said, as_json, lambda: _tell(made, output))


def factor_values(texts: list[str], option: str) -> dict[str, str | bool | float]:
    """Read options of the form factor=value; fail where one is not."""
    return {name: _value(text) for name, text in _pairs(texts, option)}


def factor_amounts(texts: list[str]) -> dict[str, float]:
    """Read options of the form factor=number; fail where one is not."""
    return {name: _number(text, name) for name, text in _pairs(texts, "--shift")}


def _tell(made: EditResult, output: Path) -> None:
    far = f"; {made.extrapolation:.1f} times beyond the trusted range" if made.extrapolation else ""
    out.print(f"wrote {output}  ({made.adapter_version}, {made.cache}{far})", markup=False)
    if made.suggestion:
        out.print(_advice(made.suggestion), markup=False)


def _advice(suggestion: Document) -> str:
    """Say what to ask for instead of an edit outside the trusted range, as options of this command."""
    if suggestion.get("reason") == "image_outside":
        return "The picture itself is unlike your labelled images, so no edit of it can be trusted: label some like it."
    ways = [f"--set {name}={_option(value)}" for name, value in suggestion.get("set", {}).items()]
    ways += [f"--shift {name}={_option(value)}" for name, value in suggestion.get("shift", {}).items()]
    left = ", ".join(suggestion.get("leave", []))
    if ways:
        return f"Inside it would be: {' '.join(ways)}" + (f", without {left}" if left else "")
    return f"To stay inside, leave {left} as it is." if left else "To stay inside, set fewer factors at once."


def _option(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _pairs(texts: list[str], option: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            fail(f"{option} {text!r} is not factor=value")
        pairs.append((name, value))
    return pairs


def _value(text: str) -> str | bool | float:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        fail(f"--shift {name}={text!r}: an amount is a number")


def media_type_of(output: Path) -> Literal["image/png", "image/jpeg", "image/webp"]:
    """Read the type of a picture off the name of the file it goes to; fail where it says none."""
    match output.suffix.lower():
        case ".png":
            return "image/png"
        case ".jpg" | ".jpeg":
            return "image/jpeg"
        case ".webp":
            return "image/webp"
        case suffix:
            fail(f"{suffix or 'no ending'!r} is no image type; end the file's name in .png, .jpg or .webp")
