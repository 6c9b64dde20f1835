"""`python -m heddle_workers.base_sweep`: a sweep on this machine, without a stack; `heddle base sweep` runs it.

Killed at any moment it goes on when it is started again with the same folder.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from heddle_platform.base.sweeps.folder import BEST, REPORT, RESULT, SweepFolder
from heddle_platform.base.sweeps.plan import SweepPlan, load_plan
from heddle_platform.base.sweeps.verdict import SweepResult, choose
from heddle_platform.digest import canonical_json
from heddle_platform.errors import HeddleError
from heddle_platform.telemetry import code_version
from heddle_platform.whole_file import write_whole

if TYPE_CHECKING:
    from heddle_workers.base_sweep.desk import Desk
    from heddle_workers.base_sweep.show import View

INTERRUPTED = 130


def sweep_here(plan_file: Path, out: Path, *, anew: bool) -> SweepResult:
    """Run a sweep to its end, or to an interruption, and write what came of it.

    Args:
        plan_file: the plan (YAML).
        out: the sweep's folder; what is there is gone on from.
        anew: throw that away instead.
    Raises:
        InvalidInput: the plan is none, or the folder holds another.
        Conflict: another process sweeps in the folder.
        Unavailable: Ray did not start.
    """
    from heddle_workers.base_sweep.desk import Desk
    from heddle_workers.base_sweep.show import shown

    plan = load_plan(plan_file)
    folder = SweepFolder(out, plan, anew=anew)
    try:
        desk = Desk(folder)
        if desk.anything_left():
            _render(plan)
            with shown(plan, desk.results()) as view:
                _run(desk, view)
        return write_results(desk)
    finally:
        folder.close()


def _run(desk: "Desk", view: "View") -> None:
    from heddle_workers.own_ray import own_ray

    plan = desk.plan
    threads = plan.recipe_of(desk.results()[0].setting, plan.seeds[0]).threads
    concurrent = plan.concurrent or max(1, (os.cpu_count() or 1) // threads)
    with own_ray(concurrent * threads):
        from heddle_workers.base_sweep.tuned import run_jobs

        run_jobs(desk, view, concurrent=concurrent, threads=threads)


def _render(plan: SweepPlan) -> None:
    """Prepare the corpus once, before several trainings would at the same time."""
    from heddle_platform.base.config import read_recipe
    from heddle_platform.base.corpus import build_corpus
    from heddle_platform.base.progress import shown_progress

    corpus = read_recipe({**plan.recipe, "steps": plan.steps, "minutes": None}).corpus
    with shown_progress() as progress:
        build_corpus(corpus, progress=progress.rendering)


def write_results(desk: "Desk") -> SweepResult:
    """Write sweep.json, report.html and, once a setting can be chosen, best.yaml."""
    from heddle_platform.base.sweeps.page import pictured, report_page

    plan, folder, settings = desk.plan, desk.folder, desk.results()
    chosen, why = choose(plan, settings)
    result = SweepResult(
        name=plan.name,
        notes=plan.notes,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        code_version=code_version(),
        complete=desk.complete,
        plan=plan.model_dump(mode="json"),
        settings=tuple(settings),
        chosen=chosen,
        why=why,
    )
    pictures = {
        (setting.number, trial.seed): picture
        for setting, trial in pictured(result)
        if (picture := folder.trial(setting.number, trial.seed).traversal) is not None
    }
    write_whole(folder.path / RESULT, canonical_json(result.model_dump(mode="json")))
    write_whole(folder.path / REPORT, report_page(plan, result, pictures))
    if result.best is not None:
        recipe = plan.recipe_of(result.best.setting, plan.seeds[0]).model_copy(update={"chosen": why})
        document = recipe.model_dump(mode="json", exclude_none=True)
        write_whole(folder.path / BEST, yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode())
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 1 where a training failed or no setting can be chosen."""
    parser = argparse.ArgumentParser(prog="python -m heddle_workers.base_sweep", description=__doc__)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--anew", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    try:
        result = sweep_here(asked.plan, asked.out, anew=asked.anew)
    except HeddleError as error:
        sys.stderr.write(error.message + "\n")
        return 1
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"the package {error.name} is missing; install what sweeps need: pip install 'heddle[sweeps]'\n"
        )
        return 1
    if asked.json:
        sys.stdout.write(canonical_json(result.model_dump(mode="json")).decode() + "\n")
    else:
        sys.stdout.write(result.why + "\n" + _told(result, asked.out))
    if not result.complete:
        sys.stderr.write("The sweep was interrupted; run the same command again to go on.\n")
        return INTERRUPTED
    failed = any(trial.status == "failed" for setting in result.settings for trial in setting.trials)
    return 1 if failed or result.chosen is None else 0


def _told(result: SweepResult, out: Path) -> str:
    failed = [(setting, trial) for setting in result.settings for trial in setting.trials if trial.status == "failed"]
    lines = [f"{setting.words}, seed {trial.seed} failed: {trial.why}" for setting, trial in failed]
    best = f" The recipe is {out / BEST}; train it with heddle base train --recipe {out / BEST}." if result.best else ""
    return "\n".join([*lines, f"The report is {out / REPORT}.{best}"]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
