"""Pictures and labelled sets from memory and folders, and the client for event loops."""

import asyncio
import inspect
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heddle_api.client import ApiError, AsyncHeddleClient, HeddleClient
from heddle_api.client.packing import packed_folder, packed_pictures
from heddle_api.client.pictures import opened, picture_bytes
from heddle_api.client.results import DatasetInfo, PictureResult
from tests.api.control_world import FACTORS
from tests.api.live import Live


def array(seed: int = 0, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape or (9, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(9, 7, 3), (9, 7, 4), (9, 7), (9, 7, 1)])
def test_arrays_travel_without_loss(shape: tuple[int, ...]) -> None:
    given = array(1, *shape)
    assert np.array_equal(np.asarray(opened(picture_bytes(given))), given.squeeze())


def test_files_bytes_and_pil_images_are_pictures(tmp_path: Path) -> None:
    data = picture_bytes(array())
    (tmp_path / "a.png").write_bytes(data)
    assert picture_bytes(data) is data
    assert picture_bytes(tmp_path / "a.png") == data
    assert np.array_equal(np.asarray(opened(picture_bytes(Image.fromarray(array())))), array())


@pytest.mark.parametrize("wrong", [array(0, 9, 7, 2), array(0, 9), array().astype(float), array(0, 2, 9, 7, 3)])
def test_other_arrays_are_refused_with_their_shape(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=str(wrong.dtype)) as caught:
        picture_bytes(wrong)
    assert str(list(wrong.shape)) in str(caught.value)


def test_pictures_and_labels_become_a_zip() -> None:
    data = packed_pictures([array(0), picture_bytes(array(1))], [{"smile": True}, {"glasses": "round", "smile": None}])
    assert data == packed_pictures([array(0), array(1)], [{"smile": True}, {"glasses": "round"}])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read("labels.csv").decode().splitlines() == [
            "file,smile,glasses",
            "000000.png,True,",
            "000001.png,,round",
        ]
        assert np.array_equal(np.asarray(opened(archive.read("000001.png"))), array(1))


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="2 pictures and 1 labels"):
        packed_pictures([array(0), array(1)], [{}])
    with pytest.raises(ValueError, match=r"picture 1: .*not an image we know"):
        packed_pictures([array(0), b"GIF89a"], [{}, {}])


def test_a_folder_is_packed_without_what_is_hidden(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no labels\.csv"), packed_folder(tmp_path):
        pass
    (tmp_path / "labels.csv").write_text("file,smile\na/0.png,1\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.png").write_bytes(picture_bytes(array()))
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("secret")
    with packed_folder(tmp_path) as file, zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["a/0.png", "labels.csv"]
    assert not file.exists()


def test_every_call_can_be_awaited() -> None:
    calls = {name for name in dir(HeddleClient) if not name.startswith("_") and callable(getattr(HeddleClient, name))}
    missing = {name for name in calls if not asyncio.iscoroutinefunction(getattr(AsyncHeddleClient, name, None))}
    assert missing == set(), "add `name = _awaited(HeddleClient.name)` to AsyncHeddleClient"


def test_both_clients_take_the_same_arguments() -> None:
    for name in dir(HeddleClient):
        call = getattr(HeddleClient, name)
        if not name.startswith("_") and callable(call):
            mine, other = (inspect.signature(one).parameters for one in (call, getattr(AsyncHeddleClient, name)))
            assert list(mine.values()) == list(other.values()), name


async def test_awaited_from_pictures_to_a_job(live: Live) -> None:
    world = live.world
    await world.publish_base()
    tenant = await world.tenant()
    async with AsyncHeddleClient(live.url, None, tenant.key) as heddle:
        await heddle.register_factor_set(FACTORS)
        pictures, labels = [array(0), array(1)], [{"smile": 0}, {"smile": 1}]
        made = await heddle.label_pictures("few", pictures, labels, factor_set="avatars")
        await tenant.validated(made.id, packed_pictures(pictures, labels))
        seen: list[DatasetInfo] = []
        assert (await heddle.wait_for_dataset(made.id, on_progress=seen.append)).status == "ready"
        assert [each.status for each in seen] == ["ready"]
        fits = await asyncio.gather(*(heddle.fit("avatars", factor_set="avatars", dataset="few") for _ in range(20)))
        assert len({fit.id for fit in fits}) == 20
        with pytest.raises(ApiError, match="still not done"):
            await heddle.wait_for_job(fits[0].id, timeout_seconds=0.1)
        cancelled = await asyncio.gather(*(heddle.cancel_job(fit.id) for fit in fits))
        assert {job.status for job in cancelled} == {"cancelled"}
        assert (await heddle.wait_for_job(fits[3].id)).status == "cancelled"
        with pytest.raises(ApiError) as caught:
            await heddle.adapter("nothing")
        assert (caught.value.status, caught.value.code) == (404, "unknown_adapter")


def test_an_answer_with_transparency_is_an_array_over_white() -> None:
    pixels = np.array([[[200, 0, 0, 255], [0, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)
    answer = PictureResult(picture_bytes(Image.fromarray(pixels)), "image/png", {})
    assert answer.picture().mode == "RGBA"
    assert answer.array().tolist() == [[[200, 0, 0], [255, 255, 255], [204, 204, 204]]]
