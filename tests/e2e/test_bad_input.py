"""Bad input on the main path: a report that names row and column, nothing stored, earlier data untouched."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.wire import LabelledImages, Wire

ROWS = range(60)


def without(archive: bytes, name: str) -> bytes:
    """Drop one file of a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(buffer, "w") as target:
        for entry in source.infolist():
            if entry.filename != name:
                target.writestr(entry.filename, source.read(entry))
    return buffer.getvalue()


def relabelled(archive: bytes, change: Callable[[list[str]], list[str]]) -> bytes:
    """Rewrite the lines of labels.csv."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        lines = source.read("labels.csv").decode().splitlines()
    buffer = io.BytesIO(without(archive, "labels.csv"))
    with zipfile.ZipFile(buffer, "a") as target:
        target.writestr("labels.csv", "\n".join(change(lines)))
    return buffer.getvalue()


def with_file(archive: bytes, name: str, data: bytes) -> bytes:
    """Replace or add one file of a zip."""
    buffer = io.BytesIO(without(archive, name))
    with zipfile.ZipFile(buffer, "a") as target:
        target.writestr(name, data)
    return buffer.getvalue()


def huge_png(side: int) -> bytes:
    """A valid grey PNG of side x side pixels in a few hundred kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    squeeze = zlib.compressobj(9)
    rows = b"".join(squeeze.compress(bytes(side + 1)) for _ in range(side)) + squeeze.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def truncated_jpeg(micah: LabelledImages) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.open(io.BytesIO(micah.images[3])).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()[: len(buffer.getvalue()) // 2]


def break_it(kind: str, micah: LabelledImages) -> bytes:
    good = micah.archive(ROWS)
    if kind == "label_without_file":
        return without(good, "00003.png")
    if kind == "unknown_level":
        return relabelled(good, lambda lines: [*lines[:4], lines[4].replace(lines[4].split(",")[1], "chartreuse", 1)])
    if kind == "path_escapes":
        return with_file(good, "../../escaped.png", micah.images[0])
    if kind == "huge_png":
        return with_file(good, "00003.png", huge_png(20_000))
    if kind == "truncated_jpeg":
        return with_file(good, "00003.png", truncated_jpeg(micah))
    if kind == "empty_class":
        return relabelled(good, lambda lines: [line for line in lines if ",round," not in line])
    raise AssertionError(kind)


@pytest.mark.parametrize(
    ("kind", "row", "column"),
    [
        ("label_without_file", 5, "file"),
        ("unknown_level", 5, "skin"),
        ("path_escapes", None, None),
        ("huge_png", 5, "file"),
        ("truncated_jpeg", 5, "file"),
        ("empty_class", None, "glasses"),
    ],
)
def test_a_bad_set_is_rejected_with_its_place(
    module_tenant: Wire, micah: LabelledImages, stack_objects: Any, kind: str, row: int | None, column: str | None
) -> None:
    wire = module_tenant
    good = wire.dataset(micah.archive(ROWS), micah.factor_set, name="good")
    assert good["status"] == "ready"
    before = sorted(info.key for info in stack_objects.list(f"tenants/{wire.id}/"))
    bad = wire.dataset(break_it(kind, micah), micah.factor_set, name="bad")
    assert bad["status"] == "rejected"
    report = wire.call("GET", f"/v1/datasets/{bad['id']}/validation")
    assert report["valid"] is False
    assert report["fault_count"] >= 1
    places = [(fault.get("row"), fault.get("column")) for fault in report["errors"]]
    assert (row, column) in places, report
    assert all(fault["detail"] and fault["code"] and "pointer" in fault for fault in report["errors"])
    assert sorted(info.key for info in stack_objects.list(f"tenants/{wire.id}/")) == before, "nothing is stored"
    assert wire.call("GET", f"/v1/datasets/{good['id']}")["status"] == "ready"
    refused = wire.control.post(
        "/v1/jobs",
        json={"type": "fit", "adapter": "x", "factor_set": "avatars", "dataset": bad["id"], "base": "default"},
    )
    assert refused.status_code in (409, 422)
    assert refused.headers["content-type"] == "application/problem+json"


def test_two_equal_names_are_refused_with_their_place(tenant: Wire) -> None:
    factor = {"name": "smile", "kind": "binary"}
    answer = tenant.control.post("/v1/factor_sets", json={"name": "twins", "factors": [factor, factor]})
    assert answer.status_code == 422
    problem = answer.json()
    assert [error["pointer"] for error in problem["errors"]] == ["/factors/1/name"]
    assert tenant.call("GET", "/v1/factor_sets")["data"] == []


def test_a_fit_waiting_for_a_set_that_is_rejected_fails_with_the_reason(tenant: Wire, micah: LabelledImages) -> None:
    tenant.call("POST", "/v1/factor_sets", json=micah.factor_set)
    upload = tenant.upload(break_it("truncated_jpeg", micah))
    made = tenant.call("POST", "/v1/datasets", json={"name": "bad", "factor_set": "avatars", "upload": upload})
    answer = tenant.control.post(
        "/v1/jobs",
        json={"type": "fit", "adapter": "x", "factor_set": "avatars", "dataset": made["id"], "base": "default"},
    )
    if answer.status_code == 202:  # it was still being validated
        job = tenant.wait(answer.json()["id"])
        assert (job["status"], job["error"]["code"]) == ("failed", "dataset_rejected")
    else:
        assert answer.json()["code"] == "dataset_rejected"
    assert tenant.call("GET", "/v1/adapters")["data"] == []


def test_an_upload_that_is_not_what_was_announced_is_rejected(tenant: Wire, micah: LabelledImages) -> None:
    tenant.call("POST", "/v1/factor_sets", json=micah.factor_set)
    upload = tenant.upload(b"not a zip at all")
    made = tenant.call("POST", "/v1/datasets", json={"name": "bad", "factor_set": "avatars", "upload": upload})
    found = tenant.poll(f"/v1/datasets/{made['id']}", lambda seen: seen["status"] != "validating")
    report = tenant.call("GET", f"/v1/datasets/{found['id']}/validation")
    assert (found["status"], report["valid"]) == ("rejected", False)
    assert "zip" in report["errors"][0]["detail"]
