"""`heddle base sweep`: hands over to the workers' own program (this side knows no Ray) or to a platform, as a job."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
import yaml

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    AdminKey,
    ControlUrl,
    DataDir,
    connected_as_operator,
    fail,
)
from heddle_api.cli.jobs import ended, watched
from heddle_api.client import HeddleClient, JobInfo
from heddle_platform.errors import HeddleError

PlanFile = Annotated[
    Path, typer.Argument(help="YAML: recipe, space, seeds, steps, criterion.", exists=True, dir_okay=False)
]
OutFolder = Annotated[
    Path | None,
    typer.Option("--out", help="Gets sweep.json, best.yaml and report.html; without --cluster the trainings, too."),
]
Resume = Annotated[
    bool, typer.Option("--resume/--anew", help="Go on from what is in --out, or throw it away and start again.")
]
OnCluster = Annotated[bool, typer.Option("--cluster", help="Send it to a platform as a job, with an operator's key.")]
Wait = Annotated[bool, typer.Option(help="With --cluster: wait until a setting is chosen.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print sweep.json, or the job, instead of a sentence.")]


def sweep(
    plan: PlanFile,
    out: OutFolder = None,
    resume: Resume = True,
    cluster: OnCluster = False,
    wait: Wait = True,
    control_url: ControlUrl = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Train a recipe in many settings, choose one by a declared criterion, and write a report page.

    Killed or stopped with Ctrl-C it goes on when run again with the same --out: what has ended is not run again. Exit
    code 1: a training failed, or no setting can be chosen; 130: it was interrupted. With --cluster it is a job, which
    goes on by itself.

    Example: `heddle base sweep platform/heddle_platform/base/recipes/sweeps/beta.yaml --out sweep-output`
    """
    if cluster:
        if not resume:
            fail("--anew is for a folder; a job goes on from what it kept, and a new one starts anew")
        _as_job(plan, out, control_url, admin_key, data_dir, wait=wait, as_json=as_json)
        return
    if out is None:
        fail("say where the trainings go (--out FOLDER), or send the sweep to a platform (--cluster)")
    command = [sys.executable, "-m", "heddle_workers.base_sweep", f"--plan={plan}", f"--out={out}"]
    command += [*([] if resume else ["--anew"]), *(["--json"] if as_json else [])]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


def _as_job(
    file: Path,
    out: Path | None,
    control_url: str | None,
    admin_key: str | None,
    data_dir: Path,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    from heddle_platform.base.sweeps.plan import plain_document, with_recipe  # numpy and more, which only this needs

    try:
        document = with_recipe(plain_document(file, file.name), file.name, file.parent)
    except HeddleError as error:
        fail(error.message)
    if not isinstance(document, dict):
        fail(f"{file} holds no plan: a mapping with name, recipe, space, steps and criterion")
    with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
        job = client.sweep(document)
        if wait:
            job = watched(client, job.id, quiet=as_json)
        if out is not None and job.result is not None:
            _save(client, job, out)
    ended(job, as_json)


def _save(client: HeddleClient, job: JobInfo, out: Path) -> None:
    from heddle_platform.base.sweeps.folder import BEST, REPORT, RESULT

    out.mkdir(parents=True, exist_ok=True)
    (out / REPORT).write_text(client.sweep_report_page(job.id), encoding="utf-8")
    (out / RESULT).write_text(json.dumps(client.sweep_report(job.id)), encoding="utf-8")
    recipe = (job.result or {}).get("recipe")
    if recipe is not None:
        (out / BEST).write_text(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True), encoding="utf-8")
