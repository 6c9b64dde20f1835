"""Commands of feedback: say what became of an edit, and see what was said."""

from typing import Annotated, Any

import typer

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    ApiKeyOption,
    AsJson,
    ControlUrl,
    DataDir,
    connected,
    fail,
    out,
    show,
    table,
)
from heddle_api.cli.edit import factor_values

feedback_app = typer.Typer(no_args_is_help=True, help="Feedback: which edits were kept, and where sliders were left.")


@feedback_app.command("report")
def report(
    edit_id: Annotated[str, typer.Argument(help="The X-Edit-Id of the edit; `heddle edit --json` shows it.")],
    kept: Annotated[bool | None, typer.Option("--kept/--discarded", help="Whether the picture was kept.")] = None,
    final: Annotated[list[str] | None, typer.Option(help="factor=value its person ended at; repeat it.")] = None,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Say what became of an edit; the last report on an edit counts.

    Example: `heddle feedback report edt_... --kept --final glasses=round`
    """
    if kept is None:
        fail("say --kept or --discarded")
    values: dict[str, Any] = factor_values(final or [], "--final")
    with connected(control_url, api_key, data_dir=data_dir) as client:
        noted = client.report_feedback(edit_id, kept=kept, final=values)
    word = "kept" if noted["kept"] else "discarded"
    show(noted, as_json, lambda: out.print(f"noted: an edit by {noted['adapter']} was {word}"))


@feedback_app.command("list")
def list_feedback(
    adapter: Annotated[str | None, typer.Option(help="Only of edits by this adapter.")] = None,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List what became of edits, newest edit first.

    Example: `heddle feedback list --adapter avatars`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.feedback(adapter=adapter)
    rows = [
        (
            one["id"],
            one["adapter"],
            "kept" if one["kept"] else "discarded",
            ", ".join(f"{name}={value}" for name, value in one["final"].items()) or None,
            one["created_at"],
        )
        for one in found
    ]
    show(found, as_json, lambda: table(("edit", "adapter", "verdict", "final", "reported"), rows))
