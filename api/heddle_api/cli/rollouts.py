"""`heddle base rollout`: bring a base to every tenant's adapters, look, go on or go back."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    AdminKey,
    AsJson,
    ControlUrl,
    DataDir,
    connected_as_operator,
    out,
    show,
    table,
)
from heddle_api.cli.waiting import waiting
from heddle_api.client import RolloutInfo

app = typer.Typer(
    no_args_is_help=True,
    help="Rollouts: refit every tenant's adapters on a new base, move those that pass, and back with one call.",
)
RolloutId = Annotated[str, typer.Argument(help="As `heddle base rollout start` shows it: rol_...")]
_NEXT = {
    "fitting": "It is being fitted; see it with: heddle base rollout show {id}",
    "canary": "The canary is moved. Go on with: heddle base rollout continue {id}\n"
    "or back with: heddle base rollout rollback {id}",
    "complete": "All that passed is moved. Back with: heddle base rollout rollback {id}",
    "reported": "A dry run: nothing was stored or moved.",
}


@app.command()
def start(
    base: Annotated[str, typer.Argument(help="The new base: id, alias, digest or name.")],
    canary: Annotated[
        float, typer.Option(min=0.0001, max=1.0, help="Share of the tenants that pass to move first; 1 moves all.")
    ] = 0.1,
    max_wait: Annotated[
        int | None, typer.Option(min=1, help="Seconds after which an undecided canary is rolled back by itself.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Fit, judge and report; store and move nothing.")] = False,
    promote: Annotated[
        bool, typer.Option("--promote", help="At the end point the alias `default` at the base, for new fits.")
    ] = False,
    tenant: Annotated[list[str] | None, typer.Option(help="Only this tenant, by id; repeat it.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until all is fitted and judged, and the canary is moved.")] = True,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Refit every tenant's served adapters on a base and move a canary share of those that pass.

    Then it waits for you: `heddle base rollout continue` moves the rest, `rollback` moves all back.
    Exit code 1: the rollout failed; what it says names the reason.

    Example: `heddle base rollout start better-base --canary 0.05 --max-wait 86400`
    """
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        found = client.start_rollout(
            base,
            canary_share=canary,
            max_wait_seconds=max_wait,
            dry_run=dry_run,
            promote=promote,
            tenants=tenant,
        )
        if wait:
            with waiting(_standing, quiet=as_json) as progress:
                found = client.wait_for_rollout(found.id, on_progress=progress)
    _tell(found, as_json)
    if found.status == "failed":
        raise typer.Exit(1)


@app.command("list")
def list_rollouts(
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List rollouts, newest first.

    Example: `heddle base rollout list`
    """
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        found = client.rollouts()
    columns = ("id", "base", "status", "adapters", "better", "equal", "worse", "failed", "moved")
    rows = [(one.id, one.base["name"], one.status, *(one.counts[name] for name in columns[3:])) for one in found]
    show([one.document() for one in found], as_json, lambda: table(columns, rows))


@app.command("show")
def show_rollout(
    rollout: RolloutId,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show how far a rollout is and what became of the adapters.

    Example: `heddle base rollout show rol_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        found = client.rollout(rollout)
    _tell(found, as_json)


@app.command()
def report(
    rollout: RolloutId,
    to: Annotated[Path, typer.Option("--out", help="The HTML file to write; .json writes the numbers.")],
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Write the report: every adapter, better, equal or worse, with numbers, intervals and reasons.

    Example: `heddle base rollout report rol_01jd... --out rollout.html`
    """
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        if to.suffix == ".json":
            data = json.dumps(client.rollout_report(rollout), indent=2).encode()
        else:
            data = client.rollout_page(rollout)
        to.write_bytes(data)
    out.print(f"The report is in {escape(str(to))}.")


@app.command("continue")
def continue_rollout(
    rollout: RolloutId,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Move the rest of what passed, after the canary.

    Example: `heddle base rollout continue rol_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        found = client.continue_rollout(rollout)
    _tell(found, as_json)


@app.command()
def rollback(
    rollout: RolloutId,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Move every alias of the rollout back to where it was, unless its tenant moved it since.

    Example: `heddle base rollout rollback rol_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        found = client.roll_back_rollout(rollout)
    _tell(found, as_json)


@app.command()
def cancel(
    rollout: RolloutId,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Stop a rollout that is still fitting; nothing was moved yet.

    Example: `heddle base rollout cancel rol_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        found = client.cancel_rollout(rollout)
    _tell(found, as_json)


def _standing(found: RolloutInfo) -> tuple[str, float | None]:
    return found.status, found.progress


def _tell(found: RolloutInfo, as_json: bool) -> None:
    show(found.document(), as_json, lambda: _print(found))


def _print(found: RolloutInfo) -> None:
    counts = found.counts
    out.print(
        f"Rollout [bold]{found.id}[/] of {escape(found.base['name'])} is [bold]{found.status.replace('_', ' ')}[/]: "
        f"{counts['done']} of {counts['adapters']} adapters of {counts['tenants']} tenants done"
    )
    names = ("better", "equal", "worse", "failed", "mapped", "passed", "moved")
    table(names, [tuple(counts[name] for name in names)])
    if found.aliases_kept:
        out.print(f"{found.aliases_kept} alias(es) were moved by their tenants since and stayed where they are.")
    if found.error is not None:
        out.print(f"[red]It failed:[/] {escape(str(found.error.get('message')))}")
    if found.status in _NEXT:
        out.print(_NEXT[found.status].format(id=found.id))
