"""Commands that make adapters: fit, and watching jobs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    ApiKeyOption,
    AsJson,
    ControlUrl,
    DataDir,
    connected,
    err,
    out,
    show,
    table,
)
from heddle_api.client import HeddleClient, JobInfo

jobs_app = typer.Typer(no_args_is_help=True, help="Jobs: what is being fitted, how far it is, why it failed.")
JobId = Annotated[str, typer.Argument(help="As `heddle jobs list` shows it: job_...")]


def fit(
    adapter: Annotated[str, typer.Argument(help="Name of the adapter; each fit makes its next version.")],
    data: Annotated[str, typer.Option(help="Labelled set: id or name.")],
    factors: Annotated[str | None, typer.Option(help="Factor set; the labelled set's own where none is given.")] = None,
    base: Annotated[str, typer.Option(help="Base: alias, id or name.")] = "default",
    wait: Annotated[bool, typer.Option(help="Wait until the fit is over.")] = True,
    approve: Annotated[
        bool, typer.Option("--approve", help="Serve the version at once unless its gate refuses it; waits for the fit.")
    ] = False,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Fit an adapter to a labelled set. Exit code 1 if the fit fails, or its quality gate does.

    Example: `heddle fit avatars --data spring --approve`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        factor_set = factors or _factor_set_of(client, data)
        job = client.fit(adapter, factor_set=factor_set, dataset=data, base=base)
        if wait or approve:
            job = _watch(client, job.id, quiet=as_json)
        if approve and job.result is not None and job.status in ("succeeded", "awaiting_approval"):
            client.approve(adapter, job.result["version"], "approved by heddle fit --approve")
            served = f"{adapter}@{job.result['version']} is served as {adapter}@production."
            show(job.document(), as_json, lambda: out.print(served))
            return
    _end(job, as_json)


def preview(
    data: Annotated[str, typer.Argument(help="Labelled set: id or name.")],
    factors: Annotated[str | None, typer.Option(help="Factor set; the labelled set's own where none is given.")] = None,
    base: Annotated[str, typer.Option(help="Base: alias, id or name.")] = "default",
    count: Annotated[int, typer.Option(help="How many images to choose for labelling.")] = 10,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Say at once what a fit would be worth, and which images to label next. Stores nothing.

    Example: `heddle preview spring`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.preview_fit(data, factor_set=factors, base=base, count=count)

    def people() -> None:
        scores = [
            (one["name"], one["labels"], "-" if one["score"] is None else f"{one['score']:.2f} {one['measure']}")
            for one in found.factors
        ]
        table(("factor", "labels", "out of fold"), scores)
        table(("labelled images", "mean"), [(one["rows"], f"{one['score']:.2f}") for one in found.learning_curve])
        table(
            ("label next", "for", "why"),
            [(one["file"], ", ".join(one["factors"]), one["sentence"]) for one in found.label_next],
        )

    show(found.document(), as_json, people)


@jobs_app.command("list")
def list_jobs(
    status: Annotated[str | None, typer.Option(help="Only jobs in this status, such as failed.")] = None,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = [job.document() for job in client.jobs(status=status)]
    rows = [
        (job["id"], job["adapter"], job["status"], job["stage"], f"{job['progress']:.0%}", job["queue_position"])
        for job in found
    ]
    show(found, as_json, lambda: table(("id", "adapter", "status", "stage", "done", "place"), rows))


@jobs_app.command("show")
def show_job(
    job_id: JobId,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show a job and its history."""
    with connected(control_url, api_key, data_dir=data_dir) as client:
        job, events = client.job(job_id), client.job_events(job_id)
    rows = [(event["created_at"], event["type"]) for event in events]

    def people() -> None:
        out.print(_sentence(job))
        table(("when", "what"), rows)

    show({**job.document(), "events": events}, as_json, people)


@jobs_app.command()
def watch(
    job_id: JobId,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Follow a job to its end. Exit code 1 if it fails."""
    with connected(control_url, api_key, data_dir=data_dir) as client:
        job = _watch(client, job_id, quiet=as_json)
    _end(job, as_json)


@jobs_app.command()
def cancel(
    job_id: JobId,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Cancel a job: at once while it waits, within seconds while it runs."""
    with connected(control_url, api_key, data_dir=data_dir) as client:
        job = client.cancel_job(job_id)
    show(job.document(), as_json, lambda: out.print(_sentence(job)))


def _factor_set_of(client: HeddleClient, dataset: str) -> str:
    found = client.dataset(dataset).document()["factor_set"]
    return f"{found['id']}@{found['version']}"


def _watch(client: HeddleClient, job_id: str, *, quiet: bool) -> JobInfo:
    with _bar(quiet) as progress:
        return client.wait_for_job(job_id, on_progress=progress)


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[JobInfo], None] | None]:
    if quiet:
        yield None
        return
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("waiting", total=1.0)
        yield lambda job: bar.update(task, completed=job.progress, description=job.stage or job.status)


def _sentence(job: JobInfo) -> str:
    adapter = job.document().get("adapter") or "the job"
    version = (job.result or {}).get("version")
    named = f"{adapter}@{version}" if version is not None else adapter
    if job.error:
        return f"[red]{named} {job.status}:[/] {escape(str(job.error['message']))} [dim]({job.error['code']})[/]"
    if job.status == "awaiting_approval":
        return f"{named} awaits approval: look at `heddle adapters card {adapter}`, then `heddle adapters approve`."
    if job.status == "succeeded":
        return f"{named} passed its gate. Serve it: `heddle adapters approve {adapter} {version}`"
    return f"{named} is {job.status}  {job.id}"


def _end(job: JobInfo, as_json: bool) -> None:
    show(job.document(), as_json, lambda: out.print(_sentence(job)))
    if job.status in ("failed", "cancelled"):
        raise typer.Exit(1)
