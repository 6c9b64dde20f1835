"""Commands of operators and of everybody: tenants, keys, who am I."""

from typing import Annotated

import typer

from heddle_api.cli.audit import audit_app
from heddle_api.cli.batch import batch_app
from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    AdminKey,
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
from heddle_api.cli.drift import drift
from heddle_api.cli.edit import edit
from heddle_api.cli.erase import certificate_app, erase
from heddle_api.cli.exports import export
from heddle_api.cli.feedback import feedback_app
from heddle_api.cli.fits import fit, preview
from heddle_api.cli.jobs import jobs_app
from heddle_api.cli.keys import keys_app
from heddle_api.cli.labelled import data_app, factors_app
from heddle_api.cli.look import grid, read_image
from heddle_api.cli.quota import delete, quota, resume, suspend
from heddle_api.cli.refits import evaluate, refit
from heddle_api.cli.served import adapters_app
from heddle_api.cli.usage import usage
from heddle_api.cli.webhook import webhook_app

app = typer.Typer(no_args_is_help=True, help="Tenants: customers, each with its own factors, sets and adapters.")
app.command("quota")(quota)
app.command("suspend")(suspend)
app.command("resume")(resume)
app.command("delete")(delete)


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
    """List all tenants, newest first.

    Example: `heddle tenant list`
    """
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
    """Show whose key is in use and what it may do.

    Example: `heddle whoami`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        me = client.me()
    tenant = me["tenant"]["name"] if me["tenant"] else "no tenant: an operator's key"
    show(me, as_json, lambda: out.print(f"{tenant}  {me['tenant_id'] or ''}\nscopes: {', '.join(me['scopes'])}"))


def install(root: typer.Typer) -> None:
    """Add every command of tenants and operators to the `heddle` command."""
    root.add_typer(app, name="tenant")
    root.add_typer(keys_app, name="key")
    root.add_typer(keys_app, name="keys", hidden=True)  # as it was called at first
    root.add_typer(factors_app, name="factors")
    root.add_typer(data_app, name="data")
    root.add_typer(jobs_app, name="jobs")
    adapters_app.command("export")(export)
    root.add_typer(adapters_app, name="adapters")
    root.command("whoami")(whoami)
    root.command("fit")(fit)
    root.command("refit")(refit)
    root.command("evaluate")(evaluate)
    root.command("preview")(preview)
    root.command("read")(read_image)
    root.command("edit")(edit)
    root.command("grid")(grid)
    root.add_typer(batch_app, name="batch")
    root.command("erase")(erase)
    root.add_typer(certificate_app, name="certificate")
    root.add_typer(webhook_app, name="webhook")
    root.add_typer(feedback_app, name="feedback")
    root.command("drift")(drift)
    root.command("usage")(usage)
    root.add_typer(audit_app, name="audit")
