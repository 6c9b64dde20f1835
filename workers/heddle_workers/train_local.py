"""`python -m heddle_workers.train_local`: a base trained over several processes of this machine, without a stack.

The job's own code on a Ray that lives as long as the command; checkpoints and curves go to a folder, where the next
start goes on. `heddle base train --workers N` runs it.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from heddle_infra.tracking import open_tracker
from heddle_platform.base.bundle import CARD_HTML, parse_bundle, write_bundle
from heddle_platform.base.readings import Measurement
from heddle_platform.errors import HeddleError
from heddle_platform.settings import TrackingSettings
from heddle_platform.whole_file import write_whole
from heddle_workers.own_ray import own_ray
from heddle_workers.pretrained import Kept, Measured, Noted, Pretrained, PretrainRequest

if TYPE_CHECKING:
    from heddle_platform.base.run_log import RunLog

_CHECKPOINT: Final = "checkpoint.pt"
_SAY_SECONDS: Final = 10.0


class _Folder:
    """Writes what the training tells."""

    def __init__(self, out_dir: Path, log: "RunLog") -> None:
        self.out_dir, self._log = out_dir, log
        self._next = 0.0

    def report(self, stage: str, share: float) -> None:
        if (now := time.monotonic()) >= self._next:
            self._next = now + _SAY_SECONDS
            _say(f"{stage} {share:.0%}")

    def tell(self, message: Any) -> None:
        match message:
            case Kept(_, data):
                write_whole(self.out_dir / _CHECKPOINT, data)
            case Noted("training", data):
                _say(
                    f"step {data['step']:,}  {data['images_per_second']:,.0f} images/s  {data['seconds_left']:,} s left"
                )
            case Measured(measurement, traversal):
                found = Measurement.model_validate(measurement)
                self._log.add(found, traversal)
                for alarm in found.warnings:
                    _say(f"warning {alarm.name}: {alarm.finding}; {alarm.advice}")
            case _:
                return

    def finish(self, trained: Pretrained) -> Path:
        folder = self.out_dir / "bundle"
        write_bundle(parse_bundle(trained.files), folder)
        for name, data in trained.card_files.items():
            (folder / name).write_bytes(data)
        return folder


def train_here(recipe_file: Path, out_dir: Path, workers: int, *, resume: bool) -> Path:
    """Train over `workers` processes; return the bundle's folder, its card beside its files.

    Raises:
        HeddleError: as a pretraining raises.
        Unavailable: Ray did not start.
    """
    from heddle_platform.base.checkpoint import unpack_checkpoint
    from heddle_platform.base.config import load_recipe
    from heddle_platform.base.run_log import RunLog

    recipe = load_recipe(recipe_file)
    out_dir.mkdir(parents=True, exist_ok=True)
    tracker = open_tracker(TrackingSettings(), run=f"{recipe.name} {out_dir.resolve()}", name=recipe.name)
    log = RunLog(recipe, out_dir, tracker)
    folder = _Folder(out_dir, log)
    kept = out_dir / _CHECKPOINT
    checkpoint = kept.read_bytes() if resume and kept.exists() else None
    if checkpoint is not None:
        log.take_up(unpack_checkpoint(checkpoint).get("measurements", []))
    with own_ray(workers):
        from heddle_workers.pretrain import pretrain

        request = PretrainRequest(recipe.model_dump(mode="json"), workers=workers, cpus=1.0)
        trained = pretrain(request, checkpoint, folder.report, folder.tell)
    if tracker is not None:
        tracker.finished(trained.digest, {CARD_HTML: trained.card_files[CARD_HTML]})
    return folder.finish(trained)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m heddle_workers.train_local", description=__doc__)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--anew", action="store_true")
    asked = parser.parse_args(arguments)
    try:
        bundle = train_here(asked.recipe, asked.out, asked.workers, resume=not asked.anew)
    except HeddleError as error:
        _say(error.message)
        return 1
    except ModuleNotFoundError as error:
        _say(f"the package {error.name} is missing; install what several workers need: pip install 'heddle[training]'")
        return 1
    sys.stdout.write(f"The bundle is in {bundle}, its model card is {bundle / 'card.html'}.\n")
    return 0


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")


if __name__ == "__main__":
    sys.exit(main())
