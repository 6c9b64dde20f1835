"""Commands on jobs: what is being fitted, how far it is, why it failed, and once more."""

from datetime import UTC, datetime
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
from heddle_api.cli.waiting import waiting
from heddle_api.client import HeddleClient, JobInfo

jobs_app = typer.Typer(no_args_is_help=True, help="Jobs: what is being fitted, how far it is, why it failed.")
JobId = Annotated[str, typer.Argument(help="As `heddle jobs list` shows it: job_...")]


@jobs_app.command("list")
def list_jobs(
    status: Annotated[str | None, typer.Option(help="Only jobs in this status, such as failed.")] = None,
    job_type: Annotated[
        str | None, typer.Option("--type", help="Only jobs of this type: fit, refit, evaluate, export, ...")
    ] = None,
    dead_letter: Annotated[
        bool,
        typer.Option("--dead-letter", help="Only jobs given up for reasons of the platform's."),
    ] = False,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first.

    Example: `heddle jobs list --status failed`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.jobs(status=status, dead_letter=True if dead_letter else None, job_type=job_type)
    rows = [
        (
            *(job.id, job.type, job.document()["adapter"], job.status, job.stage, f"{job.progress:.0%}"),
            *(job.queue_position, _in_time(job)),
        )
        for job in found
    ]
    columns = ("id", "type", "adapter", "status", "stage", "done", "place", "ends")
    show([job.document() for job in found], as_json, lambda: table(columns, rows))


@jobs_app.command("show")
def show_job(
    job_id: JobId,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show a job and its history.

    Example: `heddle jobs show job_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
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
    """Follow a job to its end. Exit code 1 if it fails.

    Example: `heddle jobs watch job_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        job = watched(client, job_id, quiet=as_json)
    ended(job, as_json)


@jobs_app.command()
def cancel(
    job_id: JobId,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Cancel a job: at once while it waits, within seconds while it runs.

    Example: `heddle jobs cancel job_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        job = client.cancel_job(job_id)
    show(job.document(), as_json, lambda: out.print(_sentence(job)))


@jobs_app.command()
def retry(
    job_id: JobId,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Send a failed job again, with all its attempts before it.

    Example: `heddle jobs retry job_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        job = client.retry_job(job_id)
    show(job.document(), as_json, lambda: out.print(_sentence(job)))


def watched(client: HeddleClient, job_id: str, *, quiet: bool) -> JobInfo:
    """Wait for a job with a bar on standard error, and return it."""
    with waiting(_standing, quiet=quiet) as progress:
        return client.wait_for_job(job_id, on_progress=progress)


def _standing(job: JobInfo) -> tuple[str, float | None]:
    return job.stage or job.status, job.progress


def _sentence(job: JobInfo) -> str:
    adapter = job.document().get("adapter") or "the job"
    version = (job.result or {}).get("version")
    named = f"{adapter}@{version}" if version is not None else adapter
    if job.error:
        again = f" Send it again: `heddle jobs retry {job.id}`" if job.dead_letter else ""
        said = escape(str(job.error["message"]))
        return f"[red]{named} {job.status}:[/] {said} [dim]({job.error['code']})[/]{again}"
    if job.status == "awaiting_approval":
        return f"{named} awaits approval: look at `heddle adapters card {adapter}`, then `heddle adapters approve`."
    if job.status == "succeeded" and job.type == "evaluate":
        return f"{named} was evaluated: see `heddle jobs show {job.id} --json`"
    if job.status == "succeeded" and job.type == "drift_check" and job.result is not None:
        return escape(f"{named}: {job.result['verdict']}; {job.result['reasons'][0]}")
    if job.status == "succeeded" and job.type == "export":
        return f"{named} was exported: see `heddle jobs show {job.id} --json`"
    if job.status == "succeeded" and job.type == "pretrain" and job.result is not None:
        base = job.result["base"]
        return escape(f"{base['name']} was trained and published as {base['id']}: see `heddle base show {base['id']}`")
    if job.status == "succeeded" and job.type == "sweep" and job.result is not None:
        return escape(job.result["why"])
    if job.status == "succeeded" and job.result is not None and job.result.get("unchanged"):
        return escape(f"{named}: {job.result['reasons'][0]}")
    if job.status == "succeeded":
        return f"{named} passed its gate. Serve it: `heddle adapters approve {adapter} {version}`"
    place = f", place {job.queue_position} in the queue" if job.queue_position is not None else ""
    return f"{named} is {job.status}{place}{_eta(job)}  {job.id}"


def _eta(job: JobInfo) -> str:
    return f", done {_in_time(job)} as it looks" if job.estimated_end_at else ""


def _in_time(job: JobInfo) -> str | None:
    if job.estimated_end_at is None:
        return None
    seconds = (datetime.fromisoformat(job.estimated_end_at) - datetime.now(UTC)).total_seconds()
    return f"in {seconds / 60:.0f} min" if seconds >= 90 else f"in {max(1, round(seconds))} s"


def ended(job: JobInfo, as_json: bool) -> None:
    """Say how a job ended; exit code 1 if it came to nothing."""
    show(job.document(), as_json, lambda: out.print(_sentence(job)))
    if job.status in ("failed", "cancelled"):
        raise typer.Exit(1)
