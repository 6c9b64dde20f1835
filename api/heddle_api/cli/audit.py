"""`heddle audit`: who did what, and whether anything of it was changed afterwards."""

from typing import Annotated

import typer
from rich.markup import escape

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    AdminKey,
    ApiKeyOption,
    AsJson,
    ControlUrl,
    DataDir,
    admin_key_of,
    connected,
    err,
    fail,
    out,
    show,
    table,
)
from heddle_platform.audit import ChainHead

audit_app = typer.Typer(
    no_args_is_help=True,
    help="The audit trail: every change on the control plane, by which key, in chains that show any tampering.",
)
OfTenant = Annotated[
    str | None, typer.Option("--tenant", help="A tenant's id, for operators. Without it: your own trail.")
]
Everybody = Annotated[bool, typer.Option("--all", help="For operators: the trails of all tenants, and their own.")]


@audit_app.command("list")
def list_events(
    tenant: OfTenant = None,
    everybody: Everybody = False,
    action: Annotated[str | None, typer.Option(help="Only this kind, such as rotate_key or move_alias.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most events to show.")] = 50,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List who did what, newest first.

    Example: `heddle audit list --action decide`
    """
    key, variable = (admin_key or admin_key_of(data_dir), "HEDDLE_ADMIN_KEY") if tenant or everybody else (api_key, "")
    with connected(control_url, key, data_dir=data_dir, variable=variable or "HEDDLE_API_KEY") as client:
        found = client.audit_events(tenant_id=tenant, action=action, limit=limit)
    rows = [
        (
            event["created_at"],
            event["tenant_id"] or "operators",
            event["sequence"],
            event["actor"],
            event["key_id"],
            event["action"],
            event["target"],
        )
        for event in found
    ]
    columns = ("time", "chain", "number", "by", "key", "action", "target")
    show(found, as_json, lambda: table(columns, rows))


@audit_app.command("verify")
def verify(
    tenant: OfTenant = None,
    everybody: Everybody = False,
    remembered: Annotated[
        str | None,
        typer.Option(
            "--remembered",
            help="An end of the chain that you wrote down earlier, as this command prints it: chain:number:hash.",
        ),
    ] = None,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Read the whole trail, recompute every hash on this machine, and name the first event that is not as it was.

    A changed, missing or inserted event breaks its chain. Who could rewrite the whole database could rewrite a whole
    chain as well: keep the end that this command prints somewhere else, and give it to --remembered next time.

    Exit code 0: every chain is whole; 1: one is broken, or the trail cannot be read.

    Example: `heddle audit verify --all`
    """
    head = _head(remembered)
    key, variable = (admin_key or admin_key_of(data_dir), "HEDDLE_ADMIN_KEY") if tenant or everybody else (api_key, "")
    with connected(control_url, key, data_dir=data_dir, variable=variable or "HEDDLE_API_KEY") as client:
        ends = client.audit_chains(tenant_id=tenant)
        counts, faults = client.verify_audit(tenant_id=tenant, remembered=head)
    document = {
        "valid": not faults,
        "chains": counts,
        "ends": [vars(end) for end in ends],
        "faults": [vars(fault) for fault in faults],
    }
    show(document, as_json, lambda: _tell(counts, ends))
    for fault in faults if not as_json else ():
        where = f"event {fault.sequence}" + (f" ({fault.event_id})" if fault.event_id else "")
        err.print(f"[red]broken:[/] {escape(f'chain {fault.chain}, {where}: {fault.reason}')}")
    if faults:
        raise typer.Exit(1)


def _tell(counts: dict[str, int], ends: list[ChainHead]) -> None:
    out.print(f"{sum(counts.values()):,} event(s) in {len(counts)} chain(s) were read and recomputed.")
    if len(ends) == 1:
        end = f"{ends[0].chain}:{ends[0].sequence}:{ends[0].hash}"
        out.print(f"The end, to write down elsewhere: {end}", markup=False)


def _head(text: str | None) -> ChainHead | None:
    if text is None:
        return None
    chain, _, rest = text.partition(":")
    number, _, digest = rest.partition(":")
    if not number.isdecimal() or len(digest) != 64:
        fail(f"{text[:100]!r} is no end of a chain; it is chain:number:hash, as `heddle audit verify` printed it")
    return ChainHead(chain, int(number), digest)
