"""Sources: every kind reads the same, from disk and from the object store, and says where it is wrong."""

import io
import json
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heddle_infra.memory import MemoryObjectStore
from heddle_platform import keys
from heddle_platform.base.sources.place import LocalPlace, StoredPlace
from heddle_platform.base.sources.read import SourceConfig, open_place, read_samples
from heddle_platform.base.sources.sample import Sample, as_channels, sample_pixels
from heddle_platform.errors import InvalidInput

from .corpus_files import COUNT, KINDS, folder, labels, pictures, png

SHARED = Path(__file__).parents[3] / "shared" / "data"


def read(path: Path, **settings: object) -> list[Sample]:
    config = SourceConfig.model_validate({"path": path, **settings})
    return list(read_samples(open_place(config, None), config))


def text(sample: Sample) -> dict[str, str]:
    return {column: "" if value is None else str(value) for column, value in sample.labels.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_images_and_labels(kind: str, tmp_path: Path) -> None:
    samples = read(KINDS[kind](tmp_path))
    np.testing.assert_array_equal(np.stack([sample_pixels(each, 64, 3) for each in samples]), pictures())
    assert [text(each) for each in samples] == labels()
    shares = [each.share for each in samples]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert all(str(tmp_path) in each.where for each in samples)


@pytest.mark.parametrize("kind", KINDS)
def test_the_object_store_gives_what_the_disk_gives(kind: str, tmp_path: Path) -> None:
    here = LocalPlace(KINDS[kind](tmp_path))
    store = MemoryObjectStore()
    for entry in here.entries():
        store.put(keys.corpus_file("art", entry.name), here.read(entry.name) or b"")
    store.put("corpora/artful/other.png", b"another corpus's")
    config = SourceConfig(stored="art")
    place = open_place(config, store)
    assert isinstance(place, StoredPlace)
    there = list(read_samples(place, config))
    assert len(there) == COUNT
    assert [text(each) for each in there] == labels()
    assert there[-1].where.startswith("stored:art: ")


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not beside this checkout")
def test_real_arrays_are_read_row_by_row() -> None:
    path = SHARED / "cmu_faces.npz"
    with np.load(path) as stored:
        images, factors, names = stored["images"], stored["factors"], [str(name) for name in stored["factor_names"]]
        levels = json.loads(str(stored["factor_values"]))
    samples = read(path)
    assert len(samples) == len(images)
    for row in (0, 300, len(images) - 1):
        # Grey becomes RGB, pixel for pixel.
        np.testing.assert_array_equal(sample_pixels(samples[row], 64, 3), np.repeat(images[row], 3, axis=2))
        expected = {
            name: levels[column][value] for column, (name, value) in enumerate(zip(names, factors[row], strict=True))
        }
        assert text(samples[row]) == {name: str(value) for name, value in expected.items()}


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not beside this checkout")
def test_large_arrays_do_not_fill_the_memory() -> None:
    # 24,000 images, 295 MB once inflated.
    config = SourceConfig(path=SHARED / "lpc_sprites.npz")
    tracemalloc.start()
    try:
        count = sum(1 for _, sample in zip(range(2000), read_samples(open_place(config, None), config), strict=False))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 2000
    assert peak < 20 * 1024**2


def test_a_long_tar_does_not_fill_the_memory(tmp_path: Path) -> None:
    data = png(np.zeros((8, 8, 3), dtype=np.uint8))
    with tarfile.open(tmp_path / "long.tar", "w") as tar:
        for n in range(20_000):
            member = tarfile.TarInfo(f"{n:06d}.png")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    config = SourceConfig(path=tmp_path)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_samples(open_place(config, None), config)) == 20_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 20,000 members kept would be about 10 MB.
    assert peak < 2 * 1024**2


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (b"name,hue\n1.png,red\n", "'file'"),
        (b"file,hue\n1.png,red\n9.png,red\n", "row 3, column 'file': there is no image '9.png'"),
        (b"file,hue\n1.png\n", "row 2.*1 cells, the header 2"),
        (b"file,hue\n1.png,a\n1.png,b\n", "row 3.*'1.png' stands in an earlier row"),
        (b"file,hue,hue\n1.png,a,b\n", "column 'hue'.*twice"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_wrong_labels_are_told_by_row_and_column(rows: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(png(pictures()[0]))
    (tmp_path / "labels.csv").write_bytes(rows)
    with pytest.raises(InvalidInput, match=sentence):
        read(tmp_path)


def test_a_wrong_image_is_told_by_its_file(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "sub" / "030.png").write_bytes(b"GIF89a")
    with pytest.raises(InvalidInput, match=r"sub/030\.png: .*not an image we know") as caught:
        [sample_pixels(each, 64, 3) for each in read(tmp_path)]
    assert caught.value.code == "unsupported_image"


def test_hostile_images_are_refused_before_they_are_decoded() -> None:
    header = struct.pack(">I4sIIBBBBB", 13, b"IHDR", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + header + b"\0" * 20
    with pytest.raises(InvalidInput, match=r"bomb: .*60000 x 60000"):
        sample_pixels(Sample("bomb", bomb, 1.0), 64, 3)


def test_an_empty_or_missing_place_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InvalidInput, match="there is no file at"):
            read(path)
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(InvalidInput, match="no PNG, JPEG or WebP"):
        read(tmp_path)
    with pytest.raises(InvalidInput, match="HEDDLE_S3_ENDPOINT_URL"):
        open_place(SourceConfig(stored="art"), None)


def test_kinds_are_not_mixed_and_tars_not_compressed(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"")
    (tmp_path / "b.npz").write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"\.tar, \.npz"):
        read(tmp_path)
    (tmp_path / "c.tar.gz").write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"c\.tar\.gz is compressed"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["x.tar", "x.npz", "x.zip", "x.parquet"])
def test_damaged_containers_are_told(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x01 no such thing" * 100)
    with pytest.raises(InvalidInput, match=name):
        read(tmp_path)


def test_a_cut_off_tar_is_told(tmp_path: Path) -> None:
    whole = KINDS["webdataset"](tmp_path)
    data = (whole / "020.tar").read_bytes()
    (whole / "020.tar").write_bytes(data[: len(data) // 2 - 300])
    with pytest.raises(InvalidInput, match=r"020\.tar"):
        read(whole)


def test_links_and_devices_of_a_tar_mean_nothing(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        link = tarfile.TarInfo("0.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert read(tmp_path) == []


def test_a_hostile_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("../evil.png", b"x")
    with pytest.raises(InvalidInput, match="leaves its folder"):
        read(tmp_path)


def test_parquet_without_the_column_or_an_image_is_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"picture": [b"x", None]}), tmp_path / "x.parquet")
    with pytest.raises(InvalidInput, match="no column 'image'; its columns are picture"):
        read(tmp_path)
    with pytest.raises(InvalidInput, match="row 1, column 'picture' holds NoneType"):
        read(tmp_path, image="picture")


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"pictures": np.zeros(3)}, "it holds pictures.npy"),
        ({"images": np.zeros((3, 8, 8))}, r"float64 \[3, 8, 8\]"),
        ({"images": np.zeros((3, 8, 8, 4), np.uint8)}, r"uint8 \[3, 8, 8, 4\]"),
        ({"images": np.zeros((3, 8, 8), np.uint8), "factors": np.zeros((3, 1), int)}, "no `factor_names`"),
        ({"images": np.array([{}], dtype=object)}, "object"),
    ],
)
def test_arrays_of_another_layout_are_told(arrays: dict[str, np.ndarray], sentence: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=sentence):
        read(tmp_path)


def test_an_index_beyond_its_levels_is_told_by_row_and_column(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "x.npz",
        images=np.zeros((3, 8, 8), np.uint8),
        factors=np.array([[0], [1], [2]]),
        factor_names=np.array(["hue"]),
        factor_values=np.array('[["a", "b"]]'),
    )
    with pytest.raises(InvalidInput, match="row 2, column 'hue' is 2; it has 2 levels"):
        read(tmp_path)


def test_grey_is_luma_and_grey_of_grey_is_itself() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [7, 7, 7]]], dtype=np.uint8)
    assert as_channels(colours, 1)[0, :, 0].tolist() == [76, 150, 29, 7]
    np.testing.assert_array_equal(as_channels(as_channels(colours, 1), 3)[0, 3], [7, 7, 7])


def test_a_source_lies_in_exactly_one_place() -> None:
    for wrong in ({}, {"path": "a", "stored": "b"}, {"stored": "../b"}):
        with pytest.raises(ValueError):
            SourceConfig.model_validate(wrong)
