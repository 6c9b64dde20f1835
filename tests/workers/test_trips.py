"""Round trips: what they compute, and that keeping pictures and using threads changes nothing."""

import numpy as np

from heddle_platform.base.runtime import to_uint8
from heddle_workers.trips import RoundTrips

from .study import Study


def test_decode_draws_encodes_and_nothing_else(study: Study) -> None:
    trips, runtime = study.trips, study.trips.runtime
    latents_BL = trips.latents_NL[:70] + np.float32(0.25)
    expected = runtime.encode(to_uint8(runtime.decode(latents_BL)))
    fresh = RoundTrips(runtime, study.images, trips.latents_NL)
    np.testing.assert_allclose(fresh.decoded(latents_BL), expected, atol=1e-5)


def test_preserve_without_a_change_is_the_original(study: Study) -> None:
    trips = study.trips
    rows_B = np.array([3, 60, 3])
    np.testing.assert_allclose(trips.preserved(rows_B, trips.latents_NL[rows_B]), trips.latents_NL[rows_B], atol=1e-5)


def test_preserve_adds_the_change_of_the_decoded_pictures(study: Study) -> None:
    trips, runtime = study.trips, study.trips.runtime
    rows_B = np.arange(10)
    edited_BL = trips.latents_NL[rows_B] + np.float32(0.5)
    change = runtime.decode(edited_BL) - runtime.decode(trips.latents_NL[rows_B])
    picture = to_uint8(study.images.small(rows_B.tolist(), runtime.image_size) / 255 + change)
    fresh = RoundTrips(runtime, study.images, trips.latents_NL)
    # pictures are kept in 65,535 steps, so a pixel on the edge of rounding may fall to the other side
    np.testing.assert_allclose(fresh.preserved(rows_B, edited_BL), runtime.encode(picture), atol=0.02)


def test_asking_twice_and_asking_with_threads_give_the_same(study: Study) -> None:
    trips, runtime = study.trips, study.trips.runtime
    latents_BL = trips.latents_NL[20:50] * np.float32(1.1)
    one = RoundTrips(runtime, study.images, trips.latents_NL, threads=1)
    two = RoundTrips(runtime, study.images, trips.latents_NL, threads=3)
    first = one.decoded(latents_BL)
    np.testing.assert_allclose(two.decoded(latents_BL), first, atol=1e-5)
    np.testing.assert_array_equal(one.decoded(latents_BL), first)
    mixed_BL = np.concatenate([latents_BL[5:9], latents_BL[:1] + np.float32(1), latents_BL[5:6]])
    np.testing.assert_array_equal(one.decoded(mixed_BL)[[0, 1, 2, 3, 5]], first[[5, 6, 7, 8, 5]])
