"""Shards: exact round trips, resumable writing, factors found out, and damage told."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from heddle_infra.memory import MemoryObjectStore
from heddle_platform.base.sources import write
from heddle_platform.base.sources.place import LocalPlace, StoredPlace
from heddle_platform.base.sources.read import SourceConfig, open_place
from heddle_platform.base.sources.sample import as_channels
from heddle_platform.base.sources.shards import INDEX, Shard, ShardIndex, ShardSet, read_index
from heddle_platform.base.sources.write import HELD_OUT_ONE_IN, write_shards
from heddle_platform.errors import DataCorrupt, InvalidInput

from .corpus_files import COUNT, HUES, KINDS, SIDES, folder, labels, pictures, png


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "SHARD_IMAGES", 10)


def written(source: Path, target: Path, *, size: int = 64, channels: int = 3, **settings: object) -> ShardIndex:
    config = SourceConfig.model_validate({"path": source, **settings})
    return write_shards(LocalPlace(source), config, LocalPlace(target), size=size, channels=channels)


def everything(opened: ShardSet) -> tuple[np.ndarray, list[dict[str, str]]]:
    loaded = [opened.load(shard) for shard in (*opened.index.train, *opened.index.held_out)]
    levels = list(opened.index.factors.items())
    names = [
        {name: each[row[column]] if row[column] >= 0 else "" for column, (name, each) in enumerate(levels)}
        for _, rows in loaded
        for row in rows
    ]
    return np.concatenate([images for images, _ in loaded]), names


@pytest.mark.parametrize("kind", KINDS)
def test_every_image_and_label_comes_back_exactly_once(kind: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    index = written(KINDS[kind](tmp_path / "in"), tmp_path / "out")
    assert index.factors == {"hue": HUES, "side": SIDES}  # numbers by size: 9 before 10
    assert [shard.images for shard in index.train] == [10, 10, 10, 10, 10, 7]
    assert sum(shard.images for shard in index.held_out) == COUNT // HELD_OUT_ONE_IN
    images, names = everything(ShardSet(LocalPlace(tmp_path / "out"), index, size=64))
    order = {picture.tobytes(): number for number, picture in enumerate(pictures())}
    numbers = [order[image.tobytes()] for image in images]
    assert sorted(numbers) == list(range(COUNT))
    assert names == [labels()[number] for number in numbers]


def test_shards_are_webdataset_and_read_as_a_source_again(tmp_path: Path) -> None:
    index = written(folder(tmp_path / "in"), tmp_path / "out")
    with tarfile.open(tmp_path / "out" / index.train[0].file) as tar:
        members = tar.getnames()
        member = tar.extractfile(members[1])
        assert member is not None
        assert set(json.loads(member.read())) <= {"hue", "side"}
    assert members[:2] == ["000000000.png", "000000000.json"]
    assert len(members) == 20


def test_grey_and_another_size_round_trip(tmp_path: Path) -> None:
    index = written(folder(tmp_path / "in"), tmp_path / "out", size=32, channels=1)
    place = LocalPlace(tmp_path / "out")
    images, _ = everything(ShardSet(place, index, size=32))
    assert images.shape == (COUNT, 32, 32, 3)
    expected = as_channels(as_channels(pictures(32), 1), 3)
    assert sorted(image.tobytes() for image in images) == sorted(image.tobytes() for image in expected)
    assert everything(ShardSet(place, index, size=48))[0].shape == (COUNT, 48, 48, 3)


def test_the_object_store_holds_shards_too(tmp_path: Path) -> None:
    store = MemoryObjectStore()
    target = StoredPlace(store, "art")
    config = SourceConfig(path=folder(tmp_path / "in"))
    index = write_shards(LocalPlace(tmp_path / "in"), config, target, size=64, channels=3)
    assert all(key.startswith("corpora/art/") for key in store.objects)
    assert read_index(target) == index
    opened = ShardSet(open_place(SourceConfig(stored="art"), store), index, size=64)
    assert len(everything(opened)[0]) == COUNT


class Cut(Exception):
    """Stands for a kill."""


class FailingPlace(LocalPlace):
    """A folder whose writer is killed at a given write."""

    def __init__(self, path: Path, writes: int) -> None:
        super().__init__(path)
        self.left = writes
        self.written: list[str] = []

    def write(self, name: str, data: bytes) -> None:
        if not self.left:
            raise Cut
        self.left -= 1
        self.written.append(name)
        super().write(name, data)


@pytest.mark.parametrize("writes", [0, 1, 3, 7])
def test_killed_and_run_again_gives_the_same_and_writes_nothing_twice(writes: int, tmp_path: Path) -> None:
    source = folder(tmp_path / "in")
    config = SourceConfig(path=source)
    whole = written(source, tmp_path / "whole")
    cut = FailingPlace(tmp_path / "cut", writes)
    with pytest.raises(Cut):
        write_shards(LocalPlace(source), config, cut, size=64, channels=3)
    assert read_index(LocalPlace(tmp_path / "cut")) is None
    again = FailingPlace(tmp_path / "cut", 100)
    assert write_shards(LocalPlace(source), config, again, size=64, channels=3) == whole
    assert not set(cut.written) & set(again.written)
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "cut" / path.name).read_bytes()


def test_a_torn_shard_is_written_again(tmp_path: Path) -> None:
    source = folder(tmp_path / "in")
    whole = written(source, tmp_path / "out")
    (tmp_path / "out" / INDEX).unlink()
    for torn, data in zip(whole.train, (b"", b"\0" * 20_000, b"half"), strict=False):
        (tmp_path / "out" / torn.file).write_bytes(data)
    assert written(source, tmp_path / "out") == whole


def test_finished_shards_are_kept_and_others_not_overwritten(tmp_path: Path) -> None:
    source = folder(tmp_path / "in")
    first = written(source, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert written(source, tmp_path / "out") == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
    with pytest.raises(InvalidInput, match="of another source or of other settings") as caught:
        written(source, tmp_path / "out", size=32)
    assert caught.value.code == "corpus_exists"


def test_broken_images_are_refused_or_skipped_also_when_resumed(tmp_path: Path) -> None:
    source = folder(tmp_path / "in")
    (source / "sub" / "007.png").write_bytes(b"broken")
    with pytest.raises(InvalidInput, match=r"sub/007\.png"):
        written(source, tmp_path / "refused")
    index = written(source, tmp_path / "out", skip_broken=True)
    assert index.skipped == 1
    assert sum(shard.images for shard in (*index.train, *index.held_out)) == COUNT - 1
    (tmp_path / "out" / INDEX).unlink()
    assert written(source, tmp_path / "out", skip_broken=True) == index


def test_columns_that_cannot_be_factors_are_left_out_with_the_reason(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for n in range(1100):
            row = {
                "id": f"no {n}", "same": "a", "share": n / 7, "boxes": [n], "even": n % 2 == 0, "empty": None,
                "text": "x" * 300,
            }  # fmt: skip
            for kind, data in (("png", png(pictures(8)[n % COUNT])), ("json", json.dumps(row).encode())):
                member = tarfile.TarInfo(f"{n:05d}.{kind}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    index = written(tmp_path / "x.tar", tmp_path / "out", size=8)
    assert index.factors == {"even": ("false", "true")}
    assert {column: reason.split(";")[0] for column, reason in index.left_out.items()} == {
        "id": "it has more than 1000 different values",
        "same": "it has 1 different value(s)",
        "share": "it holds fractions, and levels have names",
        "boxes": "it holds a list",
        "empty": "it has 0 different value(s)",
        "text": "a value has 300 characters, a level's name at most 200",
    }
    with pytest.raises(InvalidInput, match="column 'share' cannot be a factor: it holds fractions"):
        written(tmp_path / "x.tar", tmp_path / "named", size=8, labels=("share",))
    with pytest.raises(InvalidInput, match="no sample has a label 'hat'"):
        written(tmp_path / "x.tar", tmp_path / "missing", size=8, labels=("hat",))


def test_too_few_images_are_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(png(pictures()[0]))
    with pytest.raises(InvalidInput, match=r"1 usable image\(s\), at least 20"):
        written(tmp_path / "in", tmp_path / "out")


def test_damage_is_told(tmp_path: Path) -> None:
    index = written(folder(tmp_path / "in"), tmp_path / "out")
    place = LocalPlace(tmp_path / "out")
    opened = ShardSet(place, index, size=64)
    first, second = index.train[:2]
    path = tmp_path / "out" / first.file
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataCorrupt, match=f"{first.file} is damaged"):
        opened.load(first)
    (tmp_path / "out" / second.file).unlink()
    with pytest.raises(DataCorrupt, match=f"{second.file} is missing"):
        opened.load(second)
    with pytest.raises(DataCorrupt, match="holds 10 images, the index says 9"):
        opened.load(Shard(file=index.train[2].file, images=9, sha256=index.train[2].sha256))
    place.write(INDEX, b"{}")
    with pytest.raises(DataCorrupt, match=r"corpus\.json has"):
        read_index(place)
