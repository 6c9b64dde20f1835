"""The shipped base at work, without torch."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from heddle_platform.base import rendered
from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.base.runtime import BaseRuntime, to_uint8
from heddle_platform.errors import InvalidInput


@pytest.fixture(scope="module")
def runtime() -> BaseRuntime:
    return BaseRuntime.from_bundle(load_bundle(default_bundle_path()))


@pytest.fixture(scope="module")
def avatars() -> np.ndarray:
    return rendered.render_batch("micah", 70, seed=99)[0]


def test_shapes_types_and_range(runtime: BaseRuntime, avatars: np.ndarray) -> None:
    latents = runtime.encode(avatars)
    images = runtime.decode(latents)
    assert latents.shape == (70, runtime.latents)
    assert images.shape == avatars.shape
    assert latents.dtype == images.dtype == np.float32
    assert 0 <= images.min() <= images.max() <= 1


def test_round_trip_draws_the_image_and_not_the_mean_image(runtime: BaseRuntime, avatars: np.ndarray) -> None:
    original = avatars / 255.0
    error = ((runtime.decode(runtime.encode(avatars)) - original) ** 2).mean()
    spread = ((original - original.mean(axis=0)) ** 2).mean()
    assert error < 0.2 * spread


def test_chunks_do_not_show(runtime: BaseRuntime, avatars: np.ndarray) -> None:
    together = runtime.encode(avatars)
    one_by_one = np.concatenate([runtime.encode(avatars[index : index + 1]) for index in range(62, 70)])
    np.testing.assert_allclose(together[62:70], one_by_one, atol=1e-4)


def test_no_images_give_no_latents(runtime: BaseRuntime) -> None:
    latents = runtime.encode(np.zeros((0, 64, 64, 3), dtype=np.uint8))
    assert latents.shape == (0, runtime.latents)
    assert runtime.decode(latents).shape == (0, 64, 64, 3)


def test_latents_are_standardised_over_the_corpus(runtime: BaseRuntime) -> None:
    styles = ("micah", "dylan", "thumbs", "fun-emoji", "miniavs", "toon-head")
    images = np.concatenate([rendered.render_batch(style, 20, seed=7)[0] for style in styles])
    latents = runtime.encode(images)
    assert np.abs(latents.mean(axis=0)).mean() < 0.5
    assert 0.6 < latents.std(axis=0).mean() < 1.4


def test_threads_get_the_same_answers(runtime: BaseRuntime, avatars: np.ndarray) -> None:
    expected = runtime.encode(avatars[:8])
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: runtime.encode(avatars[:8]), range(12)))
    for answer in answers:
        np.testing.assert_array_equal(answer, expected)


def test_wrong_images_are_refused_with_both_shapes(runtime: BaseRuntime) -> None:
    with pytest.raises(InvalidInput, match=r"uint8 \[2, 32, 32, 3\].*64, 64, 3"):
        runtime.encode(np.zeros((2, 32, 32, 3), dtype=np.uint8))


def test_wrong_latents_are_refused(runtime: BaseRuntime) -> None:
    with pytest.raises(InvalidInput, match=r"\[1, 3\], the base takes \[N, 64\]"):
        runtime.decode(np.zeros((1, 3), dtype=np.float32))
    with pytest.raises(InvalidInput, match="not finite"):
        runtime.decode(np.full((1, runtime.latents), np.nan, dtype=np.float32))


def test_to_uint8_rounds_and_clips() -> None:
    np.testing.assert_array_equal(to_uint8(np.array([-0.1, 0.0, 0.5, 1.0, 1.2])), [0, 0, 128, 255, 255])


def test_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import heddle_platform.base.runtime, heddle_platform.base.rendered"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_seen_again_is_decoding_rounding_and_encoding(runtime: BaseRuntime, avatars: np.ndarray) -> None:
    latents = runtime.encode(avatars)
    again = runtime.encode(to_uint8(runtime.decode(latents)))
    np.testing.assert_array_equal(runtime.seen_again(latents), again)
    with pytest.raises(InvalidInput, match="not finite"):
        runtime.seen_again(np.full((1, runtime.latents), np.nan, dtype=np.float32))


@pytest.mark.parametrize("count", [1, 2, 25, 130])
def test_parted_graphs_draw_and_see_the_same_to_the_last_bit(runtime: BaseRuntime, count: int) -> None:
    parted = BaseRuntime.from_bundle(load_bundle(default_bundle_path()), parted=True)
    latents = np.random.default_rng(count).normal(size=(count, runtime.latents)).astype(np.float32)
    np.testing.assert_array_equal(parted.seen_again(latents), runtime.seen_again(latents))
    np.testing.assert_array_equal(parted.decode(latents), runtime.decode(latents))
    assert parted.seen_again(latents[:0]).shape == (0, runtime.latents)
