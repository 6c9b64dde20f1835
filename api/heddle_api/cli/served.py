"""Commands that put adapters to work: cards, decisions, aliases, downloads."""

from pathlib import Path
from typing import Annotated, Any, Literal

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
from heddle_api.client import AliasMoveInfo, Document

adapters_app = typer.Typer(no_args_is_help=True, help="Adapters: what was fitted, how good it is, what is served.")
Adapter = Annotated[str, typer.Argument(help="Name or id of the adapter.")]
Version = Annotated[int, typer.Argument(min=1, help="Number of the version.")]
Comment = Annotated[str, typer.Option(help="Why; kept in `heddle adapters history`.")]
ShownVersion = Annotated[
    int | None, typer.Option("--version", min=1, help="Version; without it the one in production, else the newest.")
]


@adapters_app.command("list")
def list_adapters(
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List adapters and where their aliases point.

    Example: `heddle adapters list`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.adapters()
    rows = [
        (
            item.name,
            item.latest_version,
            ", ".join(f"{alias}={number}" for alias, number in item.aliases.items()),
            item.id,
        )
        for item in found
    ]
    documents = [item.document() for item in found]
    show(documents, as_json, lambda: table(("name", "newest", "aliases", "id"), rows))


@adapters_app.command()
def versions(
    adapter: Adapter,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List an adapter's versions with the gate's verdict, newest first.

    Example: `heddle adapters versions avatars`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = [version.document() for version in client.versions(adapter)]
    rows = [
        (item["version"], item["status"], item["verdict"], ", ".join(item["aliases"]), item["created_at"])
        for item in found
    ]
    show(found, as_json, lambda: table(("version", "status", "gate", "aliases", "fitted"), rows))


@adapters_app.command()
def card(
    adapter: Adapter,
    version: ShownVersion = None,
    html: Annotated[Path | None, typer.Option(help="Write the scorecard page to this file.")] = None,
    playbook: Annotated[Path | None, typer.Option(help="Write the page that tells why to this file.")] = None,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show how well each factor is read and edited, and what the gate said.

    Example: `heddle adapters card avatars --html card.html`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.card(adapter, version)
        if html is not None:
            html.write_text(client.card_page(adapter, version), encoding="utf-8")
        if playbook is not None:
            playbook.write_text(client.playbook_page(adapter, version), encoding="utf-8")
    show(found, as_json, lambda: _print_card(found))
    for file in (html, playbook):
        if file is not None and not as_json:
            out.print(f"wrote {file}")


@adapters_app.command()
def approve(
    adapter: Adapter,
    version: Version,
    comment: Annotated[str, typer.Option(help="Why; kept with the decision.")] = "",
    reject: Annotated[bool, typer.Option("--reject", help="Reject instead: the version can never be served.")] = False,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Approve a version: `production` moves to it, and edits use it within a second. Needs the scope approve.

    Example: `heddle adapters approve avatars 3 --comment 'looked at the card'`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        decide = client.reject if reject else client.approve
        decided = decide(adapter, version, comment)
    said = f"{adapter}@{version} is {decided['status']}" + ("." if reject else "; production points at it.")
    show(decided, as_json, lambda: out.print(said))


@adapters_app.command()
def alias(
    adapter: Adapter,
    name: Annotated[str, typer.Argument(help="Alias, such as production.")],
    version: Version,
    canary: Annotated[int | None, typer.Option(min=1, help="Version on trial beside it.")] = None,
    weight: Annotated[float, typer.Option(min=0, max=1, help="Share of images that the canary edits.")] = 0.1,
    shadow: Annotated[int | None, typer.Option(min=1, help="Version that draws every edit too, unseen.")] = None,
    comment: Comment = "",
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Point an alias at a version that passed its gate or was approved; without --canary and --shadow, trials end.

    Example: `heddle adapters alias avatars production 3 --canary 4 --weight .1`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        known = client.adapter(adapter).aliases
        etag = client.alias(adapter, name).etag if name in known else None
        trial = None if canary is None else (canary, weight)
        moved = client.move_alias(adapter, name, version, etag=etag, canary=trial, shadow=shadow, comment=comment)
    said = f"{adapter}@{name} is version {moved.version}"
    said += f"; version {canary} edits {100 * weight:g} % of images" if canary is not None else ""
    said += f"; version {shadow} draws along unseen" if shadow is not None else ""
    show(moved.document(), as_json, lambda: out.print(f"{said}.", markup=False))


@adapters_app.command()
def rollback(
    adapter: Adapter,
    name: Annotated[str, typer.Option("--alias", help="Which alias.")] = "production",
    comment: Comment = "",
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Point an alias at the version it pointed at before; twice is there and back.

    Example: `heddle adapters rollback avatars`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        moved = client.rollback(adapter, name, comment)
    show(moved.document(), as_json, lambda: out.print(f"{adapter}@{name} is version {moved.version} again."))


@adapters_app.command()
def history(
    adapter: Adapter,
    name: Annotated[str | None, typer.Option("--alias", help="Only of this alias.")] = None,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List every move of an adapter's aliases: to which version, by which key, when and why; newest first.

    Example: `heddle adapters history avatars`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.alias_moves(adapter, name)
    names = ("created_at", "alias", "from_version", "version", "reason")
    rows = [
        (*(getattr(move, name) for name in names), _trial(move), move.key_name or move.key_id, move.comment or None)
        for move in found
    ]
    columns = ("time", "alias", "from", "to", "how", "on trial", "key", "comment")
    show([move.document() for move in found], as_json, lambda: table(columns, rows))


def _trial(move: AliasMoveInfo) -> str | None:
    canary = [f"{move.canary['version']} edits {move.canary['weight']:.0%}"] if move.canary else []
    return ", ".join(canary + ([f"{move.shadow} draws along"] if move.shadow else [])) or None


@adapters_app.command()
def download(
    adapter: Adapter,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to; .npz or .onnx decides the format.")],
    version: ShownVersion = None,
    file_format: Annotated[
        Literal["npz", "onnx", "editor"] | None,
        typer.Option("--format", help="editor: adapter and base in one ONNX file that edits pictures by itself."),
    ] = None,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Take an adapter home: its matrices (.npz), its graph (.onnx), or with --format editor a whole editor (.onnx).

    Example: `heddle adapters download avatars --format editor -o avatars.onnx`
    """
    ending = output.suffix.lower()
    if ending not in (".npz", ".onnx") or (file_format is not None and (file_format == "npz") != (ending == ".npz")):
        fail(f"{ending or 'no ending'!r} is no ending of {file_format or 'a format'}; end the name in .npz or .onnx")
    chosen = file_format or ("npz" if ending == ".npz" else "onnx")
    with connected(control_url, api_key, data_dir=data_dir) as client:
        client.download_to(output, adapter, version, file_format=chosen)
    out.print(f"wrote {output}")


def _print_card(found: Document) -> None:
    rows = [
        (
            factor["name"],
            factor["kind"],
            factor["labels"],
            _share(factor.get("accuracy")),
            _share(factor.get("effect")),
            _share(factor.get("leakage")),
            factor.get("leakage_into"),
            factor.get("detail"),
        )
        for factor in found.get("factors", [])
    ]
    table(("factor", "kind", "labels", "read", "effect", "leakage", "into", "detail"), rows)
    for warning in found.get("warnings", []):
        out.print(f"warning: {warning['detail']}", markup=False)


def _share(value: Any) -> str | None:
    return None if value is None else f"{value:.3f}"
