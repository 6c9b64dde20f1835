"""Commands of operators and of everybody: tenants, keys, who am I."""

from typing import Annotated

import typer

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    ApiKeyOption,
    AsJson,
    ControlUrl,
    DataDir,
    admin_key_of,
    connected,
    out,
    show,
    table,
)
from heddle_api.cli.erase import certificate_app, erase
from heddle_api.cli.feedback import feedback_app
from heddle_api.cli.fits import fit, jobs_app, preview
from heddle_api.cli.labelled import data_app, factors_app
from heddle_api.cli.served import adapters_app, edit
from heddle_platform.records import TENANT_SCOPES

AdminKey = Annotated[
    str | None,
    typer.Option(
        envvar="HEDDLE_ADMIN_KEY",
        help="An operator's key. Without it: that of the stack in --data-dir.",
        rich_help_panel="Connection",
    ),
]

app = typer.Typer(no_args_is_help=True, help="Tenants: customers, each with its own factors, sets and adapters.")
keys_app = typer.Typer(no_args_is_help=True, help="API keys of your tenant: one per program, each with few scopes.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="For people; need not be unique.")],
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Create a tenant and show its first API key, this once.

    Example: `heddle tenant create "Acme Avatars"`
    """
    with connected(
        control_url, admin_key or admin_key_of(data_dir), data_dir=data_dir, variable="HEDDLE_ADMIN_KEY"
    ) as (client):
        made = client.create_tenant(name)
    show(
        made.document(),
        as_json,
        lambda: out.print(
            f"Tenant [bold]{made.id}[/] is there. Its key is shown this once; to use it here:\n\n"
            f"  export HEDDLE_API_KEY={made.api_key}\n"
        ),
    )


@app.command("list")
def list_tenants(
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List all tenants, newest first."""
    with connected(
        control_url, admin_key or admin_key_of(data_dir), data_dir=data_dir, variable="HEDDLE_ADMIN_KEY"
    ) as (client):
        found = client.tenants()
    rows = [(tenant["id"], tenant["name"], tenant["status"], tenant["created_at"]) for tenant in found]
    show(found, as_json, lambda: table(("id", "name", "status", "created"), rows))


def whoami(
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show whose key is in use and what it may do."""
    with connected(control_url, api_key, data_dir=data_dir) as client:
        me = client.me()
    tenant = me["tenant"]["name"] if me["tenant"] else "no tenant: an operator's key"
    show(me, as_json, lambda: out.print(f"{tenant}  {me['tenant_id'] or ''}\nscopes: {', '.join(me['scopes'])}"))


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

    Example: `heddle keys create "shop front" --scope edits --scope feedback`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        made = client.create_key(name, scope, expires_at)
    show(made, as_json, lambda: out.print(f"Key [bold]{made['id']}[/], shown this once:\n\n  {made['api_key']}\n"))


@keys_app.command("list")
def list_keys(
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List your tenant's keys, without their secrets."""
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.keys()
    rows = [(key["id"], key["name"], ",".join(key["scopes"]), key["expires_at"], key["revoked_at"]) for key in found]
    show(found, as_json, lambda: table(("id", "name", "scopes", "expires", "revoked"), rows))


@keys_app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="As `heddle keys list` shows it: key_...")],
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Make a key invalid from now on; this cannot be undone."""
    with connected(control_url, api_key, data_dir=data_dir) as client:
        revoked = client.revoke_key(key_id)
    show(revoked, as_json, lambda: out.print(f"Key {key_id} was revoked at {revoked['revoked_at']}."))


def install(root: typer.Typer) -> None:
    """Add every command of tenants and operators to the `heddle` command."""
    root.add_typer(app, name="tenant")
    root.add_typer(keys_app, name="keys")
    root.add_typer(factors_app, name="factors")
    root.add_typer(data_app, name="data")
    root.add_typer(jobs_app, name="jobs")
    root.add_typer(adapters_app, name="adapters")
    root.command("whoami")(whoami)
    root.command("fit")(fit)
    root.command("preview")(preview)
    root.command("edit")(edit)
    root.command("erase")(erase)
    root.add_typer(certificate_app, name="certificate")
    root.add_typer(feedback_app, name="feedback")
