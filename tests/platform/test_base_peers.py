"""Processes that share batches: together they take the steps that one takes alone."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from heddle_platform.base.batches import Batch, step_generator
from heddle_platform.base.config import Recipe
from heddle_platform.base.corpus import build_corpus
from heddle_platform.base.peers import Alone, term_generator
from heddle_platform.base.surroundings import Surroundings
from heddle_platform.base.train import complete_training, run_training
from heddle_platform.errors import InvalidInput

TINY = {
    "name": "tiny",
    "corpus": {"images": {"dsprites": 60}, "held_out": 10, "processes": 1},
    "network": {
        "latents": 6, "width": 16, "token_hidden": 8, "squeeze": 4, "hidden": 24,
        "encoder_blocks": 1, "decoder_blocks": 1,
    },
    "terms": [{"kind": "reconstruction"}, {"kind": "kl"}],
    "optimiser": {"kind": "adamw", "batch": 8, "warmup_steps": 5},
    "steps": 10,
}  # fmt: skip

TOGETHER = """
import sys
from pathlib import Path
import torch
from torch import distributed as dist
from heddle_platform.base.config import Recipe
from heddle_platform.base.corpus import build_corpus
from heddle_platform.base.peers import Group
from heddle_platform.base.surroundings import Surroundings
from heddle_platform.base.train import complete_training
recipe_json, rank, store, folder, cache = sys.argv[1:]
dist.init_process_group("gloo", init_method=f"file://{store}", rank=int(rank), world_size=2)
peers = Group()
assert peers.agree(float(rank)) == 0.0
assert peers.mean({"a": float(rank), "b": 1.0}) == {"a": 0.5, "b": 1.0}
weight = torch.nn.Parameter(torch.zeros(2, 2))
idle = torch.nn.Parameter(torch.zeros(3))
weight.grad = torch.full((2, 2), 2 * float(rank))
peers.average([weight, idle])
assert torch.equal(weight.grad, torch.ones(2, 2)) and torch.equal(idle.grad, torch.zeros(3))
recipe = Recipe.model_validate_json(recipe_json)
corpus = build_corpus(recipe.corpus, cache_dir=Path(cache))
out = Path(folder) / rank
finished = complete_training(recipe, corpus, out, Surroundings(peers=peers), resume=False)
torch.save(finished.learner.network.state_dict(), Path(folder) / f"{rank}.pt")
"""


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    recipe = Recipe.model_validate(TINY)
    corpus = build_corpus(recipe.corpus, cache_dir=tmp_path / "cache")
    arguments = (str(tmp_path / "store"), str(tmp_path), str(tmp_path / "cache"))
    processes = [
        subprocess.Popen([sys.executable, "-c", TOGETHER, recipe.model_dump_json(), str(rank), *arguments])
        for rank in range(2)
    ]
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    alone, _ = run_training(recipe, corpus, tmp_path / "alone", resume=False)
    states = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for name, value in alone.network.state_dict().items():
        assert torch.equal(states[0][name], states[1][name]), "the processes agree to the bit"
        # Adam divides by a root of squares: rounding of a gradient near 0 is as large as a step
        assert torch.allclose(states[0][name], value, atol=2e-3), name
    assert not (tmp_path / "1" / "metrics.jsonl").exists(), "only the first keeps a log"
    assert not (tmp_path / "1" / "checkpoint.pt").exists()


def test_shares_of_a_batch_are_the_whole() -> None:
    batch = Batch(torch.arange(7.0), torch.arange(7))
    shares = [batch.share(rank, 3) for rank in range(3)]
    assert sorted(torch.cat([share.images for share in shares]).tolist()) == list(range(7))
    assert batch.share(0, 1) is batch


def test_shares_keep_partners_together() -> None:
    halves = torch.cat([torch.arange(6), torch.arange(6) + 100])  # row i and row i + 6 are partners
    for rank in range(3):
        first, second = Batch(halves, halves).share(rank, 3).images.chunk(2)
        assert torch.equal(second, first + 100)


@pytest.mark.parametrize(
    ("terms", "words"),
    [((), "batches of 9 images"), (({"kind": "ada"},), "batches of 5 pairs")],
    ids=["images", "pairs"],
)
def test_batches_that_cannot_be_shared_evenly_are_refused(
    terms: tuple[dict[str, str], ...], words: str, tmp_path: Path
) -> None:
    class Two(Alone):
        rank, size = 0, 2

    optimiser = {"kind": "adamw", "batch": 10 if terms else 9}
    recipe = Recipe.model_validate({**TINY, "optimiser": optimiser, "terms": [*TINY["terms"], *terms]})  # type: ignore[misc]
    corpus = build_corpus(recipe.corpus, cache_dir=tmp_path)
    with pytest.raises(InvalidInput, match=f"2 processes cannot share {words} evenly") as raised:
        complete_training(recipe, corpus, tmp_path / "run", Surroundings(peers=Two()), resume=False)
    assert raised.value.code == "uneven_shares"
    assert not (tmp_path / "run").exists()


def test_chance_of_terms_differs_by_rank_and_alone_is_the_steps_own() -> None:
    class Second(Alone):
        rank, size = 1, 2

    generator = step_generator(0, 5)
    assert term_generator(Alone(), generator) is generator
    first, again = (term_generator(Second(), step_generator(0, 5)).initial_seed() for _ in range(2))
    assert first == again != generator.initial_seed()


@pytest.mark.parametrize("steps", [5, 6])
def test_the_seed_of_a_rank_depends_on_the_step(steps: int) -> None:
    class Second(Alone):
        rank, size = 1, 2

    seeds = {term_generator(Second(), step_generator(0, step)).initial_seed() for step in range(steps)}
    assert len(seeds) == steps
