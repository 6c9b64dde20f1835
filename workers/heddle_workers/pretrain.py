"""Pretraining in a Ray worker: the loop of `base.train` with checkpoints and measurements told instead of written."""

import tempfile
import time
from pathlib import Path
from typing import Any, Final

from heddle_adapters.base_scores import base_scores, base_scores_with_intervals
from heddle_platform.base.bundle import load_bundle, read_card_files
from heddle_platform.base.card import BaseCard
from heddle_platform.base.checkpoint import pack_checkpoint, unpack_checkpoint
from heddle_platform.base.config import Recipe, read_recipe
from heddle_platform.base.corpus import build_corpus
from heddle_platform.base.peers import Alone, Peers
from heddle_platform.base.readings import Measurement
from heddle_platform.base.surroundings import Surroundings, TrainProgress
from heddle_platform.base.train import BUNDLE, complete_training, export_run
from heddle_workers.pretrained import Kept, Measured, Noted, Pretrained, PretrainRequest
from heddle_workers.progress import Report, Tell

NOTE_SECONDS: Final = 10.0
_RENDERED: Final = 0.05  # share of the whole job that is behind it once the corpus is rendered
_TRAINED: Final = 0.95


def pretrain(request: PretrainRequest, checkpoint: bytes | None, report: Report, tell: Tell) -> Pretrained:
    """Train a base: here where one worker is asked for, else side by side with others.

    Args:
        request: what to train.
        checkpoint: where to go on from, or None.
        report: told of progress.
        tell: given `Kept`, `Measured` and `Noted`.

    Raises:
        InvalidInput: codes `invalid_recipe`, `checkpoint_mismatch`, `uneven_shares`.
        Unavailable: a worker died.
    """
    recipe = read_recipe(request.recipe)
    if request.workers > 1:
        from heddle_workers.side_by_side import pretrain_side_by_side  # Ray Train takes seconds to import

        return pretrain_side_by_side(recipe, request, checkpoint, report, tell)
    trained = pretrain_as(recipe, Alone(), checkpoint, report, tell)
    if trained is None:
        raise RuntimeError("a process alone is the first and exports")
    return trained


def pretrain_as(
    recipe: Recipe, peers: Peers, checkpoint: bytes | None, report: Report, tell: Tell
) -> Pretrained | None:
    """Train as one of `peers`; the first of them reports, tells, and returns the base, the others return None."""
    first = peers.rank == 0
    teller = _Teller(report, tell)
    corpus = None
    if first:  # before the others, which find its shards where they share a disk
        corpus = build_corpus(recipe.corpus, progress=teller.rendering)
    peers.agree(0.0)
    corpus = corpus or build_corpus(recipe.corpus)
    surroundings = Surroundings(
        progress=teller if first else None,
        score=base_scores,
        card_score=base_scores_with_intervals,
        checkpoints=_ToldCheckpoints(tell, checkpoint),
        tracker=teller if first else None,
        peers=peers,
    )
    with tempfile.TemporaryDirectory(prefix="heddle-pretrain-") as name:
        folder = Path(name)
        finished = complete_training(recipe, corpus, folder, surroundings, resume=True)
        if not first:
            return None
        card = export_run(recipe, corpus, folder, finished, surroundings)
        return _packed(folder / BUNDLE, card)


def _packed(folder: Path, card: BaseCard) -> Pretrained:
    bundle = load_bundle(folder)
    figures = {
        "steps": card.steps,
        "mse": bundle.manifest.metrics.mse,
        "active_units": card.active_units,
        "scores": {name: value for name in ("mig", "dci", "lps") if (value := card.score(name)) is not None},
        "warnings": [alarm.model_dump() for alarm in card.warnings],
    }
    return Pretrained(
        name=bundle.manifest.name,
        digest=bundle.digest,
        manifest=bundle.manifest.model_dump(mode="json"),
        files=bundle.all_files(),
        card_files=read_card_files(folder),
        figures=figures,
    )


class _ToldCheckpoints:
    """Checkpoints that somebody else stores; a `Checkpoints`."""

    def __init__(self, tell: Tell, found: bytes | None) -> None:
        self._tell, self._found = tell, found

    def save(self, state: dict[str, Any], step: int) -> None:
        self._tell(Kept(step, pack_checkpoint(state)))

    def load(self) -> dict[str, Any] | None:
        return None if self._found is None else unpack_checkpoint(self._found)


class _Teller:
    """Turns what a training says into reports and messages; a `TrainListener` and a `RunTracker`."""

    def __init__(self, report: Report, tell: Tell) -> None:
        self._report, self._tell = report, tell
        self._next = 0.0

    def rendering(self, ready: int, wanted: int) -> None:
        self._report("rendering", _RENDERED * ready / max(wanted, 1))

    def training(self, progress: TrainProgress) -> None:
        self._report("training", _RENDERED + (_TRAINED - _RENDERED) * progress.done)
        if (now := time.monotonic()) < self._next:
            return
        self._next = now + NOTE_SECONDS
        data = {
            "step": progress.step,
            "images_per_second": round(progress.images_per_second, 1),
            "seconds_left": round(progress.seconds_left),
            "losses": {name: round(value, 3) for name, value in progress.losses.items()},
        }
        self._tell(Noted("training", data))

    def exporting(self) -> None:
        self._report("exporting", _TRAINED)

    def started(self, recipe: dict[str, Any], code_version: str) -> None:
        """Say nothing: whoever queued the job has the recipe."""

    def measured(self, measurement: Measurement, traversal: bytes | None = None) -> None:
        if traversal is not None:
            self._tell(Measured(measurement.model_dump(mode="json"), traversal))

    def finished(self, digest: str, files: dict[str, bytes]) -> None:
        """Say nothing: the result says it."""
