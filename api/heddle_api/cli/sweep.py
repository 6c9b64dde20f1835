"""`heddle base sweep`: hands over to the workers' own program, for this side knows no Ray."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

PlanFile = Annotated[
    Path, typer.Argument(help="YAML: recipe, space, seeds, steps, criterion.", exists=True, dir_okay=False)
]
OutFolder = Annotated[Path, typer.Option("--out", help="Gets the trainings, sweep.json, best.yaml and report.html.")]
Resume = Annotated[
    bool, typer.Option("--resume/--anew", help="Go on from what is in --out, or throw it away and start again.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print sweep.json instead of a sentence.")]


def sweep(plan: PlanFile, out: OutFolder, resume: Resume = True, as_json: AsJson = False) -> None:
    """Train a recipe in many settings, choose one by a declared criterion, and write a report page.

    Killed or stopped with Ctrl-C it goes on when run again with the same --out: what has ended is not run again. Exit
    code 1: a training failed, or no setting can be chosen; 130: it was interrupted.

    Example: `heddle base sweep platform/heddle_platform/base/recipes/sweeps/beta.yaml --out sweep-output`
    """
    command = [sys.executable, "-m", "heddle_workers.base_sweep", f"--plan={plan}", f"--out={out}"]
    command += [*([] if resume else ["--anew"]), *(["--json"] if as_json else [])]
    raise typer.Exit(subprocess.run(command, check=False).returncode)
