"""The corpus: rendered once, whole shards only, labels merged over parts."""

from pathlib import Path

import numpy as np
import pytest

from heddle_platform.base.corpus import (
    UNKNOWN,
    CorpusConfig,
    build_corpus,
    corpus_factors,
    part_factors,
    resident_parts,
)

CONFIG = CorpusConfig(images={"dylan": 6, "dsprites": 8}, held_out=3, processes=1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cache")
    build_corpus(CONFIG, cache_dir=path)
    return path


def test_counts_and_shapes(cache: Path) -> None:
    corpus = build_corpus(CONFIG, cache_dir=cache)
    assert corpus.counts == {"dylan": 6, "dsprites": 8}
    assert [len(part.images) for part in corpus.held_out] == [3, 3]
    assert resident_parts(corpus)[0].images.shape == (6, 64, 64, 3)
    assert resident_parts(corpus)[0].labels.shape == (6, len(corpus.factors))


def test_shared_roles_are_one_factor_and_others_unknown() -> None:
    keys = [factor.key for factor in corpus_factors(("dylan", "dsprites"))]
    assert keys[0] == "part"
    assert len(keys) == len(set(keys))
    assert keys.count("background_color") == 1
    assert {factor.key for factor in part_factors("dsprites")} < set(keys)


def test_labels_say_the_part_and_leave_the_rest_unknown(cache: Path) -> None:
    corpus = build_corpus(CONFIG, cache_dir=cache)
    keys = [factor.key for factor in corpus.factors]
    sprites = resident_parts(corpus)[1]
    assert (sprites.labels[:, 0] == 1).all()
    assert (sprites.labels[:, keys.index("dylan/hair")] == UNKNOWN).all()
    assert (sprites.labels[:, keys.index("dsprites/shape")] >= 0).all()


def test_second_build_renders_nothing(cache: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    reports: list[tuple[int, int]] = []
    build_corpus(CONFIG, cache_dir=cache, progress=lambda ready, wanted: reports.append((ready, wanted)))
    assert {path.name: path.stat().st_mtime_ns for path in cache.iterdir()} == before
    assert reports == [(20, 20)]


def test_lost_shard_is_rendered_again_the_same(cache: Path) -> None:
    first = build_corpus(CONFIG, cache_dir=cache)
    shard = next(path for path in cache.iterdir() if "dsprites-s0-" in path.name)
    shard.unlink()
    # What a killed renderer leaves behind must not be taken for a shard.
    (cache / "left.part").write_bytes(b"half")
    second = build_corpus(CONFIG, cache_dir=cache)
    np.testing.assert_array_equal(resident_parts(first)[1].images, resident_parts(second)[1].images)
    np.testing.assert_array_equal(resident_parts(first)[1].labels, resident_parts(second)[1].labels)


def test_held_out_images_are_others(cache: Path) -> None:
    corpus = build_corpus(CONFIG, cache_dir=cache)
    assert (corpus.held_out[0].images != resident_parts(corpus)[0].images[:3]).any()
