"""Streaming: every image is seen about once a pass, a resumed stream sees the same, and memory stays bounded."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from heddle_platform.base.augment import AugmentConfig
from heddle_platform.base.batches import BatchSource, step_generator
from heddle_platform.base.config import Recipe
from heddle_platform.base.corpus import Corpus, CorpusConfig, Factor, Part, build_corpus
from heddle_platform.base.labelled import LabelsConfig
from heddle_platform.base.sources.shards import Loaded
from heddle_platform.base.stream import StreamedPart
from heddle_platform.base.train import run_training
from heddle_platform.errors import InvalidInput

from .corpus_files import COUNT, folder

SHARDS, IN_SHARD = 12, 50


def load(number: int) -> Loaded:
    """Shard n holds images of the numbers 50 n .. 50 n + 49, each told by its label."""
    labels = np.arange(number * IN_SHARD, (number + 1) * IN_SHARD, dtype=np.int16)
    return np.full((IN_SHARD, 8, 8, 3), number, dtype=np.uint8), labels[:, None]


def streamed(window: int = 3 * IN_SHARD, seed: int = 0) -> StreamedPart:
    return StreamedPart("s", [IN_SHARD] * SHARDS, load, window=window, seed=seed)


def batches(part: StreamedPart | Part, batch: int = 10) -> BatchSource:
    return BatchSource(Corpus((Factor("number", ("0",)),), (part,), ()), batch, AugmentConfig(share=0))


def numbers(source: BatchSource, step: int) -> list[int]:
    return [int(row[0]) for row in source.draw(step_generator(3, step), step).labels]


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    through = batches(streamed())
    history = {step: numbers(through, step) for step in range(200)}
    # Anew at any step, as after a kill; and backwards, as no training does.
    for step in (199, 57, 130, 0):
        assert numbers(batches(streamed()), step) == history[step]
    other = batches(streamed(seed=1))
    assert any(numbers(other, step) != history[step] for step in range(5))


def test_every_image_is_drawn_about_once_a_pass() -> None:
    source = batches(streamed())
    passes = 40
    steps = passes * SHARDS * IN_SHARD // 10
    counts = np.bincount([n for step in range(steps) for n in numbers(source, step)], minlength=SHARDS * IN_SHARD)
    assert counts.sum() == steps * 10
    # Draws of one image are about Poisson, mean 40; shards at the stream's two ends are a little short.
    assert counts.mean() == passes
    assert counts.min() > 12
    assert counts.max() < 75


def test_the_order_of_shards_is_another_in_every_pass() -> None:
    part = streamed()
    orders = [[part.shard_at(turn * SHARDS + place) for place in range(SHARDS)] for turn in range(5)]
    assert all(sorted(order) == list(range(SHARDS)) for order in orders)
    assert len({tuple(order) for order in orders}) == 5


def test_a_batch_mixes_the_shards_of_the_window() -> None:
    source = batches(streamed(), batch=200)
    for step in (0, 40):
        shards = {number // IN_SHARD for number in numbers(source, step)}
        assert len(shards) == 3


def test_each_shard_is_loaded_once_a_pass_and_ahead() -> None:
    loads: list[int] = []

    def counted(number: int) -> Loaded:
        loads.append(number)
        return load(number)

    source = batches(StreamedPart("s", [IN_SHARD] * SHARDS, counted, window=3 * IN_SHARD, seed=0))
    for step in range(SHARDS * IN_SHARD // 10):
        numbers(source, step)
    # The window's three and the next at the start, then one a move.
    assert len(loads) in (SHARDS + 2, SHARDS + 3)


def test_a_window_as_large_as_the_part_never_moves() -> None:
    part = streamed(window=10_000)
    assert part.at(0.0) is part.at(12_345.0)
    assert len(part.at(0.0).images) == SHARDS * IN_SHARD


def test_rows_of_a_window_are_those_of_its_shards() -> None:
    window = streamed().at(0.0)
    part = streamed()
    expected = np.concatenate([load(part.shard_at(place))[1] for place in range(3)])
    np.testing.assert_array_equal([window.labels[row] for row in range(len(window.labels))], expected)
    with pytest.raises(IndexError):
        window.images[len(window.images)]


def test_a_shard_that_cannot_be_loaded_fails_the_draw() -> None:
    def broken(number: int) -> Loaded:
        raise InvalidInput(f"shard {number}")

    with pytest.raises(InvalidInput, match="shard"):
        StreamedPart("s", [1, 1], broken, window=1, seed=0).at(0.0)


def test_a_labelled_fraction_needs_whole_parts() -> None:
    corpus = Corpus((Factor("number", ("0",)),), (streamed(),), ())
    with pytest.raises(InvalidInput, match=r"'s' has 600 images and is streamed; raise corpus\.window to 600"):
        BatchSource(corpus, 8, AugmentConfig(), labels=LabelsConfig(images=10))


MEMORY = """
import resource, sys
import numpy as np
from heddle_platform.base.augment import AugmentConfig
from heddle_platform.base.batches import BatchSource, step_generator
from heddle_platform.base.corpus import CorpusConfig, build_corpus
from pathlib import Path

config = CorpusConfig.model_validate({"sources": {"big": {"path": sys.argv[1]}}, "window": 1000, "held_out": 50})
corpus = build_corpus(config, cache_dir=Path(sys.argv[2]))
source = BatchSource(corpus, 200, AugmentConfig(share=0))
source.draw(step_generator(0, 0), 0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for step in range(1, 120):
    source.draw(step_generator(0, step), step)
print(corpus.counts["big"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_resident_memory_stays_bounded(tmp_path: Path) -> None:
    # 20,000 images are 246 MB in memory; a window of 1,000 is 12 MB, one more shard 6, a batch as float 10.
    rng = np.random.default_rng(0)
    images = np.repeat(rng.integers(0, 256, (20_000, 1, 1, 3), dtype=np.uint8), 64, axis=1).repeat(64, axis=2)
    np.savez_compressed(tmp_path / "big.npz", images=images)
    del images
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "big.npz"), str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    count, growth_kb = map(int, done.stdout.split())
    assert count == 19_000
    assert growth_kb < 100 * 1024


TINY = {
    "name": "tiny",
    "network": {
        "latents": 6, "width": 16, "token_hidden": 8, "squeeze": 4, "hidden": 24,
        "encoder_blocks": 1, "decoder_blocks": 1,
    },
    "optimiser": {"batch": 8, "warmup_steps": 5},
    "checkpoint_seconds": 1e6,
}  # fmt: skip


def test_a_corpus_of_sources_and_rendered_parts_has_all_their_factors(tmp_path: Path) -> None:
    config = CorpusConfig.model_validate(
        {
            "images": {"glyphs": 30},
            "sources": {"faces": {"path": folder(tmp_path / "in")}},
            "held_out": 2,
            "processes": 1,
            "image_size": 32,
        }
    )
    told: list[tuple[int, int]] = []
    corpus = build_corpus(config, cache_dir=tmp_path / "cache", progress=lambda *each: told.append(each))
    assert told[-1] == (COUNT, COUNT)
    assert corpus.counts == {"glyphs": 30, "faces": 57}
    keys = [factor.key for factor in corpus.factors]
    assert corpus.factors[0].levels == ("glyphs", "faces")
    assert {"faces/hue", "faces/side", "glyphs/letter"} < set(keys)
    letters, faces = (part.at(0.0) for part in corpus.parts)
    assert letters.images[0].shape == faces.images[0].shape == (32, 32, 3)
    assert all(faces.labels[row][keys.index("glyphs/letter")] == -1 for row in range(57))
    assert all(faces.labels[row][keys.index("faces/side")] >= 0 for row in range(57))
    assert [part.count for part in corpus.held_out] == [2, 2]
    # Opened again from the cache; a changed source is read anew.
    again = build_corpus(config, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(again.held_out[1].images, corpus.held_out[1].images)
    (tmp_path / "in" / "sub" / "000.png").unlink()
    (tmp_path / "in" / "labels.csv").unlink()
    assert "faces/hue" not in [factor.key for factor in build_corpus(config, cache_dir=tmp_path / "cache").factors]


def test_rendered_parts_stream_too_and_training_moves_the_window(tmp_path: Path) -> None:
    recipe = Recipe.model_validate(
        {
            **TINY,
            "corpus": {"images": {"dsprites": 1500}, "held_out": 10, "processes": 1, "window": 500},
            "steps": 70,
        }
    )
    corpus = build_corpus(recipe.corpus, cache_dir=tmp_path / "cache")
    part = corpus.parts[0]
    assert isinstance(part, StreamedPart)
    asked: list[float] = []
    at = part.at

    def watched(drawn: float):  # type: ignore[no-untyped-def]
        asked.append(drawn)
        return at(drawn)

    part.at = watched  # type: ignore[method-assign]
    learner, _ = run_training(recipe, corpus, tmp_path / "out", resume=False)
    assert max(asked) == pytest.approx(69 * 8)
    assert all(bool(torch.isfinite(weight).all()) for weight in learner.averaged.parameters())
    # Opened anew, as after a kill, it goes on with what the uninterrupted one sees.
    fresh = build_corpus(recipe.corpus, cache_dir=tmp_path / "cache")
    source, again = BatchSource.of(recipe, corpus), BatchSource.of(recipe, fresh)
    for step in (69, 210):
        expected, got = (each.draw(step_generator(recipe.seed, step), step) for each in (source, again))
        assert torch.equal(expected.images, got.images)
        assert torch.equal(expected.labels, got.labels)
