"""Validation of uploaded sets: a corpus of hostile and mistaken zips, each with its exact code, row and column."""

import json
import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from heddle_platform import pixels
from heddle_platform.factors import FactorSet
from heddle_platform.labels import MAX_DETAILS
from heddle_platform.manifest import Manifest
from heddle_platform.settings import LimitSettings
from heddle_workers.progress import silent
from heddle_workers.validate import Announced, validate_set

from .conftest import HEADER, good_set, labels, packed, png, rows, upload_of
from .validation import LIMITS, faults, kept, validated


def huge_png(width: int, height: int) -> bytes:
    """Return a small PNG whose header says it is huge, with real pixel data that inflates to all of it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    deflate = zlib.compressobj(9)
    line = bytes(1 + width)
    body = b"".join(deflate.compress(line) for _ in range(min(height, 2_000))) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def jpeg() -> bytes:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return pixels.encode(image, "image/jpeg")


def test_a_good_set_is_ready_and_its_manifest_holds_rows_labels_and_digests(factor_set: FactorSet) -> None:
    entries = {**good_set(), "extra/pool.png": png(99)}
    entries["labels.csv"] = labels([*rows()[:5], "5.png,,,"])
    data = packed(entries)
    found = validated(data, factor_set)
    assert found.report["valid"] is True
    assert found.report["errors"] == []
    assert found.report["levels"] == {"glasses": {"none": 2, "round": 2, "square": 1}, "smile": {"off": 3, "on": 2}}
    assert found.report["missing"] == {"glasses": 1, "smile": 1, "age": 1}
    assert found.report["ranges"] == {"age": {"low": 0.0, "high": 40.0, "mean": 20.0}}
    assert (found.report["images"], found.report["labelled"], found.report["unlabelled"]) == (7, 6, 1)
    assert found.images == 7
    assert found.manifest is not None
    manifest = Manifest.from_bytes(found.manifest)
    upload = upload_of(data)
    assert manifest.images == upload.sha256
    assert manifest.rows[1].labels == {"glasses": "round", "smile": "1", "age": "10"}
    assert manifest.rows[5].labels == {}
    assert [image.file for image in manifest.unlabelled] == ["extra/pool.png"]
    assert manifest.rows[0].sha256 == upload_of(entries["0.png"]).sha256
    table = manifest.table(factor_set)
    np.testing.assert_array_equal(table.values_NF[1], [1, 1, 10])
    assert np.isnan(table.values_NF[5]).all()
    codes = [warning["code"] for warning in found.report["warnings"]]
    assert codes.count("unlabelled_images") == 1
    assert codes.count("rare_level") == 5


def test_the_manifest_depends_on_the_bytes_alone(factor_set: FactorSet) -> None:
    data = packed(good_set())
    assert validated(data, factor_set).manifest == validated(data, factor_set).manifest


@pytest.mark.parametrize(
    ("line", "code", "column"),
    [
        ("9.png,none,0,1", "missing_file", "file"),
        ("0.png,none,0,1", "duplicate_file", "file"),
        ("5.png,oval,0,1", "unknown_level", "glasses"),
        ("5.png,none,perhaps,1", "unknown_level", "smile"),
        ("5.png,none,0,91", "invalid_value", "age"),
        (",none,0,1", "missing_file_name", "file"),
        ("5.png,none,0", "wrong_cell_count", None),
        ("../5.png,none,0,1", "missing_file", "file"),
    ],
)
def test_every_wrong_label_is_named_by_row_and_column(
    factor_set: FactorSet, line: str, code: str, column: str | None
) -> None:
    entries = {**good_set(), "labels.csv": labels([*rows()[:5], line])}
    assert faults(packed(entries), factor_set) == [(code, 7, column)]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (huge_png(20_000, 20_000), "image_too_large"),
        (jpeg()[: len(jpeg()) // 2], "image_damaged"),
        (png()[:40], "image_damaged"),
        (b"GIF89a" + bytes(50), "unsupported_image"),
        (b"", "unsupported_image"),
    ],
    ids=["20000x20000", "truncated-jpeg", "truncated-png", "gif", "empty"],
)
def test_every_bad_image_is_named_by_the_row_that_labels_it(factor_set: FactorSet, bad: bytes, code: str) -> None:
    entries = {**good_set(), "3.png": bad}
    assert faults(packed(entries), factor_set) == [(code, 5, "file")]


def test_a_huge_picture_is_refused_in_bounded_memory(factor_set: FactorSet) -> None:
    data = packed({**good_set(), "3.png": huge_png(20_000, 20_000)})
    tracemalloc.start()
    try:
        assert faults(data, factor_set) == [("image_too_large", 5, "file")]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024**2


def test_a_bad_image_without_a_row_is_named_by_its_path(factor_set: FactorSet) -> None:
    found = validated(packed({**good_set(), "pool/x.png": b"no image"}), factor_set)
    [fault] = found.report["errors"]
    assert (fault["code"], fault["pointer"]) == ("unsupported_image", "/files/pool~1x.png")


def test_an_empty_class_is_named_by_its_column(factor_set: FactorSet) -> None:
    lines = [line.replace("square", "round") for line in rows()]
    entries = {**good_set(), "labels.csv": labels(lines)}
    found = validated(packed(entries), factor_set)
    [fault] = found.report["errors"]
    assert (fault["code"], fault["column"]) == ("empty_class", "glasses")
    assert "'square'" in fault["detail"]
    assert "0 of 6" in fault["detail"]


def test_all_faults_come_in_one_report(factor_set: FactorSet) -> None:
    lines = [*rows()[:4], "4.png,oval,0,1", "7.png,none,0,1"]
    entries = {**good_set(), "labels.csv": labels(lines), "2.png": jpeg()[:100], "../evil.png": png()}
    assert faults(packed(entries), factor_set) == [
        ("unsafe_path", None, None),
        ("unknown_level", 6, "glasses"),
        ("image_damaged", 4, "file"),
        ("missing_file", 7, "file"),
    ]


def test_a_long_report_keeps_the_first_faults_and_counts_all(factor_set: FactorSet) -> None:
    lines = [f"no{index}.png,none,0,1" for index in range(MAX_DETAILS + 50)]
    found = validated(packed({**good_set(), "labels.csv": labels([*rows(), *lines])}), factor_set)
    assert found.report["fault_count"] == MAX_DETAILS + 50
    assert len(found.report["errors"]) == MAX_DETAILS
    json.dumps(found.report)


def test_a_file_longer_than_the_limit_is_refused_with_both_numbers(factor_set: FactorSet) -> None:
    limits = LimitSettings(dataset_max_images=50, image_max_bytes=1_000)
    found = validated(packed({**good_set(), "2.png": png(2, size=64)}), factor_set, limits)
    [fault] = found.report["errors"]
    assert (fault["code"], fault["row"], fault["column"]) == ("file_too_large", 4, "file")
    assert str(len(png(2, size=64))) in fault["detail"]
    assert "1000" in fault["detail"]


def test_too_many_images_are_refused_with_both_numbers(factor_set: FactorSet) -> None:
    found = validated(packed(good_set(60)), factor_set)
    [fault] = found.report["errors"]
    assert fault["code"] == "too_many_images"
    assert "60" in fault["detail"]
    assert "50" in fault["detail"]


def test_labels_that_are_no_text_are_refused_and_images_still_checked(factor_set: FactorSet) -> None:
    entries = {**good_set(), "labels.csv": b"file,\xff\xfe", "2.png": b"?"}
    assert faults(packed(entries), factor_set) == [("not_utf8", None, None), ("unsupported_image", None, None)]


def test_a_wrong_header_is_named_by_column(factor_set: FactorSet) -> None:
    entries = {**good_set(), "labels.csv": labels(rows(), header=HEADER.replace("smile", "grin"))}
    assert faults(packed(entries), factor_set) == [("unknown_column", 1, "grin"), ("missing_column", 1, "smile")]


def test_bytes_other_than_announced_are_refused(factor_set: FactorSet) -> None:
    upload = upload_of(packed(good_set()))
    found = validate_set(upload, Announced(upload.size, "0" * 64), factor_set, LIMITS, silent, kept)
    assert [fault["code"] for fault in found.report["errors"]] == ["upload_differs"]
    found = validate_set(upload, Announced(upload.size + 1, upload.sha256), factor_set, LIMITS, silent, kept)
    assert [fault["code"] for fault in found.report["errors"]] == ["upload_differs"]
    assert found.manifest is None


def test_copies_are_warned_of(factor_set: FactorSet) -> None:
    found = validated(packed({**good_set(), "4.png": png(1), "5.png": png(1)}), factor_set)
    [warning] = [warning for warning in found.report["warnings"] if warning["code"] == "duplicate_images"]
    assert warning["count"] == 2


WEIGHED = b"file,glasses,smile,age,weight"


def weighed(*weights: str) -> bytes:
    """Return the labels of a good set with a column of weights."""
    return b"\n".join([WEIGHED, *(f"{row},{weight}".encode() for row, weight in zip(rows(), weights, strict=True))])


def test_a_column_of_weights_reaches_the_table_and_the_report(factor_set: FactorSet) -> None:
    entries = {**good_set(), "labels.csv": weighed("1", "2.5", "", "1e-3", "1", "1.0")}
    found = validated(packed(entries), factor_set)
    assert found.report["errors"] == []
    weight_N = np.array([1, 2.5, 1, 1e-3, 1, 1])
    effective = round(float(weight_N.sum() ** 2 / np.square(weight_N).sum()), 1)
    assert found.report["weights"] == {"rows": 2, "effective_rows": effective, "least": 1e-3, "most": 2.5}
    assert found.manifest is not None
    manifest = Manifest.from_bytes(found.manifest)
    assert manifest.rows[1].labels["weight"] == "2.5"
    assert "weight" not in manifest.rows[2].labels
    np.testing.assert_array_equal(manifest.table(factor_set).weight_N, weight_N)


def test_without_the_column_nothing_is_said_of_weights(factor_set: FactorSet) -> None:
    found = validated(packed(good_set()), factor_set)
    assert "weights" not in found.report
    assert found.manifest is not None
    assert b"weight" not in found.manifest
    assert Manifest.from_bytes(found.manifest).table(factor_set).weight_N is None


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "heavy", "1e13", "1e-13"])
def test_every_wrong_weight_is_named_by_row_and_column(factor_set: FactorSet, weight: str) -> None:
    entries = {**good_set(), "labels.csv": weighed("1", "2", weight, "1", "1", weight)}
    assert faults(packed(entries), factor_set) == [("invalid_weight", 4, "weight"), ("invalid_weight", 7, "weight")]


def test_look_alikes_that_only_weigh_otherwise_are_labelled_alike(factor_set: FactorSet) -> None:
    nearly = pixels.decode(png(0), max_bytes=10_000, max_pixels=10_000).copy()
    nearly[0, 0] ^= 1
    entries = {**good_set(), "6.png": pixels.encode(nearly, "image/png")}
    for twin, same in ((rows()[0].replace("0.png", "6.png"), True), (rows()[1].replace("1.png", "6.png"), False)):
        lines = [*(f"{row},1" for row in rows()), f"{twin},3"]
        table = b"\n".join([WEIGHED, *(line.encode() for line in lines)])
        found = validated(packed({**entries, "labels.csv": table}), factor_set)
        [pair] = found.report["twins"]["pairs"]
        assert (pair["file"], pair["like"], pair["same_labels"]) == ("6.png", "0.png", same)
