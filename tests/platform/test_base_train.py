"""Training: it learns, it survives kill -9, it resumes to the bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from heddle_platform.base.bundle import load_bundle
from heddle_platform.base.checkpoint import load_checkpoint
from heddle_platform.base.config import Recipe
from heddle_platform.base.corpus import Corpus, build_corpus
from heddle_platform.base.learner import learning_rate
from heddle_platform.base.readings import Measurement
from heddle_platform.base.surroundings import TrainProgress
from heddle_platform.base.train import CHECKPOINT, METRICS, run_training, train
from heddle_platform.errors import InvalidInput

TINY = {
    "name": "tiny",
    "corpus": {"images": {"thumbs": 60, "dsprites": 60}, "held_out": 10, "processes": 1},
    "network": {
        "latents": 6, "width": 16, "token_hidden": 8, "squeeze": 4, "hidden": 24,
        "encoder_blocks": 1, "decoder_blocks": 1,
    },
    "optimiser": {"batch": 8, "warmup_steps": 5},
    "steps": 40,
    "checkpoint_seconds": 0.05,
}  # fmt: skip

TRAIN = """
import sys
from pathlib import Path
from heddle_platform.base.config import Recipe
from heddle_platform.base.corpus import build_corpus
from heddle_platform.base.readings import Measurement
from heddle_platform.base.train import run_training
recipe = Recipe.model_validate_json(sys.argv[1])
corpus = build_corpus(recipe.corpus, cache_dir=Path(sys.argv[2]))
run_training(recipe, corpus, Path(sys.argv[3]), resume=True)
"""


class Recorder:
    """Keeps what a training told."""

    def __init__(self) -> None:
        self.rendered: list[tuple[int, int]] = []
        self.steps: list[TrainProgress] = []
        self.measurements: list[Measurement] = []
        self.exports = 0

    def rendering(self, ready: int, wanted: int) -> None:
        self.rendered.append((ready, wanted))

    def training(self, progress: TrainProgress) -> None:
        self.steps.append(progress)

    def measured(self, measurement: Measurement) -> None:
        self.measurements.append(measurement)

    def exporting(self) -> None:
        self.exports += 1


def recipe(**changes: object) -> Recipe:
    return Recipe.model_validate({**TINY, **changes})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def corpus(cache: Path) -> Corpus:
    return build_corpus(recipe().corpus, cache_dir=cache)


def test_it_learns_to_draw(corpus: Corpus, tmp_path: Path) -> None:
    fast = {**TINY["optimiser"], "learning_rate": 0.02}  # type: ignore[dict-item]
    wanted = recipe(steps=300, optimiser=fast, augment={"share": 0}, checkpoint_seconds=1e6)
    run_training(wanted, corpus, tmp_path, resume=False)
    rows = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    thumbs = corpus.held_out[0].images / 255.0
    spread = float(((thumbs - thumbs.mean(axis=0)) ** 2).mean())
    assert rows[-1]["step"] == 300
    # Drawing the mean image of the held-out ones would score `spread`.
    assert rows[-1]["mse"]["thumbs"] < 0.7 * spread


@pytest.mark.parametrize(
    "term",
    [
        {"kind": "kl", "free_nats": 0.5},
        {"kind": "kl", "capacity": {"nats": 10}},
        {"kind": "total_correlation"},
        {"kind": "critic", "width": 16, "layers": 2},
        {"kind": "moments"},
        {"kind": "moments", "of": "samples", "diagonal": 1},
        {"kind": "mmd", "prior": {"shape": "uniform"}},
        {"kind": "mmd", "prior": {"shape": "mixture"}},
        {"kind": "ada"},
        {"kind": "information", "codes": (3,), "width": 16},
        {"kind": "invariance", "projection": 8},
        {"kind": "perceptual", "schedule": {"weight": 0.1}},
        {"kind": "pin", "pins": ({"factor": "dsprites/posX", "latents": (0,)},)},
    ],
    ids=lambda term: "-".join(str(value) for value in term.values()),
)
def test_every_objective_learns_to_draw_beside_its_penalty(
    term: dict[str, object], corpus: Corpus, tmp_path: Path
) -> None:
    others = [] if term["kind"] == "kl" else [{"kind": "kl"}]
    fast = {**TINY["optimiser"], "learning_rate": 0.02}  # type: ignore[dict-item]
    terms = [{"kind": "reconstruction"}, *others, term]
    wanted = recipe(steps=200, optimiser=fast, augment={"share": 0}, checkpoint_seconds=1e6, terms=terms)
    learner, _ = run_training(wanted, corpus, tmp_path, resume=False)
    assert all(bool(torch.isfinite(weight).all()) for weight in learner.averaged.parameters())
    thumbs = corpus.held_out[0].images / 255.0
    row = json.loads((tmp_path / METRICS).read_text().splitlines()[-1])
    assert row["mse"]["thumbs"] < 0.85 * float(((thumbs - thumbs.mean(axis=0)) ** 2).mean())
    assert all(np.isfinite(value) for value in row["losses"].values())


PAIR = {"kind": "convolution", "channels": 1, "latents": 6, "maps": (8, 8, 16, 16), "hidden": 32}
PATCHES = {"kind": "patch", "channels": 1, "latents": 6, "width": 32, "hidden": 64, "decoder_blocks": 1}


@pytest.mark.parametrize(
    ("network", "likelihood"),
    [
        ({**PAIR, "output": "linear"}, "reconstruction"),
        ({**PAIR, "output": "sigmoid"}, "bernoulli"),
        ({**PATCHES, "output": "sigmoid"}, "bernoulli"),
    ],
)
def test_small_networks_learn_grey_sprites(
    network: dict[str, object], likelihood: str, cache: Path, tmp_path: Path
) -> None:
    wanted = recipe(
        corpus={"images": {"dsprites-exact": 1000}, "held_out": 40, "processes": 1},
        network=network,
        optimiser={"kind": "adamw", "batch": 32, "learning_rate": 0.003, "warmup_steps": 5, "average": 0.95},
        terms=[{"kind": likelihood}, {"kind": "kl"}],
        steps=300,
        augment={"share": 0},
        checkpoint_seconds=1e6,
    )
    sprites = build_corpus(wanted.corpus, cache_dir=cache)
    run_training(wanted, sprites, tmp_path, resume=False)
    images = sprites.held_out[0].images / 255.0
    row = json.loads((tmp_path / METRICS).read_text().splitlines()[-1])
    assert row["mse"]["dsprites-exact"] < 0.85 * float(((images - images.mean(axis=0)) ** 2).mean())


def test_train_writes_a_bundle_and_tells_its_progress(cache: Path, tmp_path: Path) -> None:
    told = Recorder()
    path = train(recipe(steps=3), tmp_path, cache_dir=cache, progress=told)
    assert load_bundle(path).manifest.metrics.steps == 3
    assert told.rendered[-1] == (140, 140)
    assert told.exports == 1
    assert [each.step for each in told.measurements] == [3]


def test_killed_and_resumed_equals_uninterrupted(corpus: Corpus, cache: Path, tmp_path: Path) -> None:
    # Long enough to be caught in the act, checkpointed often enough to have something to resume.
    long = recipe(steps=400)
    child = subprocess.Popen(
        [sys.executable, "-c", TRAIN, long.model_dump_json(), str(cache), str(tmp_path / "killed")]
    )
    checkpoint = tmp_path / "killed" / CHECKPOINT
    deadline = time.monotonic() + 240
    while not checkpoint.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    state = load_checkpoint(checkpoint)
    assert state is not None
    assert 0 < state["step"] < 400

    resumed, steps = run_training(long, corpus, tmp_path / "killed", resume=True)
    whole, _ = run_training(long, corpus, tmp_path / "whole", resume=True)
    assert steps == 400
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    for name, value in whole.averaged.state_dict().items():
        assert torch.equal(value, resumed.averaged.state_dict()[name]), name


def test_without_resume_it_starts_anew(corpus: Corpus, tmp_path: Path) -> None:
    first, _ = run_training(recipe(steps=5), corpus, tmp_path, resume=False)
    second, steps = run_training(recipe(steps=5), corpus, tmp_path, resume=False)
    assert steps == 5
    assert torch.equal(first.network.encoder.mean.weight, second.network.encoder.mean.weight)


def test_a_checkpoint_of_another_network_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    run_training(recipe(steps=1), corpus, tmp_path, resume=False)
    other = recipe(network={**TINY["network"], "latents": 7})  # type: ignore[dict-item]
    with pytest.raises(InvalidInput, match=r'"latents":6.*"latents":7') as caught:
        run_training(other, corpus, tmp_path, resume=True)
    assert caught.value.code == "checkpoint_mismatch"


def test_another_seed_is_another_training(corpus: Corpus, tmp_path: Path) -> None:
    first, _ = run_training(recipe(steps=2), corpus, tmp_path / "a", resume=False)
    second, _ = run_training(recipe(steps=2, seed=1), corpus, tmp_path / "b", resume=False)
    assert not torch.equal(first.network.encoder.mean.weight, second.network.encoder.mean.weight)


def test_learning_rate_rises_then_follows_a_cosine() -> None:
    config = recipe().optimiser.model_copy(update={"warmup_steps": 10, "learning_rate": 1.0, "final_share": 0.0})
    assert learning_rate(config, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(config, 50, 0.5) == pytest.approx(0.5)
    assert learning_rate(config, 99, 1.0) == pytest.approx(0.0)
    rates = np.array([learning_rate(config, step, step / 100) for step in range(10, 100)])
    assert (np.diff(rates) < 0).all()
