"""`heddle ops`: what operators watch: the cluster and its queue, and whether rows and objects agree."""

import json
import time
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    AdminKey,
    AsJson,
    ControlUrl,
    DataDir,
    connected_as_operator,
    err,
    fail,
    out,
)

app = typer.Typer(no_args_is_help=True, help="For operators: watch the cluster, and reconcile rows with objects.")

_POLL_SECONDS: Final = 0.5
_SHOWN_FINDINGS: Final = 20
_SHOWN_TENANTS: Final = 10


@app.command()
def cluster(
    watch: Annotated[bool, typer.Option("--watch", help="Show it live, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="With --watch: seconds between looks.")] = 2.0,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show where jobs run, what waits and how fast it goes.

    With --json and --watch: one document a line.

    Examples: `heddle ops cluster`; `heddle ops cluster --watch`; `heddle ops cluster --json | jq .waiting`
    """
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        if not watch:
            found = client.cluster()
            if as_json:
                out.print_json(data=found)
            else:
                out.print(_shown(found))
            return
        try:
            if as_json:
                while True:
                    typer.echo(json.dumps(client.cluster()))
                    time.sleep(every)
            with Live(_shown(client.cluster()), console=out, auto_refresh=False) as live:
                while True:
                    time.sleep(every)
                    live.update(_shown(client.cluster()), refresh=True)
        except KeyboardInterrupt:
            return


@app.command()
def reconcile(
    repair: Annotated[
        bool, typer.Option("--repair", help="Delete objects that no row names. Rows are never changed.")
    ] = False,
    wait_seconds: Annotated[float, typer.Option(min=1, help="How long to wait for a dispatcher to do it.")] = 600.0,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Hold rows and objects against each other: objects without a row, rows without their object, dead leases.

    A dispatcher does it, safely beside running jobs: what was written within the grace (HEDDLE_RECONCILE_GRACE_SECONDS,
    an hour) is not judged. It also runs by itself every fifteen minutes.
    Exit code 0: all agrees; 1: something does not, or nobody answered.

    Examples: `heddle ops reconcile`; `heddle ops reconcile --repair --json`
    """
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        asked, end = client.reconcile(repair=repair), time.monotonic() + wait_seconds
        while True:
            last = client.reconciliations()["last"]
            if last is not None and last["id"] == asked:
                break
            if time.monotonic() > end:
                fail(f"no dispatcher reconciled within {wait_seconds:.0f} s; see `heddle ops cluster`, and ask again")
            time.sleep(_POLL_SECONDS)
    if as_json:
        out.print_json(data=last)
    else:
        _tell(last)
    if not last["clean"]:
        raise typer.Exit(1)


def _tell(found: dict[str, Any]) -> None:
    out.print(
        f"{found['objects']:,} objects and {found['rows']:,} rows that need one, of {found['tenants']:,} tenants, "
        f"in {found['seconds']:.1f} s; {found['kept_young']:,} too young to be judged, {found['repaired']:,} repaired"
    )
    if found["unreached"]:
        err.print(f"[yellow]{found['unreached']} tenants were not looked at:[/] a store failed; ask again")
    for finding in found["findings"][:_SHOWN_FINDINGS]:
        state = "[green]repaired[/]" if finding["repaired"] else f"[red]{finding['kind']}[/]"
        out.print(f"  {state} {escape(finding['subject'])}: {escape(finding['detail'])}")
    rest = sum(found["counts"].values()) + found["repaired"] - min(_SHOWN_FINDINGS, len(found["findings"]))
    if rest > 0:
        out.print(f"  ... and {rest:,} more")
    out.print("[green]All agrees.[/]" if found["clean"] else "[red]Not all agrees.[/]")


def _shown(found: dict[str, Any]) -> RenderableType:
    age = found["nodes_age_seconds"]
    seen = "no dispatcher has spoken yet" if age is None else f"as seen {age:.0f} s ago"
    head = (
        f"[bold]{found['waiting']:,}[/] jobs wait, [bold]{found['running']:,}[/] run; the first has waited "
        f"{found['oldest_wait_seconds']:.0f} s. {found['free_cpus']:g} of {found['cpus']:g} CPUs are free"
        + (f", {found['free_gpus']:g} of {found['gpus']:g} GPUs" if found["gpus"] else "")
        + f" ({seen})."
    )
    nodes = [(n["id"], n["address"], "alive" if n["alive"] else "dead", n["cpus"], n["gpus"]) for n in found["nodes"]]
    dispatchers = [
        (d["owner"], "alive" if d["alive"] else "silent", d["jobs_held"], f"{d['age_seconds']:.0f} s")
        for d in found["dispatchers"]
    ]
    queue = [(q["type"], q["status"], f"{q['jobs']:,}") for q in found["queue"]]
    speed = [(t["type"], f"{t['done']:,}", f"{t['failed']:,}", f"{t['per_second']:.2f}") for t in found["throughput"]]
    tenants = [(t["tenant"] or "operators", t["waiting"], t["running"]) for t in found["tenants"][:_SHOWN_TENANTS]]
    return Group(
        head,
        *_grid(("node", "address", "state", "CPUs", "GPUs"), nodes),
        *_grid(("dispatcher", "state", "jobs", "spoke"), dispatchers),
        *_grid(("type", "status", "jobs"), queue),
        *_grid((f"last {found['throughput_window_seconds'] / 60:.0f} min", "done", "failed", "a second"), speed),
        *_grid(("tenant", "waiting", "running"), tenants),
    )


def _grid(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[RenderableType]:
    if not rows:
        return []
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        grid.add_column(column, no_wrap=True)
    for row in rows:
        grid.add_row(*(escape(f"{cell:g}" if isinstance(cell, float) else str(cell)) for cell in row))
    return ["", grid]
