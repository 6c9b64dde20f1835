"""Commands of API keys: list, create, rotate, revoke."""

from typing import Annotated

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
from heddle_api.cli.duration import seconds_of
from heddle_platform.records import TENANT_SCOPES

keys_app = typer.Typer(
    no_args_is_help=True,
    help="API keys of your tenant: one per program, each with few scopes. Only a key with every scope manages keys.",
)
KeyId = Annotated[str, typer.Argument(help="As `heddle key list` shows it: key_...")]


@keys_app.command("list")
def list_keys(
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List your tenant's keys, newest first, without their secrets; revoked ones stay listed.

    Example: `heddle key list`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.keys()
    rows = [
        (
            key["id"],
            key["name"],
            ",".join(key["scopes"]),
            key["expires_at"],
            key["revoked_at"],
            key["rotated_at"],
            key["previous_ends_at"],
        )
        for key in found
    ]
    columns = ("id", "name", "scopes", "expires", "revoked", "rotated", "old secret ends")
    show(found, as_json, lambda: table(columns, rows))


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Where the key is used.")],
    scope: Annotated[list[str], typer.Option(help=f"What it may do; repeat it. One of: {', '.join(TENANT_SCOPES)}.")],
    expires_at: Annotated[str | None, typer.Option(help="When it stops working: 2027-01-31T00:00:00Z.")] = None,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Create a further key of your tenant and show it, this once.

    Example: `heddle key create "shop front" --scope edits --scope feedback`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        made = client.create_key(name, scope, expires_at)
    show(made, as_json, lambda: out.print(f"Key [bold]{made['id']}[/], shown this once:\n\n  {made['api_key']}\n"))


@keys_app.command("rotate")
def rotate_key(
    key_id: KeyId,
    overlap: Annotated[
        str,
        typer.Option(help="How long the old secret goes on working: 90s, 30m, 24h, 7d. 0 ends it at once."),
    ] = "24h",
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret and show it, this once; the old one works beside it for a while.

    Change your programs over within the overlap; nothing fails meanwhile. For a secret that has leaked: `--overlap 0`.

    Example: `heddle key rotate key_01jd... --overlap 2h`
    """
    seconds = seconds_of(overlap)
    if seconds is None:
        fail(f"{overlap!r} is no time; write a number and s, m, h or d, such as 24h")
    with connected(control_url, api_key, data_dir=data_dir) as client:
        rotated = client.rotate_key(key_id, overlap_seconds=seconds)
    ends = rotated["previous_ends_at"]
    old = f"The old secret works until {ends}." if ends else "The old secret has ended."
    show(
        rotated,
        as_json,
        lambda: out.print(
            f"Key [bold]{key_id}[/] has a new secret, shown this once:\n\n  {rotated['api_key']}\n\n{old}"
        ),
    )


@keys_app.command("revoke")
def revoke_key(
    key_id: KeyId,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Make a key invalid from now on, the old secret of a rotated one too; this cannot be undone.

    Example: `heddle key revoke key_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        revoked = client.revoke_key(key_id)
    show(revoked, as_json, lambda: out.print(f"Key {key_id} was revoked at {revoked['revoked_at']}."))
