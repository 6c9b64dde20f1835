"""Commands of operators about what a tenant may: its quota, its suspension, its end."""

from typing import Annotated, Any, Final

import typer

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    AdminKey,
    AsJson,
    ControlUrl,
    DataDir,
    connected_as_operator,
    fail,
    out,
    show,
    table,
)
from heddle_api.client import HeddleClient, QuotaInfo
from heddle_platform.quota import LIMITS

TenantId = Annotated[str, typer.Argument(help="As `heddle tenant list` shows it: ten_...")]
_DEFAULT: Final = "default"


def quota(
    tenant: TenantId,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="limit=number, or limit=default for the platform's own; repeat it. Others stay as they are. Limits: "
            f"{', '.join(LIMITS)}.",
        ),
    ] = None,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show what a tenant may have and do at once and how much of it is used, or change it.

    Requests per second and burst hold for each plane by itself. The weight is the tenant's share of the queue: with 2
    it gets twice the turns of one with 1. A limit below what is used takes nothing away; it refuses more.

    Example: `heddle tenant quota ten_01jd... --set requests_per_second=50 --set burst=100 --set weight=2`
    """
    changes = dict(_parsed(text) for text in change or ())
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        found = client.quota(tenant)
        if changes:
            found = _changed(client, found, changes)
    show(found.document(), as_json, lambda: table(("limit", "most", "used", "set by"), _rows(found)))


def suspend(
    tenant: TenantId,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Suspend a tenant: its keys are refused on both planes within a second, its jobs wait. Nothing is lost.

    Example: `heddle tenant suspend ten_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    _set_status(control_url, admin_key, data_dir, as_json, tenant, "suspended")


def resume(
    tenant: TenantId,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Make a suspended tenant active again: its keys work, its jobs go on.

    Example: `heddle tenant resume ten_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    _set_status(control_url, admin_key, data_dir, as_json, tenant, "active")


def delete(
    tenant: TenantId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Delete a suspended tenant with its sets, jobs and adapters, rows and objects. Cannot be undone.

    What was counted of it and its audit trail stay.

    Example: `heddle tenant delete ten_01jd8x4s5n7k2m3p4q5r6s7t8v --yes`
    """
    if not yes:
        typer.confirm(f"Delete {tenant} and all that is its own, for good?", abort=True, err=True)
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        client.delete_tenant(tenant)
    show({"deleted": tenant}, as_json, lambda: out.print(f"{tenant} is gone.", markup=False))


def _set_status(
    control_url: str | None, admin_key: str | None, data_dir: Any, as_json: bool, tenant: str, status: str
) -> None:
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        changed = client.change_tenant(tenant, status=status)
    show(changed, as_json, lambda: out.print(f"Tenant {changed['id']} ({changed['name']}) is {changed['status']}."))


def _parsed(text: str) -> tuple[str, float | None]:
    name, equals, number = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or name not in LIMITS:
        fail(f"{text!r} is no limit; write limit=number, the limit one of {', '.join(LIMITS)}")
    number = number.strip().replace("_", "").replace(",", "")
    if number == _DEFAULT:
        return name, None
    try:
        value = float(number)
    except ValueError:
        fail(f"{number!r} is no number; write limit=number, or limit={_DEFAULT} for the platform's own")
    return name, int(value) if value.is_integer() else value


def _changed(client: HeddleClient, found: QuotaInfo, changes: dict[str, float | None]) -> QuotaInfo:
    own = {name: found.limits[name] for name in found.own}
    wanted = {name: value for name, value in {**own, **changes}.items() if value is not None}
    return client.set_quota(found.tenant_id, wanted, found.etag)


def _rows(found: QuotaInfo) -> list[tuple[Any, ...]]:
    rows = []
    for name in LIMITS:
        most = found.limits[name]
        used = found.used.get(name)
        rows.append(
            (
                name,
                "no limit" if most is None else f"{most:,.15g}",
                None if used is None else f"{used:,}",
                "operator" if name in found.own else _DEFAULT,
            )
        )
    return rows
