"""Zips from anybody: every trick has its code, and none costs more memory than an honest upload."""

import io
import struct
import tracemalloc
import unicodedata
import warnings
import zipfile

import pytest

from heddle_platform.factors import FactorSet

from .conftest import good_set, labels, packed, png, rows
from .validation import faults, validated


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize(
    ("entry", "data", "code"),
    [
        ("../evil.png", png(), "unsafe_path"),
        ("a/../../evil.png", png(), "unsafe_path"),
        ("/etc/evil.png", png(), "unsafe_path"),
        ("C:/evil.png", png(), "unsafe_path"),
        ("a\\evil.png", png(), "unsafe_path"),
        ("a//evil.png", png(), "unsafe_path"),
        ("a/./evil.png", png(), "unsafe_path"),
        ("evil\x07.png", png(), "unsafe_path"),
        ("x" * 300 + ".png", png(), "unsafe_path"),
        (link("link.png"), b"/etc/passwd", "not_a_file"),
        ("inner.zip", packed({"a.png": png()}), "unknown_file_type"),
        ("run.exe", b"MZ", "unknown_file_type"),
        ("0.png", png(), "duplicate_entry"),
        ("sub/labels.csv", labels(rows()), "second_labels_file"),
    ],
    ids=lambda value: str(getattr(value, "filename", value))[:20] if not isinstance(value, bytes) else "",
)
def test_every_hostile_entry_is_refused(
    factor_set: FactorSet, entry: str | zipfile.ZipInfo, data: bytes, code: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile's own, for the duplicate name
        hostile = packed([*good_set().items(), (entry, data)])
    assert faults(hostile, factor_set) == [(code, None, None)]


def test_an_encrypted_entry_is_refused(factor_set: FactorSet) -> None:
    data = bytearray(packed(good_set()))
    at = data.index(b"3.png")
    data[at - 30 + 6] |= 1  # flag of the local header
    at = data.rindex(b"3.png")
    data[at - 46 + 8] |= 1  # flag of the central one
    assert ("encrypted_entry", None, None) in faults(bytes(data), factor_set)


def test_other_compression_methods_are_refused(factor_set: FactorSet) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in good_set().items():
            archive.writestr(name, content, zipfile.ZIP_LZMA if name == "1.png" else zipfile.ZIP_STORED)
    assert faults(out.getvalue(), factor_set) == [
        ("unsupported_compression", None, None),
        ("missing_file", 3, "file"),
    ]


def test_a_bomb_is_refused_before_it_is_inflated(factor_set: FactorSet) -> None:
    data = packed({**good_set(), "bomb.png": bytes(100 * 1024**2)})
    tracemalloc.start()
    try:
        assert faults(data, factor_set) == [("compression_bomb", None, None)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 1024**2


def test_a_bomb_that_lies_about_its_size_is_cut_off(factor_set: FactorSet) -> None:
    data = bytearray(packed({**good_set(), "bomb.png": bytes(100 * 1024**2)}))
    at = data.rindex(b"bomb.png")
    data[at - 46 + 24 : at - 46 + 28] = struct.pack("<I", 500)  # uncompressed size in the directory
    tracemalloc.start()
    try:
        assert [code for code, _, _ in faults(bytes(data), factor_set)] == ["damaged_entry"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 1024**2


def test_entries_that_share_bytes_are_refused(factor_set: FactorSet) -> None:
    data = bytearray(packed(good_set()))
    first, second = data.rindex(b"0.png"), data.rindex(b"1.png")
    data[second - 46 + 42 : second - 46 + 46] = data[first - 46 + 42 : first - 46 + 46]  # offset of the local header
    assert ("overlapping_entry", None, None) in faults(bytes(data), factor_set)


def test_too_many_entries_are_refused(factor_set: FactorSet) -> None:
    entries = {**good_set(), **{f"folder{index}/": b"" for index in range(1_100)}}
    assert faults(packed(entries), factor_set) == [("too_many_entries", None, None)]


def test_a_forged_directory_is_not_read_into_memory(factor_set: FactorSet) -> None:
    size = 40 * 1024**2
    data = bytes(size) + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 60_000, 60_000, size, 0, 0)
    tracemalloc.start()
    try:
        assert faults(data, factor_set) == [("too_many_entries", None, None)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 1024**2


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all", packed({"a.png": png()})[:-10]])
def test_what_is_not_a_zip_is_said_to_be_none(factor_set: FactorSet, data: bytes) -> None:
    assert faults(data, factor_set) == [("not_a_zip", None, None)]


def test_a_set_without_labels_is_refused(factor_set: FactorSet) -> None:
    entries = good_set()
    del entries["labels.csv"]
    assert faults(packed(entries), factor_set) == [("no_labels_file", None, None)]
    assert faults(packed({"x/0.png": png(), "y/labels.csv": labels(rows())}), factor_set) == [
        ("no_labels_file", None, None)
    ]


def test_one_folder_around_everything_and_the_litter_of_desktops_do_no_harm(factor_set: FactorSet) -> None:
    entries = {f"my set/{name}": data for name, data in good_set().items()}
    litter = {"my set/": b"", "my set/.DS_Store": b"x", "__MACOSX/my set/._0.png": b"x"}
    found = validated(packed({**litter, **entries}), factor_set)
    assert found.report["errors"] == []
    assert found.images == 6


def test_decomposed_file_names_match_composed_labels(factor_set: FactorSet) -> None:
    name = "bärbel.png"
    entries = good_set()
    entries[unicodedata.normalize("NFD", name)] = entries.pop("0.png")
    entries["labels.csv"] = labels([line.replace("0.png", name) if line[0] == "0" else line for line in rows()])
    assert validated(packed(entries), factor_set).report["errors"] == []


def with_directory(sizes_and_place: tuple[int, int, int]) -> bytes:
    """Return a set whose last image lies about itself in a zip64 field: size, packed size, place."""
    name, picture, extra = b"6.png", png(6), struct.pack("<HHQQQ", 1, 24, *sizes_and_place)
    whole = packed(good_set())
    local = struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 0, 0, 0, 0, len(picture), len(picture), len(name), 0)
    entries = local + name + picture
    central = struct.pack(
        "<IHHHHHHIIIHHHHHII", *(0x02014B50, 45, 45, 0, 0, 0, 0, 0), *(2**32 - 1,) * 2, *(5, 28, 0, 0, 0, 0), 2**32 - 1
    )
    first = whole.index(b"PK\1\2")
    directory = whole[first : whole.index(b"PK\5\6")] + central + name + extra
    count = len(good_set()) + 1
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(directory), first + len(entries), 0)
    return whole[:first] + entries + directory + end


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        ((2**63, 10, 0), "compression_bomb"),
        ((10, 10, 2**63), "damaged_entry"),
        ((10, 10, 2**64 - 1), "damaged_entry"),
        ((10, 2**64 - 1, 2**40), "damaged_entry"),
    ],
)
def test_a_zip64_field_that_lies_is_one_fault(factor_set: FactorSet, lie: tuple[int, int, int], code: str) -> None:
    assert [fault for fault, _, _ in faults(with_directory(lie), factor_set)] == [code]


def test_a_name_spelt_in_two_ways_is_one_image(factor_set: FactorSet) -> None:
    name = "b\xe4rbel.png"
    lines = [*rows(), f"{name},none,0,1", f"{unicodedata.normalize('NFD', name)},round,1,2"]
    hostile = packed({**good_set(), name: png(9), "labels.csv": labels(lines)})
    assert faults(hostile, factor_set) == [("duplicate_file", 9, "file")]
