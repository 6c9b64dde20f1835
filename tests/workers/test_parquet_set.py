"""Labelled sets as Parquet: the same set as a zip, the same faults, nothing read that would fill the memory."""

import io
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heddle_platform.archive import open_archive
from heddle_platform.factors import FactorSet
from heddle_platform.labels import FaultReport
from heddle_platform.manifest import Manifest
from heddle_platform.settings import LimitSettings
from heddle_workers.progress import silent
from heddle_workers.validate import Announced, validate_set

from .conftest import LEVELS, good_set, labels, packed, png, upload_of
from .validation import KEPT, LIMITS, faults, validated


def parquet(rows: list[dict[str, Any]], **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, **options)
    return out.getvalue()


@contextmanager
def small_pool() -> Iterator[pa.MemoryPool]:
    """Give Arrow a memory pool of its own, to see how much it takes at one time."""
    before, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.system_memory_pool())
    pa.set_memory_pool(pool)
    try:
        yield pool
    finally:
        pa.set_memory_pool(before)


def good_rows(count: int = 6, **more: Any) -> list[dict[str, Any]]:
    return [
        {"image": png(index), "glasses": LEVELS[index % 3], "smile": bool(index % 2), "age": 10.0 * index, **more}
        for index in range(count)
    ]


def test_the_set_is_the_zips(factor_set: FactorSet) -> None:
    found = validated(parquet(good_rows()), factor_set)
    zipped = validated(packed(good_set()), factor_set)
    assert found.report["errors"] == []
    for key in ("levels", "ranges", "missing", "images", "balance", "associations", "sizes"):
        assert found.report[key] == zipped.report[key]
    assert found.manifest is not None
    assert zipped.manifest is not None
    mine, other = Manifest.from_bytes(found.manifest), Manifest.from_bytes(zipped.manifest)
    assert (mine.table(factor_set).values_NF == other.table(factor_set).values_NF).all()
    assert [row.sha256 for row in mine.rows] == [row.sha256 for row in other.rows]
    # what is kept is a zip that is itself a good set, under its own digest
    kept = KEPT[-1]
    assert upload_of(kept).sha256 == found.digest == mine.images
    assert validated(kept, factor_set).report["errors"] == []
    with open_archive(upload_of(kept).file, FaultReport(), max_images=50) as archive:
        assert archive.read(mine.rows[3].file, max_bytes=10_000) == png(3)


def test_equal_tables_are_kept_as_equal_bytes(factor_set: FactorSet) -> None:
    first, second = parquet(good_rows()), parquet(good_rows(), row_group_size=2, compression="zstd")
    assert first != second
    assert validated(first, factor_set).digest == validated(second, factor_set).digest


def test_hugging_face_structs_and_given_names(factor_set: FactorSet) -> None:
    rows = good_rows()
    for index, row in enumerate(rows):
        row["image"] = {"bytes": row["image"], "path": f"train/{index}.png"}
    found = validated(parquet(rows), factor_set)
    assert found.manifest is not None
    assert [row.file for row in Manifest.from_bytes(found.manifest).rows] == [f"train/{n}.png" for n in range(6)]
    named = validated(parquet([{**row, "file": f"n{n}"} for n, row in enumerate(good_rows())]), factor_set)
    assert named.manifest is not None
    assert [row.file for row in Manifest.from_bytes(named.manifest).rows] == [f"n{n}.png" for n in range(6)]


def test_every_fault_is_named_by_row_and_column(factor_set: FactorSet) -> None:
    rows = good_rows(9)
    rows[2]["image"] = None
    rows[4]["glasses"] = "oval"
    rows[6]["image"] = b"no image at all"
    rows[7]["age"] = None
    assert faults(parquet(rows), factor_set) == [
        ("missing_image", 4, "image"),
        ("unknown_level", 6, "glasses"),
        ("unsupported_image", 8, "file"),
    ]


def test_wrong_columns_and_names(factor_set: FactorSet) -> None:
    assert faults(parquet(good_rows(hat=1)), factor_set)[0] == ("unknown_column", 1, "hat")
    rows = [{"picture": row.pop("image"), **row} for row in good_rows()]
    [fault] = faults(parquet(rows), factor_set)
    assert fault[0] == "missing_column"
    evil = [{**row, "file": f"../{n}.png"} for n, row in enumerate(good_rows())]
    assert {fault[0] for fault in faults(parquet(evil), factor_set)} == {"unsafe_path", "missing_file"}


@pytest.mark.parametrize(("cut", "tail"), [(40, b""), (200, b""), (None, b"x"), (0, b"PAR1\xff\xff\xff\x7fPAR1")])
def test_a_broken_file_is_one_clear_fault(factor_set: FactorSet, cut: int | None, tail: bytes) -> None:
    data = (parquet(good_rows())[:cut] if cut != 0 else b"") + tail
    [fault] = faults(data, factor_set)
    assert fault[0] == "damaged_shard"


def test_too_many_rows_are_refused_with_both_numbers(factor_set: FactorSet) -> None:
    found = validated(parquet(good_rows(60)), factor_set, LimitSettings(dataset_max_images=50))
    [fault] = found.report["errors"]
    assert fault["code"] == "too_many_images"
    assert "60" in fault["detail"]
    assert "50" in fault["detail"]


def not_text(count: int) -> pa.Array:
    """Return strings that are no UTF-8, as only a hostile or a broken writer makes them."""
    return pa.Array.from_buffers(pa.string(), count, pa.array([b"\xff\xfe"] * count).buffers())


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("glasses", not_text(6)),
        ("file", not_text(6)),
        ("age", pa.array([2**62] * 6, pa.timestamp("us"))),  # the year 148,000
    ],
    ids=["label", "name", "date"],
)
def test_cells_that_cannot_be_read_are_one_clear_fault(factor_set: FactorSet, column: str, values: pa.Array) -> None:
    table = pa.Table.from_pylist(good_rows())
    table = table.drop_columns([column] if column in table.column_names else []).append_column(column, values)
    out = io.BytesIO()
    pq.write_table(table, out)
    [fault] = faults(out.getvalue(), factor_set)
    assert fault[0] == "damaged_shard"


def test_a_column_that_stands_twice_is_refused(factor_set: FactorSet) -> None:
    table = pa.Table.from_pylist(good_rows())
    out = io.BytesIO()
    pq.write_table(table.append_column("glasses", table["glasses"]), out)
    [fault] = faults(out.getvalue(), factor_set)
    assert fault[0] == "duplicate_column"


def test_a_name_or_a_label_may_not_be_of_any_length(factor_set: FactorSet) -> None:
    named = [{**row, "file": f"{n}.png"} for n, row in enumerate(good_rows())]
    named[3]["file"] = "x" * 70_000 + ".png"
    assert faults(parquet(named), factor_set) == [("unsafe_path", 5, "file")]
    labelled = good_rows()
    labelled[3]["glasses"] = "x" * 200_000
    assert faults(parquet(labelled), factor_set) == [("malformed_csv", 5, None)]


@pytest.mark.parametrize("packing", ["zip", "parquet in one row group"])
def test_a_set_is_never_in_memory_whole(factor_set: FactorSet, packing: str) -> None:
    rows = [{**row, "age": 1.0 * index, "image": png(index, 400)} for index, row in enumerate(good_rows(48))]
    if packing == "zip":
        lines = [f"{index}.png,{row['glasses']},{row['smile']:d},{row['age']}" for index, row in enumerate(rows)]
        images = {f"{index}.png": row["image"] for index, row in enumerate(rows)}
        data = packed({**images, "labels.csv": labels(lines)})
        del images
    else:
        data = parquet(rows, write_batch_size=4)  # rows of a page, which is read at once
    del rows
    validated(parquet(good_rows()), factor_set)  # what is imported on the way is not the set's
    upload, size = upload_of(data), len(data)
    assert size > 20_000_000
    del data
    with small_pool() as pool:
        tracemalloc.start()
        try:
            announced = Announced(upload.size, upload.sha256)
            found = validate_set(upload, announced, factor_set, LIMITS, silent, lambda _plain, _size: ())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert (found.report["errors"], found.report["labelled"]) == ([], 48)
        assert peak + (pool.max_memory() or 0) < size / 2


@pytest.mark.parametrize("struct", [False, True])
def test_rows_that_share_one_value_do_not_fill_disk_or_memory(factor_set: FactorSet, struct: bool) -> None:
    picture = np.random.default_rng(0).bytes(4_000_000)
    images = [{"bytes": picture, "path": "a.png"} if struct else picture] * 40
    table = pa.table({"image": pa.array(images), "glasses": ["none"] * 40, "smile": [True] * 40, "age": [1.0] * 40})
    out = io.BytesIO()
    pq.write_table(table, out, dictionary_pagesize_limit=10**9)
    assert len(out.getvalue()) < 5_000_000  # of 160 MB
    del table, images
    with small_pool() as pool:
        assert faults(out.getvalue(), factor_set) == [("compression_bomb", None, None)]
        assert pool.max_memory() < 40_000_000


def test_weights_are_a_column_of_the_table(factor_set: FactorSet) -> None:
    rows = [{**row, "weight": weight} for row, weight in zip(good_rows(), [2.0, None, 0.25, 1, 1, 1], strict=True)]
    found = validated(parquet(rows), factor_set)
    assert found.report["errors"] == []
    assert found.manifest is not None
    weight_N = Manifest.from_bytes(found.manifest).table(factor_set).weight_N
    assert weight_N is not None
    assert weight_N.tolist() == [2.0, 1.0, 0.25, 1.0, 1.0, 1.0]
    rows[3]["weight"] = -1.0
    assert faults(parquet(rows), factor_set) == [("invalid_weight", 5, "weight")]
