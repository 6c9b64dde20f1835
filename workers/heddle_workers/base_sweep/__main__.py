"""`python -m heddle_workers.base_sweep`: a sweep on this machine, without a stack; `heddle base sweep` runs it.

Killed at any moment it goes on when it is started again with the same folder. With `--join` it is a driver of a Ray
cluster, and whoever started it (the task of a job) is told by files of the folder how it goes, and why it failed.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from heddle_platform.base.sweeps.folder import BEST, REPORT, RESULT, SweepFolder
from heddle_platform.base.sweeps.plan import SweepPlan, load_plan
from heddle_platform.base.sweeps.verdict import SweepResult, choose
from heddle_platform.digest import canonical_json
from heddle_platform.errors import HeddleError, InvalidInput
from heddle_platform.telemetry import code_version
from heddle_platform.whole_file import write_whole
from heddle_workers.base_sweep.told import tell_failure

if TYPE_CHECKING:
    from heddle_workers.base_sweep.desk import Desk

INTERRUPTED = 130
_LITTLE = 0.001  # of a node's resource


def sweep_here(plan_file: Path, out: Path, *, anew: bool, join: str | None = None, cpus: float = 0.0) -> SweepResult:
    """Run a sweep to its end, or to an interruption, and write what came of it.

    Args:
        plan_file: the plan (YAML).
        out: the sweep's folder; what is there is gone on from.
        anew: throw that away instead.
        join: address of the cluster to run on; None: a Ray of its own.
        cpus: CPUs that each training reserves on that cluster.
    Raises:
        InvalidInput: the plan is none, or the folder holds another.
        Conflict: another process sweeps in the folder.
        Unavailable: Ray did not start, or cannot be joined.
    """
    from heddle_workers.base_sweep.desk import Desk

    plan = load_plan(plan_file)
    folder = SweepFolder(out, plan, anew=anew)
    try:
        desk = Desk(folder)
        if desk.anything_left():
            if join is None:
                _run_alone(desk)
            else:
                _run_joined(desk, join, cpus)
        return write_results(desk)
    finally:
        folder.close()


def _run_alone(desk: "Desk") -> None:
    from heddle_platform.base.progress import shown_progress
    from heddle_workers.base_sweep.show import shown
    from heddle_workers.own_ray import own_ray

    threads = _threads(desk)
    concurrent = desk.plan.concurrent or max(1, (os.cpu_count() or 1) // threads)
    with shown_progress() as progress:
        _render(desk.plan, progress.rendering)
    with shown(desk.plan, desk.results()) as view, own_ray(concurrent * threads):
        from heddle_workers.base_sweep.tuned import run_jobs

        run_jobs(desk, view, concurrent=concurrent, resources={"CPU": threads})


def _run_joined(desk: "Desk", address: str, cpus: float) -> None:
    from heddle_workers.base_sweep.told import ToldView
    from heddle_workers.own_ray import joined_ray

    view = ToldView(desk.folder.path, desk.plan, desk.results())
    _render(desk.plan, view.rendering)
    with joined_ray(address) as node:
        from heddle_workers.base_sweep.tuned import run_jobs

        concurrent = desk.plan.concurrent or max(1, node.cpus // _threads(desk))
        # all on this node, for they write into its folder
        reserved = {node.resource: _LITTLE, **({"CPU": cpus} if cpus else {})}
        run_jobs(desk, view, concurrent=concurrent, resources=reserved)


def _threads(desk: "Desk") -> int:
    return desk.plan.recipe_of(desk.results()[0].setting, desk.plan.seeds[0]).threads


def _render(plan: SweepPlan, progress: Callable[[int, int], None]) -> None:
    """Prepare the corpus once, before several trainings would at the same time."""
    from heddle_platform.base.config import read_recipe
    from heddle_platform.base.corpus import build_corpus

    corpus = read_recipe({**plan.recipe, "steps": plan.steps, "minutes": None}).corpus
    build_corpus(corpus, progress=progress)


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
    parser.add_argument("--join", help="host:port of a Ray cluster; it ends when its standard input does")
    parser.add_argument("--cpus", type=float, default=0.0, help="that each training reserves there")
    asked = parser.parse_args(arguments)
    if asked.join is not None:
        threading.Thread(target=_end_with_input, name="input", daemon=True).start()
    try:
        result = sweep_here(asked.plan, asked.out, anew=asked.anew, join=asked.join, cpus=asked.cpus)
    except HeddleError as error:
        return _failed(error, asked.out, told=asked.join is not None)
    except ModuleNotFoundError as error:
        missing = InvalidInput(
            f"the package {error.name} is missing; install what sweeps need: pip install 'heddle[sweeps]'",
            code="sweeps_not_installed",
        )
        return _failed(missing, asked.out, told=asked.join is not None)
    if asked.json:
        sys.stdout.write(canonical_json(result.model_dump(mode="json")).decode() + "\n")
    else:
        sys.stdout.write(result.why + "\n" + _told(result, asked.out))
    if not result.complete:
        sys.stderr.write("The sweep was interrupted; run the same command again to go on.\n")
        return INTERRUPTED
    failed = any(trial.status == "failed" for setting in result.settings for trial in setting.trials)
    return 1 if failed or result.chosen is None else 0


def _failed(error: HeddleError, out: Path, *, told: bool) -> int:
    if told:
        tell_failure(out, error)
    sys.stderr.write(error.message + "\n")
    return 1


def _end_with_input() -> None:
    """Who started this holds its standard input open, and is gone once that ends: a killed task leaves no sweep."""
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)  # those that render for it, too


def _told(result: SweepResult, out: Path) -> str:
    failed = [(setting, trial) for setting in result.settings for trial in setting.trials if trial.status == "failed"]
    lines = [f"{setting.words}, seed {trial.seed} failed: {trial.why}" for setting, trial in failed]
    best = f" The recipe is {out / BEST}; train it with heddle base train --recipe {out / BEST}." if result.best else ""
    return "\n".join([*lines, f"The report is {out / REPORT}.{best}"]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
