"""Commands on versions that are fitted: fitted anew, and scored on labels they have not seen."""

from typing import Annotated

import typer
from rich.markup import escape

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    ApiKeyOption,
    AsJson,
    ControlUrl,
    DataDir,
    connected,
    out,
    show,
    table,
)
from heddle_api.cli.fits import print_estimate
from heddle_api.cli.jobs import ended, watched
from heddle_api.client import Document, JobInfo

Priority = Annotated[int, typer.Option(min=-5, max=5, help="Which of your own jobs goes first.")]
Estimate = Annotated[bool, typer.Option("--estimate", help="Only say what it would cost and take.")]
_SPOKEN = {"better": "[green]better[/]", "worse": "[red]worse[/]", "equal": "equal"}


def refit(
    adapter: Annotated[str, typer.Argument(help="Id or name of the adapter.")],
    data: Annotated[str | None, typer.Option(help="Labelled set; what it was last fitted to where none is given.")] = (
        None
    ),
    factors: Annotated[
        str | None, typer.Option(help="Factor set; the newest version of its own where none is given.")
    ] = None,
    base: Annotated[str | None, typer.Option(help="Base; the one it is on where none is given.")] = None,
    trigger: Annotated[str, typer.Option(help="Why: drift, feedback, ...; it stays with the version.")] = "by hand",
    wait: Annotated[bool, typer.Option(help="Wait until the refit is over.")] = True,
    priority: Priority = 0,
    estimate: Estimate = False,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Fit an adapter anew, with what it was last fitted with or what has come since. Exit code 1 if it fails.

    Example: `heddle refit avatars --data summer --trigger drift`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        if estimate:
            told = client.estimate_refit(
                adapter, dataset=data, factor_set=factors, base=base, trigger=trigger, priority=priority
            )
            show(told.document(), as_json, lambda: print_estimate(told))
            return
        job = client.refit(adapter, dataset=data, factor_set=factors, base=base, trigger=trigger, priority=priority)
        if wait:
            job = watched(client, job.id, quiet=as_json)
    ended(job, as_json)


def evaluate(
    adapter: Annotated[str, typer.Argument(help="name@alias or name@version; a name alone: what is in production.")],
    data: Annotated[str, typer.Option(help="Labelled set: id or name.")],
    wait: Annotated[bool, typer.Option(help="Wait until the evaluation is over.")] = True,
    priority: Priority = 0,
    estimate: Estimate = False,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Score a version on labels it has not seen, and hold it against its own card. Exit code 1 if that fails.

    Example: `heddle evaluate avatars@production --data autumn`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        if estimate:
            told = client.estimate_evaluation(adapter, dataset=data, priority=priority)
            show(told.document(), as_json, lambda: print_estimate(told))
            return
        job = client.evaluate(adapter, dataset=data, priority=priority)
        if wait:
            job = watched(client, job.id, quiet=as_json)
    if job.status == "succeeded" and job.result is not None and "factors" in job.result:
        found = job.result
        show(job.document(), as_json, lambda: _print_evaluation(job, found))
        return
    ended(job, as_json)


def _print_evaluation(job: JobInfo, found: Document) -> None:
    rows = []
    for one in found["factors"]:
        low, high = one["accuracy_interval"]
        held = one["compared"] or {}
        error = one["calibration_error"]
        rows.append(
            (
                *(one["name"], one["labels"], one["measure"], f"{one['accuracy']:.2f}", f"{low:.2f} to {high:.2f}"),
                f"{held['before']:.2f}" if held else None,
                held.get("outcome"),
                None if error is None else f"{error:.2f}",
            )
        )
    table(("factor", "labels", "measure", "here", "95 %", "card", "it is", "calibration"), rows)
    named = f"{found['adapter']}@{found['version']}"
    held = found["compared"]
    against = f", {_SPOKEN[held['outcome']]} than its card's {held['before']:.2f}" if held else ""
    if held and held["outcome"] == "equal":
        against = f", equal to its card's {held['before']:.2f} within noise"
    out.print(f"{escape(named)} reads {found['scored']} images with a mean of {found['accuracy']:.2f}{against}.")
    for name, reason in found["not_scored"].items():
        out.print(f"[dim]{escape(name)}: {escape(reason)}[/]")
    for warning in found["warnings"]:
        out.print(f"[yellow]{escape(warning['detail'])}[/]")
    out.print(f"[dim]All of it: GET {found['evaluation']['url']}[/]")
